"""cancelJobSet: the jobs of a job set that are older than the call, or those of them that stand in some states."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import JobState, WaitFor
from app.api.graphql.mutations.jobs_payload import jobs_payload
from app.api.graphql.types.payloads import JobsPayload
from app.api.service.cancel import CancelJobSetCall


async def cancel_job_set(
    info: RequestInfo,
    queue: str,
    job_set: str,
    states: list[JobState] | None = None,
    reason: str | None = None,
    wait_for: WaitFor | None = WaitFor.APPLIED,
) -> JobsPayload:
    """Cancel a job set. Needs the verb cancel on the queue. APPLIED waits until every job was reached."""
    call = CancelJobSetCall(queue=queue, job_set=job_set, states=states, reason=reason)
    context = info.context
    answer = await context.services.cancel.cancel_job_set(call, context.principal, wait_for or WaitFor.APPLIED)
    return jobs_payload(answer, context.services.coordinates)
