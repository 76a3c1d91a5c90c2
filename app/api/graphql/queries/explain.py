"""explain."""

import strawberry

from app.api.errors import ApiError
from app.api.graphql.context import RequestInfo
from app.api.graphql.job_filters import parsed_id
from app.api.graphql.scalars import DateTime
from app.api.graphql.types.explanation import Explanation, explanation_of
from app.domain.errors import ErrorCode
from app.domain.lifecycle import JobState


async def explain(info: RequestInfo, job_id: strawberry.ID, at: DateTime | None = None) -> Explanation:
    """Why a job is not running: what the latest rounds (until at) said of jobs like it, and how many of its queue stand
    before it."""
    services = info.context.services
    detail = await services.read.job(parsed_id(job_id, "jobId"))
    if detail is None:
        raise ApiError(ErrorCode.NOT_FOUND, f"the history knows no job {job_id}", path="jobId")
    is_waiting = detail.job.state is JobState.QUEUED
    return explanation_of(detail.job, await services.insight.waiting(detail, at) if is_waiting else None)
