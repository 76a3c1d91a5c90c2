"""The scheduler: pools, priority classes, limits."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from app.settings.section import DAY_MS, EFFECT_PATTERN, HOUR_S, MINUTE_S, Fraction, Name, Quantity, Section

Multiplier = Annotated[float, Field(gt=0.0, le=1e6)]


class TaintSettings(Section):
    """A taint, as Kubernetes has it."""

    key: str = Field(min_length=1, max_length=317)
    """Its name."""
    value: str = Field(default="", max_length=63)
    """Its value."""
    effect: str = Field(default="NoSchedule", pattern=EFFECT_PATTERN, min_length=1)
    """NoSchedule, PreferNoSchedule or NoExecute."""


class LimiterSettings(Section):
    """A token bucket for new runs."""

    tokens_per_s: float = Field(gt=0.0, le=1e9)
    """How fast it fills."""
    burst_tokens: int = Field(ge=1, le=1_000_000_000)
    """What it holds. A gang larger than this is never scheduled."""


class PoolSettings(Section):
    """How the nodes of one pool are shared: `config` and the pool's parts of a round file."""

    fair_share_resources: Mapping[str, Multiplier] = {"cpu": 1.0, "memory": 1.0, "nvidia.com/gpu": 1.0}
    """Resources that count in a queue's cost, with their multipliers; others count 0."""
    indexed_resources: tuple[str, ...] = ("nvidia.com/gpu", "cpu", "memory")
    """Best fit compares free amounts in this order, then node order."""
    protected_fraction_of_fair_share: float = Field(default=1.0, ge=0.0, le=1e6)
    """Queues strictly above this fraction of max(capped, fair) share are evicted from."""
    prefer_large_jobs: bool = False
    """Order between queues (SC7)."""
    max_fraction_per_round: Mapping[str, Fraction] = {}
    """Resource → fraction of the pool; new work stops once it is strictly exceeded."""
    lookback: int = Field(default=100_000, ge=1, le=10_000_000)
    """New jobs considered per queue and round."""
    fair_share_preemption: bool = True
    """Whether shares are balanced by preemption."""
    urgency_preemption: bool = True
    """Whether a more urgent class may preempt."""
    fair_share_preemption_budget: int | None = Field(default=None, ge=0)
    """Jobs that balancing may preempt in one round; null = no limit."""
    decision_budget: int | None = Field(default=None, ge=1)
    """New gangs considered in one round; null = no limit."""
    limiter: LimiterSettings | None = None
    """Of the pool; null = no limit."""
    queue_limiter: LimiterSettings | None = None
    """Of each queue in the pool; null = no limit."""
    floating_resources: Mapping[str, Quantity] = {}
    """Resources of the pool that lie on no node (licences, say)."""
    short_job_cutoff_s: float = Field(default=0.0, ge=0.0, le=DAY_MS / 1000)
    """A run that ended sooner than this after its start, and was not preempted, costs its queue until then as if it
    ran on, so that very short jobs do not win more than their share; 0 = it does not."""
    away_pools: tuple[Name, ...] = ()
    """Pools whose nodes its jobs may use too, where theirs do not suffice; jobs of those pools preempt them first."""


class AwaySettings(Section):
    """Where jobs of a class may go when they fit nowhere at home."""

    node_type: Name
    """A key of `scheduler.node_types`, whose taints are then tolerated."""
    priority: int = Field(ge=-1_000_000_000, le=1_000_000_000)
    """At this priority."""


class PriorityClassSettings(Section):
    """A priority class of jobs."""

    priority: int = Field(ge=-1_000_000_000, le=1_000_000_000)
    """The higher comes first, and may preempt."""
    preemptible: bool
    """Whether its jobs may be preempted."""
    max_fraction_per_queue: Mapping[str, Fraction] = {}
    """Resource → fraction of a pool that jobs of this class may hold per queue."""
    away: tuple[AwaySettings, ...] = ()
    """Tried in order after home."""


class NodeTypeSettings(Section):
    """A well-known node type."""

    taints: tuple[TaintSettings, ...] = ()
    """Tolerated by jobs that go there as strangers."""


