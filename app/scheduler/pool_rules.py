"""What the settings say of a pool, in the terms of a round.

Input: the settings of the scheduler. Output: `PoolRules` per pool: round configuration, classes, node types, floating
resources, queues, token buckets.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from app.domain.clusters import Taint
from app.domain.rows import QueueRow
from app.pods.quantity import amount_of
from app.scheduling.resources import Resources
from app.scheduling.round import NOT_FLOATING, Away, Limiter, NodeType, PriorityClass, Queue, RoundConfig
from app.settings.scheduler import PoolSettings, SchedulerSettings

DECISIONS_PER_ROUND_MAX = 20_000
"""Candidates of one round when the settings say nothing: bounds what a round sends and records."""
_HASH_CHARS = 16
ClassFractions = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fractions:
    """How rounds share a core. full: of time, for full rounds where cheap ones stand between them. Pauses, in times of
    what a round took: pause_cheap after a cheap one there, pause_always after a round where every one is full."""

    full: float
    pause_cheap: float
    pause_always: float

    @classmethod
    def of(cls, whole: float, full: float) -> "Fractions":
        """`whole`: of a core, for all rounds."""
        cheap = (whole - full) / (1.0 - full)
        return cls(full=full, pause_cheap=1.0 / cheap - 1.0, pause_always=1.0 / whole - 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRules:
    """One pool. class_index: name of a class -> its index in `classes`. config_hash names the settings behind it.
    lends: other pools may use its nodes.
    """

    settings: PoolSettings
    config: RoundConfig
    classes: tuple[PriorityClass, ...]
    class_index: Mapping[str, int]
    node_types: tuple[NodeType, ...]
    unacknowledged_max: int
    config_hash: str
    lends: bool
    fractions: Fractions

    def resource_names(self) -> set[str]:
        """Resources that every round of the pool has a column for."""
        config = self.config
        names = {*config.fair_share_resources, *config.indexed_resources, *config.max_fraction_per_round}
        for priority_class in self.classes:
            names.update(priority_class.max_fraction_per_queue)
        return names.union(self.settings.floating_resources)

    def floating(self, resources: Resources) -> tuple[int, ...]:
        """The pool's amount of each floating resource, by column."""
        quantities = self.settings.floating_resources
        return tuple(
            amount_of(name, quantities[name]) if name in quantities else NOT_FLOATING for name in resources.names
        )

    def queue(self, row: QueueRow, limiter: Limiter | None, penalty: Mapping[str, int]) -> Queue:
        """A queue as its row says. Limits that name resources or classes of no use here are left out. penalty: base
        units that it is charged for what it does not hold."""
        spec = row.spec
        return Queue(
            name=spec.name,
            weight=1.0 / spec.priority_factor,
            cordoned=spec.cordoned,
            max_fraction_per_queue=self._fractions(spec.resource_limits),
            limiter=limiter,
            penalty=penalty,
        )

    def _fractions(self, text: str) -> ClassFractions:
        if text in ("", "{}"):
            return {}
        try:
            given = msgspec.json.decode(text, type=ClassFractions)
        except msgspec.MsgspecError:
            return {}
        names = self.resource_names()
        return {
            name: {resource: fraction for resource, fraction in fractions.items() if resource in names}
            for name, fractions in given.items()
            if name in self.class_index
        }


def pool_rules(settings: SchedulerSettings) -> dict[str, PoolRules]:
    """The rules of every pool of the settings."""
    classes = tuple(
        PriorityClass(
            name=name,
            priority=each.priority,
            preemptible=each.preemptible,
            max_fraction_per_queue=dict(each.max_fraction_per_queue),
            away=tuple(Away(node_type=away.node_type, priority=away.priority) for away in each.away),
        )
        for name, each in sorted(settings.priority_classes.items())
    )
    node_types = tuple(
        NodeType(
            name=name,
            taints=tuple(Taint(key=taint.key, value=taint.value, effect=taint.effect) for taint in each.taints),
        )
        for name, each in sorted(settings.node_types.items())
    )
    common = settings.model_dump_json(include={"priority_classes", "node_types", "unacknowledged_runs_max"})
    return {
        name: PoolRules(
            settings=pool,
            config=_config(pool),
            classes=classes,
            class_index={each.name: index for index, each in enumerate(classes)},
            node_types=node_types,
            unacknowledged_max=settings.unacknowledged_runs_max,
            config_hash=_hash(common + pool.model_dump_json()),
            fractions=Fractions.of(settings.cpu_fraction_max, settings.full_rounds_fraction_max),
            lends=any(name in other.away_pools for other in settings.pools.values()),
        )
        for name, pool in sorted(settings.pools.items())
    }


def _config(pool: PoolSettings) -> RoundConfig:
    return RoundConfig(
        fair_share_resources=dict(pool.fair_share_resources),
        indexed_resources=pool.indexed_resources,
        protected_fraction_of_fair_share=pool.protected_fraction_of_fair_share,
        prefer_large_jobs=pool.prefer_large_jobs,
        max_fraction_per_round=dict(pool.max_fraction_per_round),
        lookback=pool.lookback,
        fair_share_preemption=pool.fair_share_preemption,
        urgency_preemption=pool.urgency_preemption,
        fair_share_preemption_budget=pool.fair_share_preemption_budget,
        decision_budget=min(pool.decision_budget or DECISIONS_PER_ROUND_MAX, DECISIONS_PER_ROUND_MAX),
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]
