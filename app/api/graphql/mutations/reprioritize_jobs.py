"""reprioritizeJobs: jobs by their ids, or a whole job set."""

import strawberry

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.mutations.jobs_payload import jobs_payload
from app.api.graphql.types.payloads import JobsPayload
from app.api.service.reprioritize import ReprioritizeCall


async def reprioritize_jobs(
    info: RequestInfo,
    queue: str,
    job_set: str,
    priority: float,
    job_ids: list[strawberry.ID] | None = None,
    reason: str | None = None,
    wait_for: WaitFor | None = WaitFor.APPLIED,
) -> JobsPayload:
    """Give live jobs another priority; lower runs first. Needs the verb reprioritize on the queue. jobIds: 1 to 10,000
    jobs; null: every job of the set that is older than the call (APPLIED waits until each was reached). A job that has
    the priority already is affected too."""
    call = ReprioritizeCall(queue=queue, job_set=job_set, job_ids=job_ids, priority=priority, reason=reason)
    context = info.context
    answer = await context.services.reprioritize.reprioritize(call, context.principal, wait_for or WaitFor.APPLIED)
    return jobs_payload(answer, context.services.coordinates)
