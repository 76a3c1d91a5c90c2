"""What mutations answer."""

import strawberry

from app.api.graphql.scalars import Position
from app.api.graphql.types.faults import FieldError, ItemError
from app.api.graphql.types.queue import Queue


@strawberry.type(description="a job of a submit call; without id it was refused")
class SubmitResult:
    index: int
    job_id: strawberry.ID | None
    duplicate: bool
    error: FieldError | None


@strawberry.type
class SubmitJobsPayload:
    position: Position
    results: list[SubmitResult]
    errors: list[FieldError]


@strawberry.type(description="affected names up to 10,000 ids, affectedCount counts all")
class JobsPayload:
    position: Position
    affected: list[strawberry.ID]
    affected_count: int
    not_affected: list[ItemError]
    errors: list[FieldError]


@strawberry.type
class QueuesPayload:
    position: Position
    queues: list[Queue]
    errors: list[FieldError]
