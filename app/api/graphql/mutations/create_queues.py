"""createQueues: new queues; an existing name is refused, the others are created."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.inputs import QueueType
from app.api.graphql.mutations.queues_payload import queues_payload
from app.api.graphql.types.payloads import QueuesPayload


async def create_queues(
    info: RequestInfo,
    queues: list[QueueType],  # type: ignore[valid-type]
    wait_for: WaitFor | None = WaitFor.APPLIED,
) -> QueuesPayload:
    """Create queues. Needs the global verb create_queue."""
    context = info.context
    answer = await context.services.create_queues.create(queues, context.principal, wait_for or WaitFor.APPLIED)
    return queues_payload(answer, context.services.coordinates)
