"""Deciding PreemptJobs: somebody ends runs, and with each run those of its gang, as the scheduler does.

Who ends a job first is told with it; of a job that an operation is yet to cancel, that is who cancels. Rules: features
C4, C7, C8.
"""

from app.domain.apply import state_of
from app.domain.commands import PreemptJobs, PreemptReason
from app.domain.decision import Deciding, is_active
from app.domain.errors import ErrorCode
from app.domain.limits import PREEMPTED_PER_COMMAND_MAX
from app.domain.named_jobs import named_jobs
from app.domain.operations import CANCEL, open_operations, yet_to_reach
from app.domain.preempting import PREEMPTED, end_preempted
from app.domain.rows import FLAG_PREEMPTIBLE, JobHead, JobRow, OperationRow
from app.domain.state import GangKey, gang_key_of

PREEMPT = "preempt"
REQUESTED = "RequestedPreemption"
"""reason code of the jobs that the command names; the others of their gangs have that of a gang"""


def preempt_jobs(d: Deciding, command: PreemptJobs) -> None:
    """Ends the named runs and their jobs, where they may be preempted, and those of their gangs."""
    cancels = open_operations(d, CANCEL)
    gangs: set[tuple[GangKey, int]] = set()
    ends: dict[bytes, bool] = {}
    """job -> whether the command names it"""
    for index, job_id, row, head in named_jobs(d, command, PREEMPT):
        path = f"jobIds[{index}]"
        why = _why_not(cancels, job_id, row, head)
        if why is not None:
            d.refuse(index, why[0], path, why[1], job_id)
            continue
        whole = dict.fromkeys((job_id, *_members_to_end(d, row, cancels, gangs)))
        more = [member for member in whole if member not in ends]
        if len(ends) + len(more) > PREEMPTED_PER_COMMAND_MAX:
            message = f"one call preempts at most {PREEMPTED_PER_COMMAND_MAX:,} jobs with their gangs: split the call"
            d.refuse(index, ErrorCode.INVALID, path, message, job_id)
            continue
        ends.update(dict.fromkeys(more, False))
        ends[job_id] = True
    _end(d, ends, command.principal.user, command.reason)


def _end(d: Deciding, ends: dict[bytes, bool], user: str, given: str | None) -> None:
    reason = f"Preempted by {user} - {given}" if given else f"Preempted by {user}"
    of_gang, beside = PREEMPTED[PreemptReason.GANG]
    for job_id, is_named in ends.items():
        job = d.job(job_id)
        assert job is not None, "nothing has changed since it was looked at"
        code, text = (REQUESTED, reason) if is_named else (of_gang, f"{beside}: {reason}")
        end_preempted(d, job_id, *job, requestor=user, reason_code=code, reason=text)
        d.affect(job_id)


def _why_not(
    cancels: list[tuple[int, OperationRow]], job_id: bytes, row: JobRow, head: JobHead
) -> tuple[ErrorCode, str] | None:
    if not head.flags & FLAG_PREEMPTIBLE:
        return ErrorCode.INVALID, "the job is not preemptible: its priority class says so"
    if not is_active(state_of(head)):
        return ErrorCode.CONFLICT, f"the job is {state_of(head)}: it has no run"
    waiting = yet_to_reach(cancels, job_id, row, head)
    if waiting is not None:
        return ErrorCode.CONFLICT, f"the job is being cancelled by {waiting[1].requestor}, with its job set"
    return None


def _members_to_end(
    d: Deciding, row: JobRow, cancels: list[tuple[int, OperationRow]], seen: set[tuple[GangKey, int]]
) -> list[bytes]:
    """The members of a job's gang that are to be preempted with it, itself among them; none of a gang that was seen
    before."""
    key, gang = gang_key_of(row), row.more.gang if row.more is not None else None
    if key is None or gang is None or (key, gang.generation) in seen:
        return []
    seen.add((key, gang.generation))
    members = d.state.gang_members(key, gang.generation, gang.cardinality)
    return [
        member for member in members if (job := d.job(member)) is not None and _why_not(cancels, member, *job) is None
    ]
