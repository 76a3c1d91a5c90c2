"""`Decision`: everything that one command yields, and `Deciding`: the hand that writes it.

`Deciding` numbers events and stops, keeps the job set of each, and applies every change at once, so that later
items of a command see what the earlier ones did.
"""

from dataclasses import dataclass, field
from typing import Any

from app.domain.apply import apply, head_of, position_of, state_of
from app.domain.changes import Change, JobEvent, JobSetKey, RunStopped
from app.domain.commands import Spec
from app.domain.errors import ErrorCode, Refusal
from app.domain.events import Duplicate, Event, JobData, LeaseData, Outcome, Progress, StopData, StopReason
from app.domain.lifecycle import EventKind, JobState, after
from app.domain.limits import FIRST_CLIENT_ID_RETENTION_MS, FIRST_MAX_ATTEMPTS, OPERATION_IDS_NAMED_MAX
from app.domain.rows import SETTINGS_KEY, JobHead, JobRow, SettingsRow
from app.domain.state import FIRST_SETTINGS, Overlay

assert FIRST_SETTINGS.max_attempts == FIRST_MAX_ATTEMPTS
assert FIRST_SETTINGS.client_id_retention_ms == FIRST_CLIENT_ID_RETENTION_MS

Why = tuple[ErrorCode, str, str]
"""Why an item is refused: code, field, message."""


