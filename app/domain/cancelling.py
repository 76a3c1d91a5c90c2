"""Deciding CancelJobs, CancelJobSet and the operations that job-set commands open."""

from msgspec.structs import replace

from app.domain.apply import state_of
from app.domain.authority import may
from app.domain.changes import OperationMoved
from app.domain.commands import CancelJobs, CancelJobSet
from app.domain.decision import Deciding, is_active
from app.domain.errors import ErrorCode
from app.domain.events import Progress, StopReason
from app.domain.ids import format_id
from app.domain.lifecycle import LIVE, EventKind
from app.domain.limits import OPERATION_JOBS_PER_COMMAND_MAX
from app.domain.rows import JobHead, JobRow, OperationRow, QueueRow, queue_key


def cancel_jobs(d: Deciding, command: CancelJobs) -> None:
    """Cancels the jobs that are live, of the given queue and job set, and whose queue lets the principal."""
    allowed: dict[str, bool] = {}
    for index, job_id in enumerate(command.job_ids):
        path = f"jobIds[{index}]"
        job = d.job(job_id)
        if job is None:
            d.refuse(index, ErrorCode.NOT_FOUND, path, f"no live job {format_id(job_id)}", job_id)
            continue
        row, head = job
        if command.queue not in (None, row.queue) or command.job_set not in (None, row.job_set):
            where = f"queue {row.queue}, job set {row.job_set}"
            d.refuse(index, ErrorCode.INVALID, path, f"job {format_id(job_id)} is of {where}", job_id)
            continue
        if row.queue not in allowed:
            queue = d.state.row(queue_key(row.queue))
            allowed[row.queue] = isinstance(queue, QueueRow) and may(command.principal, "cancel", queue.spec)
        if not allowed[row.queue]:
            message = f"{command.principal.user} may not cancel jobs of queue {row.queue}"
            d.refuse(index, ErrorCode.FORBIDDEN, path, message, job_id)
            continue
        _cancel(d, job_id, row, head, command.principal.user, command.reason)
        d.affect(job_id)


def cancel_job_set(d: Deciding, command: CancelJobSet) -> bool:
    """Opens the operation; returns whether it did."""
    queue = d.state.row(queue_key(command.queue))
    if not isinstance(queue, QueueRow):
        d.refuse(-1, ErrorCode.NOT_FOUND, "queue", f"queue {command.queue} does not exist")
        return False
    if not may(command.principal, "cancel", queue.spec):
        message = f"{command.principal.user} may not cancel jobs of queue {command.queue}"
        d.refuse(-1, ErrorCode.FORBIDDEN, "queue", message)
        return False
    ended = [state for state in command.states if state not in LIVE]
    if ended:
        d.refuse(-1, ErrorCode.INVALID, "states", f"jobs in state {ended[0]} have ended and cannot be cancelled")
        return False
    row = OperationRow(
        kind="cancel",
        queue=command.queue,
        incarnation=queue.incarnation,
        job_set=command.job_set,
        states=command.states,
        reason=command.reason,
        requestor=command.principal.user,
        cursor=b"",
        total=0,
    )
    d.change(OperationMoved(d.offset, row))
    return True


def move_operations_on(d: Deciding) -> None:
    """Moves open operations on, oldest first, by up to OPERATION_JOBS_PER_COMMAND_MAX jobs in all. One that raises
    is closed: it must not stop the commands that come after it."""
    room = OPERATION_JOBS_PER_COMMAND_MAX
    for offset, row in d.state.operations():
        if room <= 0:
            return
        d.mark()
        try:
            room -= _move_on(d, offset, row, room)
        except Exception:
            d.roll_back()
            d.change(OperationMoved(offset, None))
            d.decision.operations.append(Progress(operation=offset, affected=(), total=row.total, closed=True))


def _move_on(d: Deciding, offset: int, row: OperationRow, room: int) -> int:
    """Reaches up to `room` jobs of the operation's job set; returns how many."""
    reached = d.state.jobs_of_set(row.incarnation, row.job_set, row.cursor, room)
    affected: list[bytes] = []
    for job_id in reached:
        job = d.job(job_id)
        assert job is not None, "the index of job sets names a job that is not live"
        job_row, head = job
        if head.submit_offset < offset and (not row.states or state_of(head) in row.states):
            _cancel(d, job_id, job_row, head, row.requestor, row.reason)
            affected.append(job_id)
    closed = len(reached) < room
    total = row.total + len(affected)
    cursor = reached[-1] if reached else row.cursor
    d.change(OperationMoved(offset, None if closed else replace(row, cursor=cursor, total=total)))
    d.decision.operations.append(Progress(operation=offset, affected=tuple(affected), total=total, closed=closed))
    return len(reached)


def _cancel(d: Deciding, job_id: bytes, row: JobRow, head: JobHead, requestor: str, reason: str | None) -> None:
    """Ends a live job. Its run, if any, is stopped and holds its room until its last word."""
    if is_active(state_of(head)):
        d.stop(job_id, head.run_id, head.attempt, row.cluster, StopReason.CANCELLED, gone=False)
        d.event(job_id, row, head, EventKind.CANCELLING, requestor=requestor, reason=reason)
    d.event(job_id, row, head, EventKind.CANCELLED, requestor=requestor, reason=reason, terminal=True)
