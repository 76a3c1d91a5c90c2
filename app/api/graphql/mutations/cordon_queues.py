"""cordonQueues: queues that start nothing new, or do again."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import WaitFor
from app.api.graphql.mutations.queues_payload import queues_payload
from app.api.graphql.types.payloads import QueuesPayload


async def cordon_queues(
    info: RequestInfo, names: list[str], cordoned: bool, wait_for: WaitFor | None = WaitFor.APPLIED
) -> QueuesPayload:
    """Cordon queues, or let them go on. A cordoned queue starts nothing new; what runs goes on, and jobs are still
    accepted. Needs the global verb cordon_queue."""
    context = info.context
    answer = await context.services.change_queues.cordon(
        names, cordoned, context.principal, wait_for or WaitFor.APPLIED
    )
    return queues_payload(answer, context.services.coordinates)
