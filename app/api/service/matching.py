"""Calls that change the jobs that a filter matches: the server expands the filter, a bounded number of jobs a call,
newest first, so that jobs which are submitted meanwhile are never reached.

Inputs: filter, verb, principal. Outputs: `MatchingAnswer` with the key to go on after, and `Preview`. Queues that do
not let the principal are left out here, after the view has caught up; deciding judges every id again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec.structs import replace

from app.api.errors import Fault, invalid
from app.api.service.database_errors import database_errors
from app.api.service.granted_verbs import may_everywhere, why_not
from app.api.service.job_answers import JobsAnswer, NotAffected
from app.api.service.job_commands import ByIds, JobCommands
from app.api.service.names import reason_fault
from app.api.service.priorities import whole_priority
from app.api.service.queue_access import QueueAccess
from app.api.service.waiting import WaitFor
from app.db.database import Database
from app.db.queries.job_filter import JobFilter
from app.db.queries.matching_jobs import PAGE_IDS_MAX, matching_counts, matching_page
from app.db.queries.queues import queues_named
from app.domain.commands import CancelJobs, PreemptJobs, Principal, ReprioritizeJobs
from app.domain.errors import ErrorCode
from app.domain.ids import format_id
from app.domain.lifecycle import ACTIVE, LIVE, STATES, JobState

NOT_PREEMPTIBLE = "their priority class is not preemptible"
NO_RUN = "they wait: there is no run to preempt"
ENDED = "they have ended"


class JobVerb(StrEnum):
    """What is done with jobs."""

    CANCEL = "CANCEL"
    REPRIORITIZE = "REPRIORITIZE"
    PREEMPT = "PREEMPT"

    @property
    def of_queue(self) -> str:
        """The verb on the queue that it needs."""
        return self.value.lower()

    @property
    def states(self) -> frozenset[JobState]:
        """Where jobs stand that it may change."""
        return ACTIVE if self is JobVerb.PREEMPT else LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingCall:
    """first: jobs at most; after: the last job of the call before; priority: with REPRIORITIZE."""

    verb: JobVerb
    wanted: JobFilter
    reason: str | None
    first: int
    after: bytes | None
    priority: float = 0.0


@dataclass(slots=True, kw_only=True)
class MatchingAnswer:
    """matched: jobs that the call reached; last: of them (None = it reached none); more: there are older ones."""

    jobs: JobsAnswer = field(default_factory=JobsAnswer)
    matched: int = 0
    last: bytes | None = None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedJobs:
    """Jobs that a verb would not change. queue: where it is for their queue."""

    code: ErrorCode
    message: str
    count: int
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a verb would meet. touched: by state; complete: every job was counted."""

    touched: dict[JobState, int]
    refused: list[RefusedJobs]
    complete: bool


