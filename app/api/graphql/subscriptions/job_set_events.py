"""jobSetEvents: the events of a job set from a cursor on."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from app.api.errors import InvalidArgument
from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import EventKind
from app.api.graphql.job_filters import parsed_id
from app.api.graphql.scalars import Cursor
from app.api.graphql.types.events import EventBatch, event_batch
from app.api.service.stream import StreamRequest

JOB_IDS_MAX = 1_000


async def job_set_events(
    info: RequestInfo,
    queue: str,
    job_set: str,
    after: Cursor | None = None,
    kinds: list[EventKind] | None = None,
    job_ids: list[strawberry.ID] | None = None,
    live: bool | None = True,
) -> AsyncGenerator[EventBatch, None]:
    """Batches of events after a cursor ("BEGIN": from the oldest kept; none: from now). Needs the verb watch on the
    queue. live: false ends when caught up."""
    if job_ids is not None and len(job_ids) > JOB_IDS_MAX:
        raise InvalidArgument("jobIds", f"must have at most {JOB_IDS_MAX:,} ids")
    services = info.context.services
    request = StreamRequest(
        queue=queue,
        job_set=job_set,
        after=after,
        kinds=frozenset(kinds) if kinds is not None else None,
        job_ids=frozenset(parsed_id(text, f"jobIds[{at}]") for at, text in enumerate(job_ids)) if job_ids else None,
        live=live is not False,
    )
    async with aclosing(services.stream.stream(request, info.context.principal)) as steps:
        async for step in steps:
            yield event_batch(step, services.stream.partition_of(queue), services.coordinates)
