"""What a stream of a job set yields. A batch is one object for all who stand and want alike, encoded once."""

import msgspec
import strawberry
from strawberry.scalars import JSON

from app.api.coordinates import Coordinates, StreamCursor
from app.api.graphql.enums import EventKind
from app.api.graphql.lean_executor import Shared
from app.api.graphql.scalars import Cursor, DateTime, Position
from app.api.service.stream import StreamStep
from app.api.tail.channels import ChannelKey, StreamEvent
from app.domain.ids import format_id
from app.domain.positions import Position as EventPosition

_decode = msgspec.json.Decoder(list[object]).decode


@strawberry.type(
    description="terminal: nothing follows for this job; time: when it was decided, by the log; "
    "preemptedBy: the job that takes the room"
)
class JobEvent:
    id: strawberry.ID
    position: Position
    kind: EventKind
    terminal: bool
    time: DateTime
    queue: str
    job_set: str
    job_id: strawberry.ID
    run_id: strawberry.ID | None
    attempt: int
    cluster: str | None
    node: str | None
    pod: str | None
    namespace: str | None
    pool: str | None
    requestor: str | None
    reason: str | None
    reason_code: str | None
    priority: float | None
    retryable: bool | None
    failure_category: str | None
    exit_code: int | None
    containers: list[JSON] | None
    preempted_by: strawberry.ID | None


@strawberry.type(description="events in order; the cursor is where to go on; a heartbeat has no events")
class EventBatch(Shared):
    events: list[JobEvent]
    cursor: Cursor
    caught_up: bool
    heartbeat: bool


def event_batch(step: StreamStep, partition: int, coordinates: Coordinates) -> EventBatch:
    """The batch of a step, made once."""
    key = ("EventBatch", step.caught_up, step.heartbeat)
    made: EventBatch | None = step.batch.renderings.get(key)
    if made is None:
        cursor = StreamCursor(step.key.incarnation, step.batch.reached)
        made = EventBatch(
            events=[event_of(each, step.key, partition, coordinates) for each in step.batch.events],
            cursor=Cursor(coordinates.cursor(step.key.queue, step.key.job_set, cursor)),
            caught_up=step.caught_up,
            heartbeat=step.heartbeat,
        )
        step.batch.renderings[key] = made
    return made


def event_of(found: StreamEvent, key: ChannelKey, partition: int, coordinates: Coordinates) -> JobEvent:
    event = found.event
    position = EventPosition(partition, found.offset, event.ordinal)
    return JobEvent(
        id=strawberry.ID("-".join(map(str, position))),
        position=Position(coordinates.position({partition: found.offset})),
        kind=event.kind,
        terminal=event.terminal,
        time=DateTime(found.log_time_ms),
        queue=key.queue,
        job_set=key.job_set,
        job_id=strawberry.ID(format_id(event.job_id)),
        run_id=strawberry.ID(format_id(event.run_id)) if event.run_id is not None else None,
        attempt=event.attempt,
        cluster=event.cluster,
        node=event.node,
        pod=event.pod,
        namespace=event.namespace,
        pool=event.pool,
        requestor=event.requestor,
        reason=event.reason,
        reason_code=event.reason_code,
        priority=float(event.priority) if event.priority is not None else None,
        retryable=event.retryable,
        failure_category=event.category,
        exit_code=event.exit_code,
        containers=[JSON(each) for each in _decode(event.containers)] if event.containers else None,
        preempted_by=strawberry.ID(format_id(event.preempted_by)) if event.preempted_by is not None else None,
    )