class MatchingService:
    """One per process."""

    def __init__(self, database: Database, access: QueueAccess, commands: JobCommands) -> None:
        self._database, self._access, self._commands = database, access, commands

    async def change(self, call: MatchingCall, principal: Principal, wait_for: WaitFor) -> MatchingAnswer:
        """Changes the next jobs that match. Raises ApiError UNAVAILABLE when nothing could be read or written."""
        answer = MatchingAnswer(jobs=JobsAnswer(faults=_faults(call)))
        states = _states(call.wanted, call.verb)
        if answer.jobs.faults or not states:
            return answer
        with database_errors():
            page = await matching_page(
                self._database,
                replace(call.wanted, states=states),
                limit=call.first,
                after=call.after,
                preemptible=call.verb is JobVerb.PREEMPT,
            )
        answer.matched, answer.more = len(page.jobs), page.more
        answer.last = page.jobs[-1][0] if page.jobs else None
        refused = await self._refused({queue for _, queue in page.jobs}, principal, call.verb)
        answer.jobs.not_affected += [
            NotAffected(id=format_id(job_id), code=ErrorCode.FORBIDDEN, message=refused[queue])
            for job_id, queue in page.jobs
            if queue in refused
        ]
        ids = [job_id for job_id, queue in page.jobs if queue not in refused]
        await self._commands.by_ids(ids, _maker(call, principal), answer.jobs, wait_for)
        return answer

    async def preview(self, verb: JobVerb, wanted: JobFilter, principal: Principal) -> Preview:
        """What `change` would meet, were it called until nothing is left. Of jobs that are named by their ids, those
        that have ended are counted too."""
        states = _states(wanted, verb, ended=bool(wanted.ids), waiting=True)
        if not states:
            return Preview(touched={}, refused=[], complete=True)
        with database_errors():
            found = await matching_counts(self._database, replace(wanted, states=states))
        refused = await self._refused({queue for queue, _, _ in found.jobs}, principal, verb)
        touched: Counter[JobState] = Counter()
        others: Counter[tuple[ErrorCode, str, str | None]] = Counter()
        for (queue, state, preemptible), count in found.jobs.items():
            why = _why_not(verb, state, preemptible, refused.get(queue), queue)
            if why is None:
                touched[state] += count
            else:
                others[why] += count
        return Preview(
            touched=dict(touched),
            refused=[
                RefusedJobs(code=code, message=message, count=count, queue=queue)
                for (code, message, queue), count in sorted(others.items(), key=lambda item: -item[1])
            ],
            complete=found.complete,
        )

    async def _refused(self, queues: Iterable[str], principal: Principal, verb: JobVerb) -> dict[str, str]:
        """Queue -> why the principal may not. One that the view does not know is left to deciding."""
        if may_everywhere(principal, verb.of_queue):
            return {}
        refused = await self._refused_now(sorted(queues), principal, verb)
        if refused:
            await self._access.catch_up(refused)
            refused = await self._refused_now(sorted(refused), principal, verb)
        return refused

    async def _refused_now(self, queues: Sequence[str], principal: Principal, verb: JobVerb) -> dict[str, str]:
        with database_errors():
            found = await queues_named(self._database, queues)
        reasons = {name: why_not(principal, verb.of_queue, record.spec) for name, record in found.items()}
        return {name: reason for name, reason in reasons.items() if reason is not None}


def _faults(call: MatchingCall) -> list[Fault]:
    found = [reason_fault(call.reason)]
    if not 1 <= call.first <= PAGE_IDS_MAX:
        found.append(invalid("first", f"must be between 1 and {PAGE_IDS_MAX:,}, not {call.first:,}"))
    return [fault for fault in found if fault is not None]


def _states(wanted: JobFilter, verb: JobVerb, *, ended: bool = False, waiting: bool = False) -> tuple[JobState, ...]:
    """The states to look for; ended, waiting: also those of jobs that have ended, or wait, and are only counted."""
    some = set(STATES) if ended else set(LIVE) if waiting else set(verb.states)
    return tuple(state for state in STATES if state in some and (not wanted.states or state in wanted.states))


def _why_not(
    verb: JobVerb, state: JobState, preemptible: bool, refused: str | None, queue: str
) -> tuple[ErrorCode, str, str | None] | None:
    if state not in LIVE:
        return ErrorCode.NOT_FOUND, ENDED, None
    if refused is not None:
        return ErrorCode.FORBIDDEN, refused, queue
    if verb is JobVerb.PREEMPT and not preemptible:
        return ErrorCode.INVALID, NOT_PREEMPTIBLE, None
    if state not in verb.states:
        return ErrorCode.CONFLICT, NO_RUN, None
    return None


def _maker(call: MatchingCall, principal: Principal) -> Callable[[tuple[bytes, ...]], ByIds]:
    def command(ids: tuple[bytes, ...]) -> ByIds:
        match call.verb:
            case JobVerb.CANCEL:
                return CancelJobs(principal=principal, job_ids=ids, reason=call.reason)
            case JobVerb.PREEMPT:
                return PreemptJobs(principal=principal, job_ids=ids, reason=call.reason)
            case JobVerb.REPRIORITIZE:
                priority = whole_priority(call.priority)
                return ReprioritizeJobs(principal=principal, job_ids=ids, priority=priority, reason=call.reason)

    return command
