"""Sends commands that change jobs, and waits for them.

Ids are split by the partition in them, one command each; the results are merged. Outputs: `JobsAnswer`. Raises ApiError
UNAVAILABLE when nothing could be written.
"""

from collections.abc import Callable, Mapping, Sequence

from app.api.command_log import CommandLog, CommandTooLarge
from app.api.errors import ApiError, invalid
from app.api.service.job_answers import JobsAnswer, NamedJobs, NotAffected
from app.api.service.waiting import HISTORY_VIEW, WaitFor, Waiting
from app.domain.commands import CancelJobs, CancelJobSet, PreemptJobs, ReprioritizeJobs, ReprioritizeJobSet
from app.domain.errors import ErrorCode
from app.domain.ids import format_id, partition_of_job
from app.domain.routing import partition_of_name

ByIds = CancelJobs | ReprioritizeJobs | PreemptJobs
OfSet = CancelJobSet | ReprioritizeJobSet
MakeCommand = Callable[[tuple[bytes, ...]], ByIds]


class JobCommands:
    """One per process."""

    def __init__(self, log: CommandLog, waiting: Waiting) -> None:
        self._log = log
        self._waiting = waiting

    async def named(self, call: NamedJobs, make: MakeCommand, wait_for: WaitFor) -> JobsAnswer:
        """The jobs that a call names. Nothing is written when something is wrong with the call."""
        answer = JobsAnswer()
        ids = call.parsed(answer)
        if answer.faults:
            return answer
        return await self.by_ids(ids, make, answer, wait_for, key=call.queue or "")

    async def by_ids(
        self, ids: Sequence[bytes], make: MakeCommand, answer: JobsAnswer, wait_for: WaitFor, *, key: str = ""
    ) -> JobsAnswer:
        """make: the command for the ids of one partition. key: the queue, where it is known."""
        by_partition: dict[int, list[bytes]] = {}
        for job in ids:
            if partition_of_job(job) < self._log.partitions:
                by_partition.setdefault(partition_of_job(job), []).append(job)
            else:
                answer.not_affected.append(_no_such_id(job))
        commands = {partition: make(tuple(jobs)) for partition, jobs in by_partition.items()}
        return await self._send_and_wait(commands, answer, wait_for, key=key)

    async def of_set(self, command: OfSet, answer: JobsAnswer, wait_for: WaitFor) -> JobsAnswer:
        """APPLIED waits until every job of the set was reached."""
        partition = partition_of_name(command.queue, self._log.partitions)
        return await self._send_and_wait({partition: command}, answer, wait_for, key=command.queue)

    async def _send_and_wait(
        self, commands: Mapping[int, ByIds | OfSet], answer: JobsAnswer, wait_for: WaitFor, *, key: str
    ) -> JobsAnswer:
        sent = await self._send(commands, answer, key=key)
        return answer.merge(await self._waiting.wait(sent, wait_for, view=HISTORY_VIEW))

    async def _send(self, commands: Mapping[int, ByIds | OfSet], answer: JobsAnswer, *, key: str) -> dict[int, int]:
        """partition -> offset of what was written; what was not becomes faults. Raises when nothing was written."""
        outcomes = await self._log.send_each({partition: (command, key) for partition, command in commands.items()})
        sent: dict[int, int] = {}
        for partition, outcome in outcomes.items():
            if isinstance(outcome, int):
                sent[partition] = outcome
            elif isinstance(outcome, CommandTooLarge):
                answer.faults.append(invalid("jobIds", f"the call has {outcome}"))
            else:
                answer.not_affected += _not_written(commands[partition], outcome)
        return sent


def _not_written(command: ByIds | OfSet, error: ApiError) -> list[NotAffected]:
    ids = () if isinstance(command, OfSet) else command.job_ids
    return [NotAffected(id=format_id(job), code=error.code, message=error.message) for job in ids]


def _no_such_id(job: bytes) -> NotAffected:
    message = "no job of this installation has this id: it names a partition that does not exist"
    return NotAffected(id=format_id(job), code=ErrorCode.NOT_FOUND, message=message)
