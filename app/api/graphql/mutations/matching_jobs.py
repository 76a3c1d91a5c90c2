"""What the mutations on a filter have in common: their arguments, and what they answer."""

import strawberry

from app.api.errors import InvalidArgument
from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.job_filters import JobFilter, parsed_filter
from app.api.graphql.scalars import Cursor, Position
from app.api.graphql.types.faults import field_error, item_error
from app.api.graphql.types.list_cursors import list_cursor, parse_list_cursor
from app.api.graphql.types.matching_jobs import MatchingJobsPayload
from app.api.service.matching import JobVerb, MatchingCall
from app.domain.ids import format_id

FIRST_DEFAULT = 1_000
_KIND = "matching jobs"


async def change_matching(
    info: RequestInfo,
    verb: JobVerb,
    filter: JobFilter,
    reason: str | None,
    first: int | None,
    after: Cursor | None,
    wait_for: WaitFor | None,
    priority: float = 0.0,
) -> MatchingJobsPayload:
    """Runs one call. Raises InvalidArgument for a filter or cursor that is none."""
    call = MatchingCall(
        verb=verb,
        wanted=parsed_filter(filter),
        reason=reason,
        first=FIRST_DEFAULT if first is None else first,
        after=_job_id(after),
        priority=priority,
    )
    context = info.context
    answer = await context.services.matching.change(call, context.principal, wait_for or WaitFor.APPLIED)
    return MatchingJobsPayload(
        position=Position(context.services.coordinates.position(answer.jobs.position)),
        matched=answer.matched,
        affected=[strawberry.ID(format_id(job)) for job in answer.jobs.affected],
        affected_count=answer.jobs.affected_count,
        not_affected=[item_error(item) for item in answer.jobs.not_affected],
        errors=[field_error(fault) for fault in answer.jobs.faults],
        after=list_cursor(_KIND, (answer.last,)) if answer.last is not None else None,
        more=answer.more,
    )


def _job_id(after: Cursor | None) -> bytes | None:
    if after is None:
        return None
    (job_id,) = parse_list_cursor(_KIND, after, tuple[bytes], path="after")
    if len(job_id) != 16:
        raise InvalidArgument("after", "is not a cursor of this list")
    return job_id
