"""clusters, nodes, rounds."""

from app.api.errors import InvalidArgument
from app.api.graphql.context import RequestInfo
from app.api.graphql.scalars import Cursor
from app.api.graphql.types.connections import PAGE_ROWS_DEFAULT, page_arguments, page_info
from app.api.graphql.types.list_cursors import list_cursor, parse_list_cursor
from app.api.graphql.types.node import Cluster, NodeConnection, NodeEdge, cluster_of_record, node_of_record
from app.api.graphql.types.round import RoundConnection, RoundEdge, round_of_summary
from app.db.queries.rounds import RoundKey

_NODES = "nodes"
_ROUNDS = "rounds"


async def clusters(info: RequestInfo) -> list[Cluster]:
    """Every cluster that was heard, in order of their names."""
    return [cluster_of_record(record) for record in await info.context.services.read.clusters()]


async def nodes(
    info: RequestInfo,
    cluster: str | None = None,
    pool: str | None = None,
    first: int | None = PAGE_ROWS_DEFAULT,
    after: Cursor | None = None,
) -> NodeConnection:
    """Nodes in order of cluster and name, at most 200 a page."""
    page = page_arguments(first, after, None, None)
    key = parse_list_cursor(_NODES, after, tuple[str, str], path="after") if after is not None else ("", "")
    found = await info.context.services.read.nodes(cluster=cluster, pool=pool, limit=page.limit, key=key)
    edges = [
        NodeEdge(node=node_of_record(record), cursor=list_cursor(_NODES, (record.cluster, record.node.name)))
        for record in found.nodes
    ]
    return NodeConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=page_info(page, [edge.cursor for edge in edges], more=found.more),
    )


async def rounds(
    info: RequestInfo, pool: str, first: int | None = PAGE_ROWS_DEFAULT, after: Cursor | None = None
) -> RoundConnection:
    """Rounds of a pool, newest first, at most 200 a page."""
    page = page_arguments(first, after, None, None)
    found = await info.context.services.read.rounds(pool, limit=page.limit, key=_round_key(after))
    edges = [
        RoundEdge(node=round_of_summary(summary), cursor=list_cursor(_ROUNDS, (summary.started_ms, summary.round_id)))
        for summary in found.rounds
    ]
    return RoundConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=page_info(page, [edge.cursor for edge in edges], more=found.more),
    )


def _round_key(after: str | None) -> RoundKey | None:
    if after is None:
        return None
    started_ms, round_id = parse_list_cursor(_ROUNDS, after, tuple[int, bytes], path="after")
    if len(round_id) != 16:
        raise InvalidArgument("after", "is not a cursor of this list")
    return RoundKey(started_ms=started_ms, round_id=round_id)
