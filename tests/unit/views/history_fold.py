"""The history told once more, plainly: one event after the other, nothing of the view's code."""

from dataclasses import dataclass, field

from app.domain.events import Event
from app.domain.lifecycle import ENDED, EventKind, JobState
from tests.unit.views.event_log import PartitionLog


@dataclass
class Folded:
    """A job as its events tell it, one after the other."""

    queue: str
    job_set: str
    state: JobState = JobState.QUEUED
    changed_ms: int = 0
    attempt: int = 0
    node: str | None = None
    runs: list[bytes] = field(default_factory=list)
    outcomes: dict[bytes, str] = field(default_factory=dict)
    errors: int = 0
    times: dict[str, int] = field(default_factory=dict)
    exit_code: int | None = None
    requestor: str | None = None


def fold(log: PartitionLog) -> dict[bytes, Folded]:
    """One event after the other, nothing of the view's code."""
    jobs: dict[bytes, Folded] = {}
    for _, time_ms, queue, name, event in log.decided:
        if event.kind is EventKind.SUBMITTED:
            jobs[event.job_id] = Folded(queue, name, changed_ms=time_ms)
            continue
        job = jobs[event.job_id]
        if event.before in ENDED:
            continue
        if event.before != event.after:
            job.state, job.changed_ms = event.after, time_ms
        _fold_run(job, event, time_ms)
        if event.kind in (EventKind.FAILED, EventKind.LEASE_RETURNED, EventKind.LEASE_EXPIRED):
            job.errors += 1
        if event.kind in (EventKind.SUCCEEDED, EventKind.FAILED):
            job.exit_code = event.exit_code
        if event.kind is EventKind.CANCELLED:
            job.requestor = event.requestor
    return jobs


def _fold_run(job: Folded, event: Event, time_ms: int) -> None:
    if event.kind is EventKind.LEASED:
        assert event.run_id is not None
        job.runs.append(event.run_id)
        job.attempt, job.node, job.times = event.attempt, event.node, {"leased": time_ms}
    elif event.kind in (EventKind.PENDING, EventKind.RUNNING):
        job.times[event.kind.value.lower()] = time_ms
    elif event.kind in (EventKind.LEASE_RETURNED, EventKind.LEASE_EXPIRED):
        job.outcomes[job.runs[-1]] = event.kind.value
        job.node, job.times = None, {}
    elif event.kind is EventKind.QUEUED:
        job.attempt = event.attempt
    elif event.kind is EventKind.FAILED and event.before is JobState.QUEUED and event.node is not None:
        job.node = event.node
