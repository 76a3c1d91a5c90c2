"""What mutations of jobs answer."""

import strawberry

from app.api.coordinates import Coordinates
from app.api.graphql.scalars import Position
from app.api.graphql.types.faults import field_error, item_error
from app.api.graphql.types.payloads import JobsPayload
from app.api.service.job_answers import JobsAnswer
from app.domain.ids import format_id


def jobs_payload(answer: JobsAnswer, coordinates: Coordinates) -> JobsPayload:
    return JobsPayload(
        position=Position(coordinates.position(answer.position)),
        affected=[strawberry.ID(format_id(job)) for job in answer.affected],
        affected_count=answer.affected_count,
        not_affected=[item_error(item) for item in answer.not_affected],
        errors=[field_error(fault) for fault in answer.faults],
    )
