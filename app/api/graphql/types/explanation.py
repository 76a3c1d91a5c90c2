"""Why a job is not running, in a form that programs and people read."""

import strawberry
from strawberry.scalars import JSON

from app.api.graphql.enums import JobState
from app.api.graphql.scalars import DateTime, Long
from app.api.graphql.types.round_detail import NodeReason
from app.db.queries.explain import WaitingFound
from app.db.queries.job_records import JobRecord
from app.domain.ids import format_id
from app.domain.lifecycle import ENDED
from app.domain.lifecycle import JobState as State
from app.domain.rounds import Blocked


@strawberry.type(description="what holds the job back; code: the scheduler's own")
class Constraint:
    code: str
    message: str


@strawberry.type(description="what an earlier round said")
class ExplanationEntry:
    round_id: strawberry.ID
    pool: str
    time: DateTime
    reason: str


@strawberry.type(
    description="nodes: reasons with the number of nodes they hold on; shortfall: missing on the best node; ahead: "
    "jobs of its queue before it (aheadComplete false: at least so many)"
)
class Explanation:
    state: JobState
    since: DateTime
    summary: str
    constraint: Constraint | None
    nodes: list[NodeReason]
    shortfall: JSON
    round_id: strawberry.ID | None
    pool: str | None
    round_time: DateTime | None
    queue_position: Long | None
    ahead: Long | None
    ahead_complete: bool
    suggestions: list[str]
    history: list[ExplanationEntry]


_OF_STATE = {
    State.LEASED: "It has a node; the cluster has not reported its pod yet.",
    State.PENDING: "Its pod exists and is not running yet: images are fetched or containers are starting.",
    State.RUNNING: "It is running.",
    State.SUCCEEDED: "It has succeeded.",
    State.FAILED: "It has failed; its last run says why.",
    State.CANCELLED: "It was cancelled.",
    State.PREEMPTED: "It was preempted and is not queued again.",
    State.REJECTED: "It was refused: no node can ever hold it.",
}


_REASONS = {
    "noNodeFits": "no node has room for it now",
    "floatingResources": "the pool has not enough left of a floating resource",
    "queueCordoned": "its queue is cordoned",
    "queueResourceLimit": "it would take its queue above its limit for this priority class",
    "queueRateLimit": "the rate limit of its queue is used up for the moment",
    "rateLimit": "the rate limit of the pool is used up for the moment",
    "roundResourceLimit": "the limit of new work in one round was reached before its turn",
    "lookback": "too many jobs of its queue stand before it",
    "decisionBudget": "the round ended before its turn",
    "gangIncomplete": "not all members of its gang have been submitted",
    "burstTooSmall": "it is more than its rate limit ever lets through at once",
    "outranked": "its room was given to a job that ranks above it",
}
"""the scheduler's codes (app.scheduling.decisions.Reason) in words"""


def explanation_of(job: JobRecord, found: WaitingFound | None) -> Explanation:
    """found: of a queued job."""
    latest = found.blocked[0] if found is not None and found.blocked else None
    blocked = latest.blocked if latest is not None else None
    ahead = found.ahead if found is not None else None
    return Explanation(
        state=job.state,
        since=DateTime(job.last_transition_ms),
        summary=_summary(job, blocked, ahead),
        constraint=Constraint(code=blocked.reason, message=_message(blocked)) if blocked is not None else None,
        nodes=[NodeReason(reason=each.reason, nodes=each.nodes) for each in blocked.nodes] if blocked else [],
        shortfall=JSON(dict(blocked.shortfall) if blocked is not None else {}),
        round_id=strawberry.ID(format_id(latest.round_id)) if latest is not None else None,
        pool=latest.pool if latest is not None else None,
        round_time=DateTime(latest.at_ms) if latest is not None else None,
        queue_position=Long(ahead + 1) if ahead is not None else None,
        ahead=Long(ahead) if ahead is not None else None,
        ahead_complete=found.ahead_complete if found is not None else True,
        suggestions=_suggestions(blocked, ahead),
        history=[
            ExplanationEntry(
                round_id=strawberry.ID(format_id(each.round_id)),
                pool=each.pool,
                time=DateTime(each.at_ms),
                reason=each.blocked.reason,
            )
            for each in (found.blocked if found is not None else ())
        ],
    )


def _summary(job: JobRecord, blocked: Blocked | None, ahead: int | None) -> str:
    if job.state in ENDED or job.state is not State.QUEUED:
        return _OF_STATE[job.state]
    if blocked is not None:
        return _message(blocked)
    if ahead:
        return f"{ahead:,} jobs of its queue stand before it; no recent round has come to it."
    return "It stands first in its queue and waits for the next round."


def _message(blocked: Blocked) -> str:
    if blocked.nodes:
        tried = sum(each.nodes for each in blocked.nodes)
        reasons = ", ".join(f"{each.nodes:,} {each.reason}" for each in blocked.nodes[:3])
        return f"None of {tried:,} nodes fits: {reasons}."
    return f"The scheduler passed it over: {_REASONS.get(blocked.reason, blocked.reason)}."


def _suggestions(blocked: Blocked | None, ahead: int | None) -> list[str]:
    if blocked is None:
        return [] if not ahead else ["Raise its priority within the queue (a lower number), if it is urgent."]
    found = []
    if blocked.shortfall:
        missing = ", ".join(f"{amount} {resource}" for resource, amount in sorted(blocked.shortfall.items()))
        found.append(f"It would fit on the best node with {missing} less requested.")
    return found