@dataclass(slots=True)
class Decision:
    """What one command yields. events: (job set, event) in order; ordinals counts events and stops; changes: all of
    it, for checks.

    failed_items: (index, message) of items that raised; they were refused alone."""

    outcome: Outcome = field(default_factory=Outcome)
    operations: list[Progress] = field(default_factory=list)
    specs: list[Spec] = field(default_factory=list)
    jobs: list[JobData] = field(default_factory=list)
    leases: list[LeaseData] = field(default_factory=list)
    reported: list[bytes] = field(default_factory=list)
    stops: list[StopData] = field(default_factory=list)
    events: list[tuple[JobSetKey, Event]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    failed_items: list[tuple[int, str]] = field(default_factory=list)
    ordinals: int = 0


class Deciding:
    """One command on its way to a Decision."""

    __slots__ = (
        "_lengths",
        "affected",
        "affected_count",
        "decision",
        "duplicates",
        "log_time_ms",
        "offset",
        "partition",
        "refusals",
        "repeated",
        "state",
    )

    def __init__(self, state: Overlay, partition: int, offset: int, log_time_ms: int) -> None:
        self.state, self.partition, self.offset, self.log_time_ms = state, partition, offset, log_time_ms
        self.decision = Decision()
        self.refusals: list[Refusal] = []
        self.duplicates: list[Duplicate] = []
        self.affected: list[bytes] = []
        self.affected_count = 0
        self.repeated = b""
        self._lengths: tuple[int, ...] = ()

    # What deciding reads besides rows

    @property
    def settings(self) -> SettingsRow:
        """The settings in force in this partition."""
        row = self.state.row(SETTINGS_KEY)
        return row if isinstance(row, SettingsRow) else FIRST_SETTINGS

    @property
    def epoch(self) -> int:
        """The epoch in force in this partition."""
        return position_of(self.state).epoch

    # What deciding writes

    def change(self, change: Change) -> None:
        """Emits a change and applies it."""
        apply(self.state, change, self.offset, self.log_time_ms)
        self.decision.changes.append(change)

    def refuse(self, index: int, code: ErrorCode, path: str, message: str, id: bytes = b"") -> None:
        """Refuses an item, or (index -1) the command."""
        self.refusals.append(Refusal(index=index, code=code, path=path, message=message, id=id))

    def affect(self, job_id: bytes) -> None:
        """The command changed this job."""
        self.affected_count += 1
        if len(self.affected) < OPERATION_IDS_NAMED_MAX:
            self.affected.append(job_id)

    def answer(self, items: str, index: int, job_id: bytes, why: Why | None, id: bytes) -> None:
        """The job is affected, or (`why`) the item at this index of the command's field `items` is refused."""
        if why is None:
            self.affect(job_id)
        else:
            code, path, message = why
            self.refuse(index, code, f"{items}[{index}].{path}", message, id)

    def ordinal(self) -> int:
        """The next ordinal of the command."""
        self.decision.ordinals += 1
        return self.decision.ordinals - 1

    def event(
        self, job_id: bytes, row: JobRow, head: JobHead, kind: EventKind, *, outranks: bool = False, **details: Any
    ) -> Event:
        """Emits an event of a live job; `details` are fields of Event, `outranks` one of JobEvent. The run's place is
        filled in while there is a run."""
        before = state_of(head)
        run = head.run_id if head.run_id != bytes(16) else None
        if run is not None and "run_id" not in details:
            details |= {"run_id": run, "cluster": row.cluster, "node": row.node, "pool": row.pool}
        event = Event(
            ordinal=self.ordinal(),
            kind=kind,
            job_id=job_id,
            before=before,
            after=after(kind, before),
            attempt=details.pop("attempt", head.attempt),
            **details,
        )
        self._emit(JobEvent(JobSetKey(row.queue, row.incarnation, row.job_set), event, outranks=outranks))
        return event

    def submitted(self, job_set: JobSetKey, event: Event, data: JobData) -> None:
        """Emits SUBMITTED."""
        self._emit(JobEvent(job_set, event, data=data))
        self.decision.jobs.append(data)

    def leased(self, row: JobRow, event: Event, lease: LeaseData, scheduled_at_priority: int) -> None:
        """Emits LEASED."""
        job_set = JobSetKey(row.queue, row.incarnation, row.job_set)
        self._emit(JobEvent(job_set, event, lease=lease, scheduled_at_priority=scheduled_at_priority))
        self.decision.leases.append(lease)

    def stop(self, job_id: bytes, run_id: bytes, attempt: int, cluster: str, reason: StopReason, *, gone: bool) -> None:
        """Says that a run ended; to be called before the event that ends or requeues its job."""
        stop = StopData(
            ordinal=self.ordinal(),
            run_id=run_id,
            job_id=job_id,
            attempt=attempt,
            cluster=cluster,
            reason=reason,
            gone=gone,
        )
        self.change(RunStopped(stop))
        self.decision.stops.append(stop)

    def job(self, job_id: bytes) -> tuple[JobRow, JobHead] | None:
        """A live job as it stands now."""
        from_state = self.state.row(b"j" + job_id)
        return (from_state, head_of(from_state)) if isinstance(from_state, JobRow) else None

    def _emit(self, change: JobEvent) -> None:
        self.change(change)
        self.decision.events.append((change.job_set, change.event))

    # Items that are decided one by one

    def mark(self) -> None:
        """From here on `roll_back` can undo; what was decided before is kept."""
        self.state.keep()
        d = self.decision
        self._lengths = (
            d.ordinals, len(d.jobs), len(d.leases), len(d.reported), len(d.stops), len(d.events), len(d.changes),
            len(d.operations), len(self.refusals), len(self.affected), self.affected_count,
        )  # fmt: skip

    def roll_back(self) -> None:
        """Undoes everything since `mark`."""
        self.state.drop()
        d = self.decision
        d.ordinals = self._lengths[0]
        lists: tuple[list[Any], ...] = (
            d.jobs, d.leases, d.reported, d.stops, d.events, d.changes, d.operations, self.refusals, self.affected,
        )  # fmt: skip
        for some, length in zip(lists, self._lengths[1:10], strict=True):
            del some[length:]
        self.affected_count = self._lengths[10]

    def finish(self, *, operation: bool = False) -> Decision:
        """The decision with its outcome."""
        self.decision.outcome = Outcome(
            refusals=tuple(self.refusals),
            duplicates=tuple(self.duplicates),
            repeated=self.repeated,
            affected=tuple(self.affected),
            affected_count=self.affected_count,
            operation=operation,
        )
        return self.decision


def is_active(state: JobState) -> bool:
    """Whether a job in this state has a run."""
    return state in (JobState.LEASED, JobState.PENDING, JobState.RUNNING)
