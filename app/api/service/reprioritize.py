"""Giving jobs another priority, by id and whole job sets. Outputs: `JobsAnswer`. Rule: features C3."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.service.job_answers import JobsAnswer, NamedJobs
from app.api.service.job_commands import JobCommands
from app.api.service.names import job_set_fault, queue_name_fault, reason_fault
from app.api.service.priorities import whole_priority
from app.api.service.waiting import WaitFor
from app.domain.commands import Principal, ReprioritizeJobs, ReprioritizeJobSet


@dataclass(frozen=True, slots=True, kw_only=True)
class ReprioritizeCall:
    """job_ids: None = every live job of the set that is older than the call."""

    queue: str
    job_set: str
    job_ids: Sequence[str] | None
    priority: float
    reason: str | None


class ReprioritizeService:
    """One per process."""

    def __init__(self, commands: JobCommands) -> None:
        self._commands = commands

    async def reprioritize(self, call: ReprioritizeCall, principal: Principal, wait_for: WaitFor) -> JobsAnswer:
        """Raises ApiError UNAVAILABLE when nothing could be written."""
        if call.job_ids is None:
            return await self._job_set(call, principal, wait_for)
        named = NamedJobs(job_ids=call.job_ids, queue=call.queue, job_set=call.job_set, reason=call.reason)

        def command(some: tuple[bytes, ...]) -> ReprioritizeJobs:
            return ReprioritizeJobs(
                principal=principal,
                job_ids=some,
                priority=whole_priority(call.priority),
                queue=call.queue,
                job_set=call.job_set,
                reason=call.reason,
            )

        return await self._commands.named(named, command, wait_for)

    async def _job_set(self, call: ReprioritizeCall, principal: Principal, wait_for: WaitFor) -> JobsAnswer:
        checks = [
            queue_name_fault(call.queue, path="queue"),
            job_set_fault(call.job_set, path="jobSet"),
            reason_fault(call.reason),
        ]
        answer = JobsAnswer(faults=[fault for fault in checks if fault is not None])
        if answer.faults:
            return answer
        command = ReprioritizeJobSet(
            principal=principal,
            queue=call.queue,
            job_set=call.job_set,
            priority=whole_priority(call.priority),
            reason=call.reason,
        )
        return await self._commands.of_set(command, answer, wait_for)
