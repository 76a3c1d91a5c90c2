"""A job set: what stands in which state, and the cursor of exactly that moment."""

import strawberry

from app.api.coordinates import NOTHING, Coordinates, Reached, StreamCursor
from app.api.graphql.scalars import Cursor, DateTime, Long
from app.api.graphql.types.state_count import StateCount, state_counts
from app.db.queries.job_sets import JobSetRecord


@strawberry.type(description="subscribing after the cursor gives exactly what the counts lack")
class JobSet:
    queue: str
    name: str
    state_counts: list[StateCount]
    total: Long
    submitted_earliest: DateTime | None
    last_transition_latest: DateTime | None
    cursor: Cursor


def job_set_of_record(record: JobSetRecord, coordinates: Coordinates) -> JobSet:
    reached = Reached(record.reached.offset, record.reached.ordinal) if record.reached.offset >= 0 else NOTHING
    cursor = coordinates.cursor(record.queue, record.name, StreamCursor(record.incarnation, reached))
    first, last = record.first_submitted_ms, record.last_transition_ms
    return JobSet(
        queue=record.queue,
        name=record.name,
        state_counts=state_counts(record.counts),
        total=Long(record.total),
        submitted_earliest=DateTime(first) if first is not None else None,
        last_transition_latest=DateTime(last) if last is not None else None,
        cursor=Cursor(cursor),
    )
