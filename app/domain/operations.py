"""Operations: what job-set commands open, and how every later command of the partition moves them on.

An operation touches the jobs of a job set that are older than itself, by id; the oldest operation goes first. What it
does to a job stands beside the command of the same verb by ids.
"""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from app.domain.apply import state_of
from app.domain.authority import may
from app.domain.changes import OperationMoved
from app.domain.commands import CancelJobSet, ReprioritizeJobSet
from app.domain.decision import Deciding
from app.domain.errors import ErrorCode
from app.domain.events import Progress
from app.domain.lifecycle import JobState
from app.domain.limits import OPERATION_JOBS_PER_COMMAND_MAX
from app.domain.rows import JobHead, JobRow, OperationRow, QueueRow, queue_key

CANCEL, REPRIORITIZE = "cancel", "reprioritize"
"""kinds of operations; also the verbs of a queue that they need"""

Reach = Callable[[Deciding, OperationRow, int, bytes, JobRow, JobHead], bool]
"""Does the work of an operation (its row, its offset) on one job; returns whether the job is affected."""


def open_operation(
    d: Deciding,
    command: CancelJobSet | ReprioritizeJobSet,
    kind: str,
    *,
    states: tuple[JobState, ...] = (),
    priority: int | None = None,
) -> bool:
    """Opens an operation, if the queue lets the principal; returns whether it did."""
    queue = d.state.row(queue_key(command.queue))
    if not isinstance(queue, QueueRow):
        d.refuse(-1, ErrorCode.NOT_FOUND, "queue", f"queue {command.queue} does not exist")
        return False
    if not may(command.principal, kind, queue.spec):
        message = f"{command.principal.user} may not {kind} jobs of queue {command.queue}"
        d.refuse(-1, ErrorCode.FORBIDDEN, "queue", message)
        return False
    row = OperationRow(
        kind=kind,
        queue=command.queue,
        incarnation=queue.incarnation,
        job_set=command.job_set,
        states=states,
        reason=command.reason,
        requestor=command.principal.user,
        cursor=b"",
        total=0,
        priority=priority,
    )
    d.change(OperationMoved(d.offset, row))
    return True


def open_operations(d: Deciding, kind: str) -> list[tuple[int, OperationRow]]:
    """Those of a kind, oldest first: offset of the command, row."""
    return [(offset, row) for offset, row in d.state.operations() if row.kind == kind]


def yet_to_reach(
    operations: Iterable[tuple[int, OperationRow]], job_id: bytes, row: JobRow, head: JobHead
) -> tuple[int, OperationRow] | None:
    """The youngest of these operations that will reach the job, as it stands now."""
    found = None
    for offset, operation in operations:
        same_set = (operation.incarnation, operation.job_set) == (row.incarnation, row.job_set)
        if same_set and job_id > operation.cursor and _concerns(offset, operation, head):
            found = offset, operation
    return found


def move_operations_on(d: Deciding, reach: dict[str, Reach]) -> None:
    """Moves open operations on, oldest first, by up to OPERATION_JOBS_PER_COMMAND_MAX jobs in all; `reach`: by kind.
    One that raises is closed: it must not stop the commands that come after it."""
    room = OPERATION_JOBS_PER_COMMAND_MAX
    for offset, row in d.state.operations():
        if room <= 0:
            return
        d.mark()
        try:
            room -= _move_on(d, offset, row, room, reach[row.kind])
        except Exception:
            d.roll_back()
            d.change(OperationMoved(offset, None))
            d.decision.operations.append(Progress(operation=offset, affected=(), total=row.total, closed=True))


def _move_on(d: Deciding, offset: int, row: OperationRow, room: int, reach: Reach) -> int:
    """Reaches up to `room` jobs of the operation's job set; returns how many."""
    reached = d.state.jobs_of_set(row.incarnation, row.job_set, row.cursor, room)
    affected: list[bytes] = []
    for job_id in reached:
        job = d.job(job_id)
        assert job is not None, "the index of job sets names a job that is not live"
        if _concerns(offset, row, job[1]) and reach(d, row, offset, job_id, *job):
            affected.append(job_id)
    closed = len(reached) < room
    total = row.total + len(affected)
    cursor = reached[-1] if reached else row.cursor
    d.change(OperationMoved(offset, None if closed else replace(row, cursor=cursor, total=total)))
    d.decision.operations.append(Progress(operation=offset, affected=tuple(affected), total=total, closed=closed))
    return len(reached)


def _concerns(offset: int, row: OperationRow, head: JobHead) -> bool:
    return head.submit_offset < offset and (not row.states or state_of(head) in row.states)
