"""The rounds of one pool under one leader: prepare, decide off the event loop, send, record.

Input: the world, the leader's assumptions, what is closed. Output: leases and round records through the publisher.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

from app.domain.rounds import QueueShare
from app.scheduler.assumptions import Assumptions
from app.scheduler.buckets import Bucket, QueueBuckets
from app.scheduler.metrics import SchedulerMetrics
from app.scheduler.pool_rules import PoolRules
from app.scheduler.publisher import Publisher
from app.scheduler.round_input import Moment, PoolInput, PreparedRound, World
from app.scheduler.round_record import RoundHeader, leases_of, queue_shares, record_of
from app.scheduling.decisions import Decisions
from app.scheduling.schedule import schedule

KIND_FULL = "full"


class Restrictions(NamedTuple):
    """Who gets nothing new: silent clusters, partitions that do not answer."""

    idle: frozenset[str]
    closed: frozenset[int]


class Leading(NamedTuple):
    """What the rounds of one epoch share. new_id: ULIDs; executor: where rounds are decided."""

    epoch: int
    assumptions: Assumptions
    publisher: Publisher
    metrics: SchedulerMetrics
    new_id: Callable[[], bytes]
    executor: Executor


class PoolLoop:
    """One pool. `run_round` is called again and again."""

    def __init__(self, pool: str, rules: PoolRules, world: World, leading: Leading) -> None:
        self.pool = pool
        self._rules, self._world, self._leading = rules, world, leading
        self._input = PoolInput(pool, rules, world)
        limiter = rules.settings.limiter
        self._bucket = None if limiter is None else Bucket.full(limiter, time.monotonic())
        self._queue_buckets = QueueBuckets(rules.settings.queue_limiter)
        self._shares: tuple[QueueShare, ...] | None = None
        self._was_empty = False

    @property
    def limited(self) -> bool:
        """Whether time alone may let a job go that waited."""
        return self._bucket is not None or self._rules.settings.queue_limiter is not None

    def restore_tokens(self, tokens: float, age_s: float) -> None:
        """What the leader before had left, so long ago."""
        if self._bucket is not None:
            self._bucket.tokens = tokens
            self._bucket.at_s = time.monotonic() - max(0.0, age_s)

    async def run_round(self, restrictions: Restrictions) -> float:
        """One round; returns the seconds of computing that it took. Raises errors of the log."""
        started_ms, started_s = int(time.time() * 1000), time.monotonic()
        state, leading = self._world.state, self._leading
        inputs = {partition: state.position(partition).offset for partition in range(state.partitions)}
        undecided = leading.assumptions.undecided()
        prepared = self._input.prepare(self._moment(restrictions, started_s))
        prepared_s = time.monotonic()
        self._count_input(prepared, prepared_s - started_s)
        if not prepared.queued and self._was_empty:
            return prepared_s - started_s
        self._was_empty = not prepared.queued
        decisions = await asyncio.get_running_loop().run_in_executor(leading.executor, schedule, prepared.round)
        decided_s = time.monotonic()
        self._remember_tokens(prepared, decisions)
        round_id = leading.new_id()
        leases = leases_of(prepared, decisions, state.jobs, leading.new_id)
        computed_s = time.monotonic() - started_s
        await leading.publisher.leases(round_id, leases)
        sent_s = time.monotonic()
        header = RoundHeader(
            round_id=round_id,
            epoch=leading.epoch,
            kind=KIND_FULL,
            started_ms=started_ms,
            inputs=inputs,
            undecided=undecided,
            config_hash=self._rules.config_hash,
            timings_us={
                "prepare": _us(prepared_s - started_s),
                "schedule": _us(decided_s - prepared_s),
                "send": _us(sent_s - decided_s),
            },
        )
        placed = [each for some in leases.values() for each in some]
        shares = queue_shares(prepared.round, decisions)
        await leading.publisher.round(record_of(header, prepared, decisions, placed, shares != self._shares))
        self._shares = shares
        self._count_round(len(placed), decided_s - prepared_s, sent_s - decided_s)
        return computed_s

    def _moment(self, restrictions: Restrictions, now_s: float) -> Moment:
        return Moment(
            assumptions=self._leading.assumptions,
            idle=restrictions.idle,
            closed=restrictions.closed,
            limiter=None if self._bucket is None else self._bucket.limiter(now_s),
            queue_limiters=self._queue_buckets.limiters(list(self._world.state.queues), now_s),
        )

    def _remember_tokens(self, prepared: PreparedRound, decisions: Decisions) -> None:
        if self._bucket is not None and decisions.tokens is not None:
            self._bucket.left(decisions.tokens)
        if self._rules.settings.queue_limiter is not None:
            for queue, tokens in zip(prepared.round.queues, decisions.shares.tokens.tolist(), strict=True):
                self._queue_buckets.left(queue.name, tokens)

    def _count_input(self, prepared: PreparedRound, seconds: float) -> None:
        metrics = self._leading.metrics
        metrics.prepare_seconds.labels(self.pool).observe(seconds)
        metrics.queued.labels(self.pool).set(prepared.queued)
        metrics.running.labels(self.pool).set(prepared.running)
        metrics.nodes.labels(self.pool).set(len(prepared.round.nodes))
        metrics.parked.labels(self.pool).set(sum(prepared.parked.values()))

    def _count_round(self, placed: int, deciding_s: float, sending_s: float) -> None:
        metrics = self._leading.metrics
        metrics.rounds.labels(self.pool).inc()
        metrics.round_seconds.labels(self.pool).observe(deciding_s)
        metrics.send_seconds.observe(sending_s)
        metrics.placed.labels(self.pool).inc(placed)


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
