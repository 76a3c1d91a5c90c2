"""cancelJobs: jobs by their ids."""

import strawberry

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.mutations.jobs_payload import jobs_payload
from app.api.graphql.types.payloads import JobsPayload
from app.api.service.job_answers import NamedJobs


async def cancel_jobs(
    info: RequestInfo,
    job_ids: list[strawberry.ID],
    queue: str | None = None,
    job_set: str | None = None,
    reason: str | None = None,
    wait_for: WaitFor | None = WaitFor.APPLIED,
) -> JobsPayload:
    """Cancel 1 to 10,000 jobs. Needs the verb cancel on their queues. queue and jobSet, where given, must be the jobs'
    own."""
    call = NamedJobs(job_ids=job_ids, queue=queue, job_set=job_set, reason=reason)
    context = info.context
    answer = await context.services.cancel.cancel_jobs(call, context.principal, wait_for or WaitFor.APPLIED)
    return jobs_payload(answer, context.services.coordinates)
