"""What mutations of queues answer."""

from app.api.coordinates import Coordinates
from app.api.graphql.scalars import Position
from app.api.graphql.types.faults import field_error
from app.api.graphql.types.payloads import QueuesPayload
from app.api.graphql.types.queue import queue_of_spec
from app.api.service.queue_commands import QueuesAnswer


def queues_payload(answer: QueuesAnswer, coordinates: Coordinates) -> QueuesPayload:
    return QueuesPayload(
        position=Position(coordinates.position(answer.position)),
        queues=[queue_of_spec(spec) for spec in answer.queues],
        errors=[field_error(fault) for fault in answer.faults],
    )
