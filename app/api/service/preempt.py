"""Preempting jobs by id. Outputs: `JobsAnswer`. Rule: features C4."""

from app.api.service.job_answers import JobsAnswer, NamedJobs
from app.api.service.job_commands import JobCommands
from app.api.service.waiting import WaitFor
from app.domain.commands import PreemptJobs, Principal


class PreemptService:
    """One per process."""

    def __init__(self, commands: JobCommands) -> None:
        self._commands = commands

    async def preempt_jobs(self, call: NamedJobs, principal: Principal, wait_for: WaitFor) -> JobsAnswer:
        """Raises ApiError UNAVAILABLE when nothing could be written."""

        def command(some: tuple[bytes, ...]) -> PreemptJobs:
            return PreemptJobs(
                principal=principal, job_ids=some, queue=call.queue, job_set=call.job_set, reason=call.reason
            )

        return await self._commands.named(call, command, wait_for)
