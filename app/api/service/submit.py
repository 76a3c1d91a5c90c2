"""The submit call: one command record, and what became of each of its jobs.

Inputs: SubmitJobsInput, the principal, what to wait for. Output: `SubmitAnswer`. Raises ApiError UNAVAILABLE when the
log is away.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.api.command_log import CommandLog, CommandTooLarge
from app.api.errors import Fault, invalid
from app.api.job_policy import JobPolicy
from app.api.service.inputs import SubmitJobsInput
from app.api.service.pod_cache import PodCache
from app.api.service.submission import Submission, SubmissionBuilder
from app.api.service.waiting import HISTORY_VIEW, WaitFor, Waiting
from app.domain.commands import Principal
from app.domain.errors import Refusal
from app.domain.events import Outcome
from app.domain.ids import CALL_PREFIX_BYTES, call_prefix, job_id
from app.domain.routing import partition_of_name

_RANDOM_BITS = 56


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedJob:
    """A job of the call: its id, or why it has none. duplicate: it was submitted before, under this id."""

    index: int
    job_id: bytes | None
    duplicate: bool
    fault: Fault | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitAnswer:
    """position: a vector, empty when nothing was written. faults: what concerns the call, and every broken rule."""

    position: dict[int, int]
    jobs: list[SubmittedJob]
    faults: list[Fault]


class SubmitService:
    """One per process. now_ms: the wall clock, for the time in ids."""

    def __init__(
        self,
        log: CommandLog,
        waiting: Waiting,
        cache: PodCache,
        policy: JobPolicy,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._log = log
        self._waiting = waiting
        self._cache = cache
        self._policy = policy
        self._now_ms = now_ms

    async def submit(self, call: SubmitJobsInput, principal: Principal, wait_for: WaitFor) -> SubmitAnswer:
        """Validates, writes and waits. With dryRun nothing is written."""
        partition = partition_of_name(call.queue, self._log.partitions)
        prefix = call_prefix(self._now_ms(), partition, secrets.randbits(_RANDOM_BITS))
        made = await SubmissionBuilder(call, principal, prefix, self._cache, self._policy).build()
        if made.command is None:
            return _nothing_written(call, made)
        try:
            encoded = self._log.encoded(made.command)
            if call.dry_run:
                return _nothing_written(call, made)
            await self._log.ensure_shapes(made.shapes.items())
            offset = await self._log.send_encoded(partition, encoded, key=call.queue)
        except CommandTooLarge as error:
            made.faults.append(invalid("jobs", f"the call has {error}"))
            made.command, made.refused = None, {}
            return _nothing_written(call, made)
        written = await self._waiting.wait({partition: offset}, wait_for, view=HISTORY_VIEW)
        applied = written.applied.get(partition)
        faults = [*made.faults, *([written.fault] if written.fault is not None else [])]
        if applied is None:
            return SubmitAnswer(position=written.position, jobs=_provisional(made, prefix), faults=faults)
        whole = [_fault_of_refusal(each, None) for each in applied.outcome.refusals if each.index < 0]
        jobs = [] if whole else _decided(made, prefix, applied.outcome)
        return SubmitAnswer(position=written.position, jobs=jobs, faults=[*faults, *whole])


def _nothing_written(call: SubmitJobsInput, made: Submission) -> SubmitAnswer:
    """Only a dry run without faults, or one that may succeed in part, has results; a refused call has none."""
    in_part = call.all_or_nothing is False or not made.refused
    if made.command is None and not (in_part and made.refused):
        return SubmitAnswer(position={}, jobs=[], faults=made.faults)
    jobs = [SubmittedJob(index=index, job_id=None, duplicate=False, fault=None) for index in made.indexes]
    return SubmitAnswer(position={}, jobs=_with_refused(jobs, made), faults=made.faults)


def _provisional(made: Submission, prefix: bytes) -> list[SubmittedJob]:
    """The ids that the jobs will have unless they are duplicates or refused."""
    jobs = [
        SubmittedJob(index=index, job_id=job_id(prefix, place), duplicate=False, fault=None)
        for place, index in enumerate(made.indexes)
    ]
    return _with_refused(jobs, made)


def _decided(made: Submission, prefix: bytes, outcome: Outcome) -> list[SubmittedJob]:
    """Results as the log has them. A repeated request id gives the ids of the first call."""
    prefix = outcome.repeated[:CALL_PREFIX_BYTES] or prefix
    duplicates = {each.index: each.job_id for each in outcome.duplicates}
    refusals = {each.index: each for each in outcome.refusals if each.index >= 0}
    if not duplicates and not refusals:
        return _provisional(made, prefix)
    jobs = []
    for place, index in enumerate(made.indexes):
        original, refusal = duplicates.get(place), refusals.get(place)
        fault = _fault_of_refusal(refusal, index) if refusal is not None else None
        own_id = None if refusal is not None else job_id(prefix, place)
        jobs.append(SubmittedJob(index=index, job_id=original or own_id, duplicate=original is not None, fault=fault))
    return _with_refused(jobs, made)


def _with_refused(jobs: list[SubmittedJob], made: Submission) -> list[SubmittedJob]:
    if not made.refused:
        return jobs
    refused = [
        SubmittedJob(index=index, job_id=None, duplicate=False, fault=fault) for index, fault in made.refused.items()
    ]
    return sorted([*jobs, *refused], key=lambda each: each.index)


def _fault_of_refusal(refusal: Refusal, index: int | None) -> Fault:
    """A refusal names the job by its place in the command; the caller knows its index in the call."""
    path = refusal.path if index is None else refusal.path.replace(f"jobs[{refusal.index}]", f"jobs[{index}]", 1)
    return Fault(code=refusal.code, path=path, message=refusal.message, index=index)
