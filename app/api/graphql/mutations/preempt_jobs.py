"""preemptJobs: jobs by their ids."""

import strawberry

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.mutations.jobs_payload import jobs_payload
from app.api.graphql.types.payloads import JobsPayload
from app.api.service.job_answers import NamedJobs


async def preempt_jobs(
    info: RequestInfo,
    job_ids: list[strawberry.ID],
    queue: str | None = None,
    job_set: str | None = None,
    reason: str | None = None,
    wait_for: WaitFor | None = WaitFor.APPLIED,
) -> JobsPayload:
    """End the runs of 1 to 10,000 jobs whose priority class is preemptible, and with them the jobs and those of their
    gangs, which affected names too. Needs the verb preempt on their queues."""
    call = NamedJobs(job_ids=job_ids, queue=queue, job_set=job_set, reason=reason)
    context = info.context
    answer = await context.services.preempt.preempt_jobs(call, context.principal, wait_for or WaitFor.APPLIED)
    return jobs_payload(answer, context.services.coordinates)
