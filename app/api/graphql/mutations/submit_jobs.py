"""submitJobs: 1 to 1,000 jobs of one job set in one call."""

import strawberry

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.inputs import SubmitJobsArgument
from app.api.graphql.scalars import Position
from app.api.graphql.types.faults import field_error
from app.api.graphql.types.payloads import SubmitJobsPayload, SubmitResult
from app.api.service.submit import SubmittedJob
from app.domain.ids import format_id


async def submit_jobs(
    info: RequestInfo, input: SubmitJobsArgument, wait_for: WaitFor | None = WaitFor.APPLIED
) -> SubmitJobsPayload:
    """Submit jobs. Needs the verb submit on the queue. A repeated requestId or clientId gets the first answer."""
    context = info.context
    answer = await context.services.submit.submit(input, context.principal, wait_for or WaitFor.APPLIED)
    return SubmitJobsPayload(
        position=Position(context.services.coordinates.position(answer.position)),
        results=[_result(job) for job in answer.jobs],
        errors=[field_error(fault) for fault in answer.faults],
    )


def _result(job: SubmittedJob) -> SubmitResult:
    return SubmitResult(
        index=job.index,
        job_id=strawberry.ID(format_id(job.job_id)) if job.job_id is not None else None,
        duplicate=job.duplicate,
        error=field_error(job.fault) if job.fault is not None else None,
    )