class SubmitCheckSettings(Section):
    """Jobs and gangs that would fit on no empty pool."""

    enabled: bool = True
    """Whether they are rejected."""
    grace_s: float = Field(default=60.0, ge=0.0, le=30 * 24 * HOUR_S)
    """So long every known cluster must have been heard, with all of its nodes, and nothing fitted."""
    absent_cluster_max_s: float = Field(default=DAY_MS / 1000, ge=0.0, le=30 * 24 * HOUR_S)
    """A cluster that is known and not heard, or that has not told its nodes, keeps every job from being rejected, for
    it may be the only one that could take it; no longer than this while others are heard (each leader counts anew)."""


class SchedulerSettings(Section):
    """The leader logs what deciding needs of this as a `Settings` command, so a change takes effect at its restart."""

    round_interval_ms: int = Field(default=250, ge=10, le=60_000)
    """Rounds of one pool begin at most this often."""
    cpu_fraction_max: float = Field(default=0.5, gt=0.0, le=1.0)
    """Of a core, spent on rounds."""
    full_rounds_fraction_max: float = Field(default=0.2, gt=0.0, lt=1.0)
    """Of a core, spent on full rounds of a pool whose full rounds take long; cheap rounds, which only look at what came
    and may go since the round before, have the rest of cpu_fraction_max."""
    leader_session_timeout_s: float = Field(default=6.0, ge=1.0, le=300.0)
    """A leader that is silent this long is replaced."""
    pools: Mapping[Name, PoolSettings] = Field(default={"default": PoolSettings()}, min_length=1, max_length=1_000)
    """By name. Nodes of a pool that is not here are shown and never used."""
    priority_classes: Mapping[Name, PriorityClassSettings] = Field(
        default={
            "argosy-default": PriorityClassSettings(priority=1000, preemptible=False),
            "argosy-preemptible": PriorityClassSettings(priority=1000, preemptible=True),
        },
        min_length=1,
        max_length=1_000,
    )
    """By name."""
    default_priority_class: Name = "argosy-default"
    """Of jobs that name none."""
    node_types: Mapping[Name, NodeTypeSettings] = {}
    """Well-known node types, for `away`."""
    cluster_silent_idle_s: float = Field(default=10 * MINUTE_S, gt=0)
    """A cluster that is silent this long gets no new work."""
    cluster_silent_expire_s: float = Field(default=HOUR_S, gt=0)
    """Runs of a cluster that is silent this long expire."""
    unacknowledged_runs_max: int = Field(default=5_000, ge=1, le=1_000_000)
    """Leased runs of one cluster that it has not reported yet; at this number it takes no new ones."""
    run_unreported_s: float = Field(default=15 * MINUTE_S, gt=0)
    """A leased run that its cluster, though heard, does not report for this long is ended and its job queued again."""
    job_age_max_s: float = Field(default=28 * 24 * HOUR_S, gt=0)
    """A live job older than this is ended: the log does not hold it for ever (30 days less two)."""
    max_attempts: int = Field(default=4, ge=1, le=100)
    """Attempted runs of a job whose leases are returned."""
    client_id_retention_ms: int = Field(default=7 * DAY_MS, ge=60_000, le=365 * DAY_MS)
    """How long, in log time, a repeated client id or request id gets the first answer."""
    submit_check: SubmitCheckSettings = SubmitCheckSettings()
    """Jobs that fit nowhere."""
    fault_stop_before_send: bool = False
    """For fault tests: a leader stops itself (SIGSTOP) once, after deciding its first leases and before sending
    them."""
    fault_stop_before_preempt: bool = False
    """For fault tests: a leader stops itself once, after its first lease that displaces runs was applied and before
    sending their preemption."""

    @model_validator(mode="after")
    def _names_agree(self) -> "SchedulerSettings":
        if self.default_priority_class not in self.priority_classes:
            raise ValueError(f"default_priority_class {self.default_priority_class!r} is not a key of priority_classes")
        for name, priority_class in self.priority_classes.items():
            for away in priority_class.away:
                if away.node_type not in self.node_types:
                    raise ValueError(f"priority_classes.{name}.away: {away.node_type!r} is not a key of node_types")
        for name, pool in self.pools.items():
            for other in pool.away_pools:
                if other == name or other not in self.pools:
                    raise ValueError(f"pools.{name}.away_pools: {other!r} is not another key of pools")
        if self.full_rounds_fraction_max >= self.cpu_fraction_max:
            raise ValueError("full_rounds_fraction_max must be below cpu_fraction_max")
        if self.cluster_silent_idle_s > self.cluster_silent_expire_s:
            raise ValueError("cluster_silent_idle_s must not be above cluster_silent_expire_s")
        return self
