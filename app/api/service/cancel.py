"""Cancelling jobs by id and whole job sets.

Ids are split by the partition in them, one command each; the results are merged. Outputs: `JobsAnswer`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.api.command_log import CommandLog, CommandTooLarge
from app.api.errors import ApiError, Fault, invalid
from app.api.service.names import job_set_fault, queue_name_fault, reason_fault
from app.api.service.waiting import HISTORY_VIEW, WaitFor, Waiting, Written
from app.domain.commands import CancelJobs, CancelJobSet, Principal
from app.domain.errors import ErrorCode
from app.domain.ids import InvalidId, format_id, parse_id, partition_of_job
from app.domain.lifecycle import LIVE, JobState
from app.domain.limits import IDS_PER_CALL_MAX
from app.domain.routing import partition_of_name

FAULTS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAffected:
    """An id that the call did not change, and why."""

    id: str
    code: ErrorCode
    message: str


@dataclass(slots=True, kw_only=True)
class JobsAnswer:
    """position: a vector. affected: up to 10,000 ids, affected_count: all; both are unknown (empty) with LOGGED."""

    position: dict[int, int] = field(default_factory=dict)
    affected: list[bytes] = field(default_factory=list)
    affected_count: int = 0
    not_affected: list[NotAffected] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJobsCall:
    """queue and job_set, where given, must be the jobs' own."""

    job_ids: Sequence[str]
    queue: str | None
    job_set: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJobSetCall:
    """states: only jobs that stand in one of them when they are reached; None = all live ones."""

    queue: str
    job_set: str
    states: Sequence[JobState] | None
    reason: str | None


class CancelService:
    """One per process."""

    def __init__(self, log: CommandLog, waiting: Waiting) -> None:
        self._log = log
        self._waiting = waiting

    async def cancel_jobs(self, call: CancelJobsCall, principal: Principal, wait_for: WaitFor) -> JobsAnswer:
        """Raises ApiError UNAVAILABLE when nothing could be written."""
        answer = JobsAnswer()
        ids = _parsed_ids(call, answer)
        if answer.faults:
            return answer
        by_partition: dict[int, list[bytes]] = {}
        for job in ids:
            if partition_of_job(job) < self._log.partitions:
                by_partition.setdefault(partition_of_job(job), []).append(job)
            else:
                answer.not_affected.append(_no_such_id(job))
        commands = {
            partition: CancelJobs(
                principal=principal, job_ids=tuple(jobs), queue=call.queue, job_set=call.job_set, reason=call.reason
            )
            for partition, jobs in by_partition.items()
        }
        sent = await self._send(commands, answer, key=call.queue or "")
        written = await self._waiting.wait(sent, wait_for, view=HISTORY_VIEW)
        return _merged(answer, written)

    async def cancel_job_set(self, call: CancelJobSetCall, principal: Principal, wait_for: WaitFor) -> JobsAnswer:
        """Raises ApiError UNAVAILABLE when nothing could be written."""
        answer = JobsAnswer(faults=_job_set_faults(call))
        if answer.faults:
            return answer
        command = CancelJobSet(
            principal=principal,
            queue=call.queue,
            job_set=call.job_set,
            states=tuple(dict.fromkeys(call.states or ())),
            reason=call.reason,
        )
        partition = partition_of_name(call.queue, self._log.partitions)
        sent = await self._send({partition: command}, answer, key=call.queue)
        written = await self._waiting.wait(sent, wait_for, view=HISTORY_VIEW)
        return _merged(answer, written)

    async def _send(
        self, commands: Mapping[int, CancelJobs | CancelJobSet], answer: JobsAnswer, *, key: str
    ) -> dict[int, int]:
        """partition -> offset of what was written; what was not becomes faults. Raises when nothing was written."""
        results = await asyncio.gather(
            *(self._log.send(partition, command, key=key) for partition, command in commands.items()),
            return_exceptions=True,
        )
        sent: dict[int, int] = {}
        failed: ApiError | None = None
        for (partition, command), result in zip(commands.items(), results, strict=True):
            if isinstance(result, int):
                sent[partition] = result
            elif isinstance(result, CommandTooLarge):
                answer.faults.append(invalid("jobIds", f"the call has {result}"))
            elif isinstance(result, ApiError):
                failed = result
                answer.not_affected += _not_written(command, result)
            else:
                raise result
        if failed is not None and not sent:
            raise failed
        return sent


def _parsed_ids(call: CancelJobsCall, answer: JobsAnswer) -> list[bytes]:
    """The ids, each once; faults go into the answer."""
    checks = [
        queue_name_fault(call.queue, path="queue") if call.queue is not None else None,
        job_set_fault(call.job_set, path="jobSet") if call.job_set is not None else None,
        reason_fault(call.reason),
    ]
    answer.faults += [fault for fault in checks if fault is not None]
    count = len(call.job_ids)
    if not 1 <= count <= IDS_PER_CALL_MAX:
        answer.faults.append(invalid("jobIds", f"must have 1 to {IDS_PER_CALL_MAX:,} ids, not {count:,}"))
        return []
    ids: dict[bytes, None] = {}
    for index, text in enumerate(call.job_ids):
        try:
            ids[parse_id(text)] = None
        except InvalidId as error:
            answer.faults.append(invalid(f"jobIds[{index}]", str(error), index=index))
            if len(answer.faults) >= FAULTS_MAX:
                break
    return list(ids)


def _job_set_faults(call: CancelJobSetCall) -> list[Fault]:
    found = [
        queue_name_fault(call.queue, path="queue"),
        job_set_fault(call.job_set, path="jobSet"),
        reason_fault(call.reason),
    ]
    states = call.states or ()
    ended = sorted({state.value for state in states if state not in LIVE})
    if ended:
        message = f"jobs that have ended cannot be cancelled: {', '.join(ended)}"
        found.append(invalid("states", message))
    if call.states is not None and not states:
        found.append(invalid("states", "must name a state where it is given"))
    return [fault for fault in found if fault is not None]


def _merged(answer: JobsAnswer, written: Written) -> JobsAnswer:
    answer.position = written.position
    if written.fault is not None:
        answer.faults.append(written.fault)
    for applied in written.applied.values():
        answer.affected.extend(applied.affected[: IDS_PER_CALL_MAX - len(answer.affected)])
        answer.affected_count += applied.affected_count
        for refusal in applied.outcome.refusals:
            if refusal.index >= 0 and refusal.id:
                answer.not_affected.append(
                    NotAffected(id=_id_text(refusal.id), code=refusal.code, message=refusal.message)
                )
            else:
                answer.faults.append(Fault(code=refusal.code, path=refusal.path, message=refusal.message))
    return answer


def _not_written(command: CancelJobs | CancelJobSet, error: ApiError) -> list[NotAffected]:
    ids = command.job_ids if isinstance(command, CancelJobs) else ()
    return [NotAffected(id=format_id(job), code=error.code, message=error.message) for job in ids]


def _no_such_id(job: bytes) -> NotAffected:
    message = "no job of this installation has this id: it names a partition that does not exist"
    return NotAffected(id=format_id(job), code=ErrorCode.NOT_FOUND, message=message)


def _id_text(value: bytes) -> str:
    return format_id(value) if len(value) == 16 else value.decode("utf-8", "replace")
