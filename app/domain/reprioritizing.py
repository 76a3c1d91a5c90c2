"""Deciding ReprioritizeJobs and ReprioritizeJobSet: live jobs get another place in their queue.

The later command wins, also over an operation that is older and has yet to reach the job. A job that stands at the
wanted priority already is affected and nothing more is said of it, so a repeated command gets the same answer.
"""

from app.domain.commands import ReprioritizeJobs, ReprioritizeJobSet
from app.domain.decision import Deciding
from app.domain.errors import ErrorCode
from app.domain.lifecycle import EventKind
from app.domain.limits import PRIORITY_MAX
from app.domain.named_jobs import named_jobs
from app.domain.operations import REPRIORITIZE, open_operation, open_operations, yet_to_reach
from app.domain.rows import JobHead, JobRow, OperationRow


def reprioritize_jobs(d: Deciding, command: ReprioritizeJobs) -> None:
    """Gives the named jobs the priority, where they are live and their queue lets the principal."""
    if not _is_priority(d, command.priority):
        return
    user, operations = command.principal.user, open_operations(d, REPRIORITIZE)
    for _, job_id, row, head in named_jobs(d, command, REPRIORITIZE):
        waiting = yet_to_reach(operations, job_id, row, head)
        outranks = waiting is not None and waiting[0] > _prioritized_offset(row)
        if head.priority != command.priority or outranks:
            _reprioritize(d, job_id, row, head, command.priority, user, command.reason, outranks=outranks)
        d.affect(job_id)


def reprioritize_job_set(d: Deciding, command: ReprioritizeJobSet) -> bool:
    """Opens the operation; returns whether it did."""
    if not _is_priority(d, command.priority):
        return False
    return open_operation(d, command, REPRIORITIZE, priority=command.priority)


def reach_to_reprioritize(
    d: Deciding, operation: OperationRow, offset: int, job_id: bytes, row: JobRow, head: JobHead
) -> bool:
    """What an operation does to one job."""
    assert operation.priority is not None, "an operation that reprioritizes has a priority"
    if _prioritized_offset(row) > offset:
        return False
    if head.priority != operation.priority:
        _reprioritize(d, job_id, row, head, operation.priority, operation.requestor, operation.reason)
    return True


def _reprioritize(
    d: Deciding,
    job_id: bytes,
    row: JobRow,
    head: JobHead,
    priority: int,
    requestor: str,
    reason: str | None,
    *,
    outranks: bool = False,
) -> None:
    d.event(job_id, row, head, EventKind.REPRIORITIZING, priority=priority, requestor=requestor, reason=reason)
    done = EventKind.REPRIORITIZED
    d.event(job_id, row, head, done, outranks=outranks, priority=priority, requestor=requestor, reason=reason)


def _prioritized_offset(row: JobRow) -> int:
    return row.more.prioritized_offset if row.more is not None else -1


def _is_priority(d: Deciding, priority: int) -> bool:
    if 0 <= priority <= PRIORITY_MAX:
        return True
    d.refuse(-1, ErrorCode.INVALID, "priority", f"must be between 0 and {PRIORITY_MAX:,}, not {priority:,}")
    return False
