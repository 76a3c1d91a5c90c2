"""reprioritizeMatchingJobs: the live jobs that a filter matches."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.job_filters import JobFilter
from app.api.graphql.mutations.matching_jobs import FIRST_DEFAULT, change_matching
from app.api.graphql.scalars import Cursor
from app.api.graphql.types.matching_jobs import MatchingJobsPayload
from app.api.service.matching import JobVerb


async def reprioritize_matching_jobs(
    info: RequestInfo,
    filter: JobFilter,
    priority: float,
    reason: str | None = None,
    first: int | None = FIRST_DEFAULT,
    after: Cursor | None = None,
    wait_for: WaitFor | None = WaitFor.APPLIED,
) -> MatchingJobsPayload:
    """Give the next jobs that match another priority, at most 10,000 a call, newest first: call again with after while
    there are more. Needs the verb reprioritize on their queues."""
    return await change_matching(info, JobVerb.REPRIORITIZE, filter, reason, first, after, wait_for, priority=priority)
