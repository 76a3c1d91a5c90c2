"""deleteQueues: queues without live jobs."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.mutations.queues_payload import queues_payload
from app.api.graphql.types.payloads import QueuesPayload


async def delete_queues(
    info: RequestInfo, names: list[str], wait_for: WaitFor | None = WaitFor.APPLIED
) -> QueuesPayload:
    """Delete queues; one that has jobs which have not ended is refused. The history of its jobs stays. Needs the global
    verb delete_queue."""
    context = info.context
    answer = await context.services.change_queues.delete(names, context.principal, wait_for or WaitFor.APPLIED)
    return queues_payload(answer, context.services.coordinates)
