"""Deciding PreemptRuns and RejectJobs: the leader ends runs that must make room, and queued jobs that fit nowhere."""

from typing import Any

from app.domain.apply import state_of
from app.domain.commands import Preemption, PreemptReason, PreemptRuns, Rejection, RejectJobs
from app.domain.decision import Deciding, Why, is_active
from app.domain.errors import ErrorCode
from app.domain.events import StopReason
from app.domain.ids import format_id
from app.domain.leading import is_stale
from app.domain.lifecycle import EventKind, JobState
from app.domain.rows import FLAG_PREEMPTIBLE, JobHead, JobRow

PREEMPTED = {
    PreemptReason.FAIR_SHARE: ("FairSharePreemption", "its queue held more than its fair share"),
    PreemptReason.URGENCY: ("UrgencyPreemption", "a job of a higher priority took its room"),
    PreemptReason.GANG: ("GangPreemption", "another member of its gang was preempted"),
    PreemptReason.OVERCOMMITTED: ("OvercommitPreemption", "its node held more than it has"),
}
"""reason code, and the reason where the leader gives no message"""


def preempt_runs(d: Deciding, command: PreemptRuns) -> None:
    """Ends the named runs and their jobs, where they are still what the leader saw and may be preempted. The runs
    hold their room until their last word."""
    if is_stale(d, command.epoch):
        return
    for index, preemption in enumerate(command.preemptions):
        d.answer("preemptions", index, preemption.job_id, _preempt(d, preemption), preemption.run_id)


def reject_jobs(d: Deciding, command: RejectJobs) -> None:
    """Ends the named jobs, where they still wait under the attempt that the leader saw."""
    if is_stale(d, command.epoch):
        return
    for index, rejection in enumerate(command.rejections):
        d.answer("rejections", index, rejection.job_id, _reject(d, rejection), rejection.job_id)


def _preempt(d: Deciding, preemption: Preemption) -> Why | None:
    """Preempts one run; returns code, field and message when it does not."""
    job_id = preemption.job_id
    job = d.job(job_id)
    if job is None:
        return ErrorCode.NOT_FOUND, "jobId", f"no live job {format_id(job_id)}"
    row, head = job
    if not is_active(state_of(head)) or head.run_id != preemption.run_id:
        return ErrorCode.CONFLICT, "runId", "not the job's current run"
    if head.attempt != preemption.attempt:
        return ErrorCode.CONFLICT, "attempt", f"the run is attempt {head.attempt}"
    if not head.flags & FLAG_PREEMPTIBLE:
        return ErrorCode.INVALID, "jobId", "the job is not preemptible"
    code, reason = PREEMPTED[preemption.reason]
    reason = preemption.message or reason
    end_preempted(d, job_id, row, head, reason_code=code, reason=reason, preempted_by=preemption.by_job)
    return None


def end_preempted(d: Deciding, job_id: bytes, row: JobRow, head: JobHead, **details: Any) -> None:
    """Ends an active job and its run, which holds its room until its last word; `details` are fields of Event."""
    d.stop(job_id, head.run_id, head.attempt, row.cluster, StopReason.PREEMPTED, gone=False)
    for kind in (EventKind.PREEMPTING, EventKind.PREEMPTED):
        d.event(job_id, row, head, kind, **details)
        job = d.job(job_id)
        assert job is not None
        row, head = job
    d.event(job_id, row, head, EventKind.FAILED, terminal=True, retryable=False, **details)


def _reject(d: Deciding, rejection: Rejection) -> Why | None:
    """Rejects one job; returns code, field and message when it does not."""
    job_id = rejection.job_id
    job = d.job(job_id)
    if job is None:
        return ErrorCode.NOT_FOUND, "jobId", f"no live job {format_id(job_id)}"
    row, head = job
    state = state_of(head)
    if state is not JobState.QUEUED:
        return ErrorCode.CONFLICT, "jobId", f"the job is {state}"
    if head.attempt != rejection.attempt:
        return ErrorCode.CONFLICT, "attempt", f"the job stands at attempt {head.attempt}"
    details: dict[str, Any] = {"reason_code": rejection.reason_code, "reason": rejection.reason}
    d.event(job_id, row, head, EventKind.REJECTED, **details)
    job = d.job(job_id)
    assert job is not None
    d.event(job_id, *job, EventKind.FAILED, terminal=True, retryable=False, **details)
    return None
