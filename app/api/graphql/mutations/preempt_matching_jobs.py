"""preemptMatchingJobs: the runs of the preemptible jobs that a filter matches."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.job_filters import JobFilter
from app.api.graphql.mutations.matching_jobs import FIRST_DEFAULT, change_matching
from app.api.graphql.scalars import Cursor
from app.api.graphql.types.matching_jobs import MatchingJobsPayload
from app.api.service.matching import JobVerb


async def preempt_matching_jobs(
    info: RequestInfo,
    filter: JobFilter,
    reason: str | None = None,
    first: int | None = FIRST_DEFAULT,
    after: Cursor | None = None,
    wait_for: WaitFor | None = WaitFor.APPLIED,
) -> MatchingJobsPayload:
    """Preempt the next jobs that match, have a run and may be preempted, at most 10,000 a call, newest first: call
    again with after while there are more. Needs the verb preempt on their queues."""
    return await change_matching(info, JobVerb.PREEMPT, filter, reason, first, after, wait_for)
