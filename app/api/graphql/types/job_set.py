"""A job set: what stands in which state, and the cursor of exactly that moment."""

import strawberry

from app.api.coordinates import NOTHING, Coordinates, Reached, StreamCursor
from app.api.graphql.context import RequestInfo
from app.api.graphql.scalars import Cursor, DateTime, Long
from app.api.graphql.types.state_count import StateCount, state_counts
from app.db.queries.job_sets import JobSetRecord
from app.domain.lifecycle import ENDED


async def _rate(root: "JobSet", info: RequestInfo) -> float:
    if root.known_rate is None:
        root.known_rate = await info.context.services.read.end_rate(root.record)
    return root.known_rate


async def _eta_seconds(root: "JobSet", info: RequestInfo) -> float | None:
    left = sum(number for state, number in root.record.counts.items() if state not in ENDED)
    if not left:
        return 0.0
    rate = await _rate(root, info)
    return left / rate if rate else None


@strawberry.type(
    description="subscribing after the cursor gives exactly what the counts lack; finishedLatest: once all have ended"
)
class JobSet:
    queue: str
    name: str
    state_counts: list[StateCount]
    total: Long
    submitted_earliest: DateTime | None
    last_transition_latest: DateTime | None
    finished_latest: DateTime | None
    cursor: Cursor
    record: strawberry.Private[JobSetRecord]
    known_rate: strawberry.Private[float | None] = None

    rate: float = strawberry.field(resolver=_rate, description="jobs that end a second, over the last minute")
    eta_seconds: float | None = strawberry.field(
        resolver=_eta_seconds, description="until the jobs that have not ended will have at this rate; null: unknown"
    )


def job_set_of_record(record: JobSetRecord, coordinates: Coordinates) -> JobSet:
    reached = Reached(record.reached.offset, record.reached.ordinal) if record.reached.offset >= 0 else NOTHING
    cursor = coordinates.cursor(record.queue, record.name, StreamCursor(record.incarnation, reached))
    is_done = all(state in ENDED for state, number in record.counts.items() if number)
    first, last = record.first_submitted_ms, record.last_transition_ms
    return JobSet(
        queue=record.queue,
        name=record.name,
        state_counts=state_counts(record.counts),
        total=Long(record.total),
        submitted_earliest=DateTime(first) if first is not None else None,
        last_transition_latest=DateTime(last) if last is not None else None,
        finished_latest=DateTime(last) if is_done and last is not None else None,
        cursor=Cursor(cursor),
        record=record,
    )
