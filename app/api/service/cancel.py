"""Cancelling jobs by id and whole job sets. Outputs: `JobsAnswer`."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.errors import Fault, invalid
from app.api.service.job_answers import JobsAnswer, NamedJobs
from app.api.service.job_commands import JobCommands
from app.api.service.names import job_set_fault, queue_name_fault, reason_fault
from app.api.service.waiting import WaitFor
from app.domain.commands import CancelJobs, CancelJobSet, Principal
from app.domain.lifecycle import LIVE, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJobSetCall:
    """states: only jobs that stand in one of them when they are reached; None = all live ones."""

    queue: str
    job_set: str
    states: Sequence[JobState] | None
    reason: str | None


class CancelService:
    """One per process."""

    def __init__(self, commands: JobCommands) -> None:
        self._commands = commands

    async def cancel_jobs(self, call: NamedJobs, principal: Principal, wait_for: WaitFor) -> JobsAnswer:
        """Raises ApiError UNAVAILABLE when nothing could be written."""

        def command(some: tuple[bytes, ...]) -> CancelJobs:
            return CancelJobs(
                principal=principal, job_ids=some, queue=call.queue, job_set=call.job_set, reason=call.reason
            )

        return await self._commands.named(call, command, wait_for)

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
        return await self._commands.of_set(command, answer, wait_for)


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
