"""What `reconcile` wants done: values only. The applier carries them out, `reconcile.commit` notes that they were
begun."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.executor.desired import Ending
from app.executor.protocol import Lease, Report


class DeleteKind(StrEnum):
    """Why a pod is deleted."""

    END = "END"
    """its run is to end"""
    FORCE = "FORCE"
    """it is to end and did not within its grace time"""
    TRIM = "TRIM"
    """it is finished, and its end was accepted"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Create the pod of this lease."""

    run_id: str
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete this very pod."""

    run_id: str
    namespace: str
    name: str
    uid: str
    grace_seconds: int
    kind: DeleteKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Read a pod by name, not from the cache. namespace None: in whichever it is."""

    run_id: str
    namespace: str | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Write the last word of its run on this very pod, before it is deleted."""

    run_id: str
    namespace: str
    name: str
    uid: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Hold this very pod no longer: the last word on it was accepted."""

    run_id: str
    namespace: str
    name: str
    uid: str


@dataclass(slots=True, kw_only=True)
class Actions:
    """Everything that follows from one look. endings: decided here (trouble); wake_ms: run -> when time alone may
    change something; waiting: runs that wait for displaced ones; settled: runs that do not any more; needs_full: only
    a full answer can tell."""

    creates: list[Create] = field(default_factory=list)
    deletes: list[Delete] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    endings: dict[str, Ending] = field(default_factory=dict)
    wake_ms: dict[str, int] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    needs_full: bool = False

    def wake(self, run_id: str, at_ms: int) -> None:
        """Look at this run again then, or earlier."""
        known = self.wake_ms.get(run_id)
        self.wake_ms[run_id] = at_ms if known is None else min(known, at_ms)
