"""Jobs that a filter matches: what a verb would do to them, and what it did to some of them."""

import strawberry

from app.api.graphql.enums import ErrorCode
from app.api.graphql.scalars import Cursor, Long, Position
from app.api.graphql.types.faults import FieldError, ItemError
from app.api.graphql.types.state_count import StateCount, state_counts
from app.api.service.matching import JobVerb, Preview

strawberry.enum(JobVerb, description="what is done with jobs")


@strawberry.type(
    description="matched: jobs that this call reached; while there are more, the next call goes on behind after"
)
class MatchingJobsPayload:
    position: Position
    matched: int
    affected: list[strawberry.ID]
    affected_count: int
    not_affected: list[ItemError]
    errors: list[FieldError]
    after: Cursor | None
    more: bool


@strawberry.type(description="jobs that the verb would not change, and why; queue: where it is for their queue")
class RefusedJobs:
    code: ErrorCode
    message: str
    count: Long
    queue: str | None


@strawberry.type(
    description="what a verb would meet; count = touched + refused; complete: false when there are more than the "
    "50,000 newest, which were counted"
)
class MatchingJobs:
    count: Long
    complete: bool
    touched: Long
    state_counts: list[StateCount] = strawberry.field(description="of the jobs that would be changed")
    refused: list[RefusedJobs]


def matching_jobs_of(preview: Preview) -> MatchingJobs:
    touched, refused = sum(preview.touched.values()), sum(each.count for each in preview.refused)
    return MatchingJobs(
        count=Long(touched + refused),
        complete=preview.complete,
        touched=Long(touched),
        state_counts=state_counts(preview.touched),
        refused=[
            RefusedJobs(code=each.code, message=each.message, count=Long(each.count), queue=each.queue)
            for each in preview.refused
        ],
    )
