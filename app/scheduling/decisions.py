"""`Decisions`: what a round decided, as columns of indices into its `Round`.

A list of a million waiting jobs costs five bytes each here; texts are made on demand (decisions_file.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from app.scheduling.resources import Float64, Int32, Int64

UInt8 = npt.NDArray[np.uint8]
NO_JOB = -1


class Method(IntEnum):
    """How a job came to its node. `text` is its name in the decisions file."""

    FREE = 0
    FAIR_SHARE_PREEMPTION = 1
    URGENCY_PREEMPTION = 2
    AWAY = 3
    AWAY_FAIR_SHARE_PREEMPTION = 4
    AWAY_URGENCY_PREEMPTION = 5

    @property
    def text(self) -> str:
        """The name in a decisions file."""
        return _camel(self.name)


class PreemptionReason(IntEnum):
    """Why a run was preempted."""

    FAIR_SHARE = 0
    URGENCY = 1
    GANG = 2
    OVERCOMMITTED = 3

    @property
    def text(self) -> str:
        """The name in a decisions file."""
        return _camel(self.name)


class Reason(IntEnum):
    """Why a queued job was not scheduled in this round."""

    NO_NODE_FITS = 0
    """No node can take its shape now; the explanation counts the nodes by reason."""
    FLOATING_RESOURCES = 1
    """The pool has not enough of a floating resource left."""
    QUEUE_CORDONED = 2
    """Its queue is cordoned."""
    QUEUE_RESOURCE_LIMIT = 3
    """It would take its queue above maxFractionPerQueue of its class."""
    QUEUE_RATE_LIMIT = 4
    """The limiter of its queue had no token left."""
    RATE_LIMIT = 5
    """The limiter of the pool had no token left."""
    ROUND_RESOURCE_LIMIT = 6
    """New work of this round exceeded maxFractionPerRound before its turn."""
    LOOKBACK = 7
    """More than `lookback` jobs of its queue stood before it."""
    DECISION_BUDGET = 8
    """The round ended (decisionBudget) before its turn."""
    GANG_INCOMPLETE = 9
    """Members of its gang are missing."""
    BURST_TOO_SMALL = 10
    """Its gang is larger than a limiter can ever hold tokens."""
    OUTRANKED = 11
    """It was placed, and lost its place in the same round to jobs of a higher priority."""

    @property
    def text(self) -> str:
        """The name in a decisions file."""
        return _camel(self.name)


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """Jobs that got a node, in the order of decision: job, node, priority int32; method uint8 (Method)."""

    job: Int32
    node: Int32
    priority: Int32
    method: UInt8

    @classmethod
    def of(cls, rows: Int64) -> "Scheduled":
        """From rows of job, node, priority and method (n, 4)."""
        job, node, priority = (rows[:, column].astype(np.int32) for column in range(3))
        return cls(job=job, node=node, priority=priority, method=rows[:, 3].astype(np.uint8))

    def __len__(self) -> int:
        return len(self.job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempted:
    """Jobs that ran and shall run no longer.

    job, node, `by` (the job that takes the room, or NO_JOB): int32; reason: uint8 (PreemptionReason).
    """

    job: Int32
    node: Int32
    reason: UInt8
    by: Int32

    def __len__(self) -> int:
        return len(self.job)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueShares:
    """Shares by queue index, float64, fractions of the pool; a queue without running or eligible jobs holds 0.

    `fair`: weight among active queues. `capped`: fair share after demands that are lower have given theirs away.
    `uncapped`: what the queue would get with endless demand. `demand`: cost of its demand. `before`, `after`: cost of
    what it holds. `tokens`: left in its limiter, infinite without one.
    """

    fair: Float64
    capped: Float64
    uncapped: Float64
    demand: Float64
    before: Float64
    after: Float64
    tokens: Float64


@dataclass(frozen=True, slots=True, kw_only=True)
class Unschedulable:
    """Queued jobs that got no node: job int32, reason uint8 (Reason), explanation int32 (its index, or -1)."""

    job: Int32
    reason: UInt8
    explanation: Int32

    def __len__(self) -> int:
        return len(self.job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why no node took a shape, as things stood at the end of the round.

    `nodes`: number of nodes by the first thing that speaks against them; the numbers sum to the nodes of the round.
    Nodes that nothing speaks against ("has room") gained room after the shape had its turn, or lack it for a gang.
    `shortfall`: base units by resource that are missing on the node (allowed by all but room) that has most of it.
    """

    nodes: Mapping[str, int]
    shortfall: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An offender that the round left out: a job or (job = NO_JOB) a node, by index, and one sentence why."""

    job: int
    node: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A job that can never be scheduled, and why. The simple algorithm rejects nothing."""

    job: int
    reason: str


class Details(Protocol):
    """What few ask for: worked out when it is asked for."""

    @property
    def shares(self) -> QueueShares: ...
    @property
    def unschedulable(self) -> Unschedulable: ...
    @property
    def explanations(self) -> Sequence[Explanation]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDetails:
    """Details that are at hand."""

    shares: QueueShares
    unschedulable: Unschedulable
    explanations: Sequence[Explanation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The result of a round. `tokens`: left in the pool's limiter, None without one.

    `considered`: candidates that were looked at, what decisionBudget counts.
    """

    scheduled: Scheduled
    preempted: Preempted
    details: Details
    quarantined: tuple[Quarantined, ...]
    tokens: float | None
    rejected: tuple[Rejected, ...]
    considered: int

    @property
    def shares(self) -> QueueShares:
        """Shares by queue."""
        return self.details.shares

    @property
    def unschedulable(self) -> Unschedulable:
        """Queued jobs that got no node, in job order."""
        return self.details.unschedulable

    @property
    def explanations(self) -> Sequence[Explanation]:
        """What `unschedulable.explanation` is an index of."""
        return self.details.explanations


def no_placements() -> Scheduled:
    """Nobody placed."""
    empty = np.zeros(0, np.int32)
    return Scheduled(job=empty, node=empty, priority=empty, method=np.zeros(0, np.uint8))


def no_preemptions() -> Preempted:
    """Nobody preempted."""
    empty = np.zeros(0, np.int32)
    return Preempted(job=empty, node=empty, reason=np.zeros(0, np.uint8), by=empty)
