"""Deciding CancelJobs and CancelJobSet."""

from app.domain.apply import state_of
from app.domain.commands import CancelJobs, CancelJobSet
from app.domain.decision import Deciding, is_active
from app.domain.errors import ErrorCode
from app.domain.events import StopReason
from app.domain.lifecycle import LIVE, EventKind
from app.domain.named_jobs import named_jobs
from app.domain.operations import CANCEL, open_operation
from app.domain.rows import JobHead, JobRow, OperationRow


def cancel_jobs(d: Deciding, command: CancelJobs) -> None:
    """Cancels the jobs that are live, of the given queue and job set, and whose queue lets the principal."""
    for _, job_id, row, head in named_jobs(d, command, CANCEL):
        _cancel(d, job_id, row, head, command.principal.user, command.reason)
        d.affect(job_id)


def cancel_job_set(d: Deciding, command: CancelJobSet) -> bool:
    """Opens the operation; returns whether it did."""
    ended = [state for state in command.states if state not in LIVE]
    if ended:
        d.refuse(-1, ErrorCode.INVALID, "states", f"jobs in state {ended[0]} have ended and cannot be cancelled")
        return False
    return open_operation(d, command, CANCEL, states=command.states)


def reach_to_cancel(
    d: Deciding, operation: OperationRow, _offset: int, job_id: bytes, row: JobRow, head: JobHead
) -> bool:
    """What an operation does to one job."""
    _cancel(d, job_id, row, head, operation.requestor, operation.reason)
    return True


def _cancel(d: Deciding, job_id: bytes, row: JobRow, head: JobHead, requestor: str, reason: str | None) -> None:
    """Ends a live job. Its run, if any, is stopped and holds its room until its last word."""
    if is_active(state_of(head)):
        d.stop(job_id, head.run_id, head.attempt, row.cluster, StopReason.CANCELLED, gone=False)
        d.event(job_id, row, head, EventKind.CANCELLING, requestor=requestor, reason=reason)
    d.event(job_id, row, head, EventKind.CANCELLED, requestor=requestor, reason=reason, terminal=True)
