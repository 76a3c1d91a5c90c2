"""updateQueues: queues that exist are described anew, each by itself."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.inputs import QueueType
from app.api.graphql.mutations.queues_payload import queues_payload
from app.api.graphql.types.payloads import QueuesPayload


async def update_queues(
    info: RequestInfo,
    queues: list[QueueType],  # type: ignore[valid-type]
    wait_for: WaitFor | None = WaitFor.APPLIED,
) -> QueuesPayload:
    """Describe queues anew; a field given as null stays as it is, and so do the owners where none is named. Needs the
    global verb create_queue, and cordon_queue for a change of cordoned."""
    context = info.context
    answer = await context.services.change_queues.update(queues, context.principal, wait_for or WaitFor.APPLIED)
    return queues_payload(answer, context.services.coordinates)
