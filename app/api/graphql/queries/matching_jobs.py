"""matchingJobs."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.job_filters import JobFilter, parsed_filter
from app.api.graphql.scalars import Position
from app.api.graphql.types.matching_jobs import MatchingJobs, matching_jobs_of
from app.api.service.matching import JobVerb
from app.api.service.waiting import HISTORY_VIEW


async def matching_jobs(
    info: RequestInfo, verb: JobVerb, filter: JobFilter, at_least: Position | None = None
) -> MatchingJobs:
    """What cancelMatchingJobs and the like would do, before it is done: how many live jobs (with filter.ids also ended
    ones) they would change, and which they would not, and why."""
    context = info.context
    await context.services.read.wait_for(at_least, HISTORY_VIEW)
    preview = await context.services.matching.preview(verb, parsed_filter(filter), context.principal)
    return matching_jobs_of(preview)
