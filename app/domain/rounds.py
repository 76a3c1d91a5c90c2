"""What argosy.rounds holds: each scheduling round as a record, for views, explanation, replay and the next leader."""

from msgspec import Struct


class Offset(Struct, frozen=True, kw_only=True):
    """An element of a vector: everything up to this offset of argosy.commands was known."""

    partition: int
    offset: int


class Placed(Struct, frozen=True, kw_only=True):
    """A job that the round placed."""

    job_id: bytes
    run_id: bytes
    queue: str
    cluster: str
    node: str
    scheduled_at_priority: int
    method: str


class Displaced(Struct, frozen=True, kw_only=True):
    """A run that the round preempts, and for which job."""

    job_id: bytes
    run_id: bytes
    queue: str
    node: str
    reason: str
    by: bytes | None


class ReasonCount(Struct, frozen=True, kw_only=True):
    """A reason and on how many nodes it holds."""

    reason: str
    nodes: int


class Blocked(Struct, frozen=True, kw_only=True):
    """Jobs of one shape and queue that were considered and not placed. shortfall: resource -> Kubernetes quantity
    missing on the best node."""

    queue: str
    shape_hash: bytes
    jobs: int
    example: bytes
    reason: str
    nodes: tuple[ReasonCount, ...] = ()
    shortfall: dict[str, str] = {}


class QueueShare(Struct, frozen=True, kw_only=True):
    """The shares of a queue in the pool, as fractions of its total."""

    queue: str
    weight: float
    fair_share: float
    capped_share: float
    uncapped_share: float
    demand_share: float
    actual_share_before: float
    actual_share_after: float


class RoundRecord(Struct, frozen=True, kw_only=True):
    """One round over one pool. round_id: 16 bytes; inputs: what state it saw; undecided: commands of this leader
    that were assumed.

    limiter_tokens: after the round (None = unlimited); queue_tokens: the same by queue, where queues are limited.
    timings_us: phase -> microseconds; config_hash names the settings it ran under."""

    round_id: bytes
    pool: str
    epoch: int
    kind: str
    started_ms: int
    inputs: tuple[Offset, ...]
    undecided: tuple[Offset, ...]
    config_hash: str
    limiter_tokens: float | None
    nodes: int
    queued: int
    running: int
    considered: int
    placed: tuple[Placed, ...]
    preempted: tuple[Displaced, ...]
    blocked: tuple[Blocked, ...]
    quarantined: tuple[Blocked, ...]
    shares: tuple[QueueShare, ...]
    timings_us: dict[str, int]
    queue_tokens: dict[str, float] = {}
