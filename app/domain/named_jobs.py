"""Jobs that a command of a user names by their ids: which of them it may change."""

from collections.abc import Iterator

from app.domain.authority import may
from app.domain.commands import CancelJobs, PreemptJobs, ReprioritizeJobs
from app.domain.decision import Deciding
from app.domain.errors import ErrorCode
from app.domain.ids import format_id
from app.domain.rows import JobHead, JobRow, QueueRow, queue_key


def named_jobs(
    d: Deciding, command: CancelJobs | ReprioritizeJobs | PreemptJobs, verb: str
) -> Iterator[tuple[int, bytes, JobRow, JobHead]]:
    """The live ones, of the given queue and job set, whose queue grants the verb: index, id, row and its fixed field as
    of when they are asked for. The others are refused."""
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
            allowed[row.queue] = isinstance(queue, QueueRow) and may(command.principal, verb, queue.spec)
        if not allowed[row.queue]:
            message = f"{command.principal.user} may not {verb} jobs of queue {row.queue}"
            d.refuse(index, ErrorCode.FORBIDDEN, path, message, job_id)
            continue
        yield index, job_id, row, head
