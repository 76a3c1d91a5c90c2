"""queue, queues."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.scalars import Cursor, Position
from app.api.graphql.types.connections import PAGE_ROWS_DEFAULT, AsOf, page_arguments, page_info
from app.api.graphql.types.list_cursors import list_cursor, parse_list_cursor
from app.api.graphql.types.queue import Queue, QueueConnection, QueueEdge, queue_of_record
from app.api.service.waiting import QUEUES_VIEW

_KIND = "queues"


async def queue(info: RequestInfo, name: str, at_least: Position | None = None) -> Queue | None:
    """A queue by its name; null when the view knows none."""
    found = await info.context.services.read.queue(name, at_least)
    return queue_of_record(found) if found is not None else None


async def queues(
    info: RequestInfo,
    first: int | None = PAGE_ROWS_DEFAULT,
    after: Cursor | None = None,
    at_least: Position | None = None,
) -> QueueConnection:
    """Queues in order of their names, at most 200 a page."""
    page = page_arguments(first, after, None, None)
    name = parse_list_cursor(_KIND, after, tuple[str], path="after")[0] if after is not None else None
    read = info.context.services.read
    found = await read.queues(limit=page.limit, after=name, at_least=at_least)
    edges = [
        QueueEdge(node=queue_of_record(record), cursor=list_cursor(_KIND, (record.name,))) for record in found.queues
    ]
    return QueueConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=page_info(page, [edge.cursor for edge in edges], more=found.more),
        count_estimate=found.count,
        as_of=AsOf(position=Position(read.as_of(QUEUES_VIEW)), lag=None),
    )
