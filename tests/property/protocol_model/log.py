"""The commands of the model's log, and the rows that deciding keeps."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Submit:
    job: int


@dataclass(frozen=True, slots=True)
class Cancel:
    job: int


@dataclass(frozen=True, slots=True)
class BeginEpoch:
    epoch: int


@dataclass(frozen=True, slots=True)
class BeginInstance:
    cluster: str
    instance: int


@dataclass(frozen=True, slots=True)
class LeaseJob:
    epoch: int
    job: int
    attempt: int
    run: str
    node: str
    displaced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preempt:
    epoch: int
    run: str


@dataclass(frozen=True, slots=True)
class ReportRun:
    cluster: str
    instance: int
    run: str
    state: str


Command = Submit | Cancel | BeginEpoch | BeginInstance | LeaseJob | Preempt | ReportRun


class RunState(Enum):
    LEASED = "leased"
    REPORTED = "reported"
    STOPPING = "stopping"
    ASSUMED = "assumed"
    """decided by a leader, not yet by the queue agent"""


@dataclass(frozen=True, slots=True)
class JobRow:
    state: str
    """queued, active or ended"""
    attempt: int
    run: str | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run that is not gone. leased: offset of its lease; stopped: offset at which we ended it."""

    job: int
    node: str
    partition: int
    leased: int
    displaced: tuple[str, ...]
    state: RunState = RunState.LEASED
    stopped: int = -1


@dataclass(frozen=True, slots=True)
class GoneRow:
    """A run that is gone, kept for the executors. at: offset of the stop or, finished, of its accepted end."""

    job: int
    node: str
    at: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows of one partition after some offset: what a view shows."""

    jobs: dict[int, JobRow]
    runs: dict[str, RunRow]
    gone: dict[str, GoneRow]
