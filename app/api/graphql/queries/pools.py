"""pools, node, nodeCells, round."""

import strawberry

from app.api.graphql.context import RequestInfo
from app.api.graphql.job_filters import parsed_id
from app.api.graphql.types.node import Node, NodeCell, Pool, node_cell_of, node_of_record
from app.api.graphql.types.round import Round, round_of_record
from app.db.names import node_id


async def pools(info: RequestInfo) -> list[Pool]:
    """Every pool that nodes belong to."""
    found = await info.context.services.insight.pools()
    return [Pool(name=each.name, nodes=each.nodes, clusters=each.clusters) for each in found]


async def node(info: RequestInfo, cluster: str, name: str) -> Node | None:
    """A node by its cluster and name; null when no report names it."""
    found = await info.context.services.insight.node(cluster, name)
    return node_of_record(found) if found is not None else None


async def node_cells(info: RequestInfo, cluster: str | None = None, pool: str | None = None) -> list[NodeCell]:
    """All nodes (up to 50,000) of a cluster or pool with what they hold, in few numbers: for maps."""
    insight = info.context.services.insight
    records, usage = await insight.node_cells(cluster, pool), await insight.usage()
    return [node_cell_of(record, usage.get(node_id(record.cluster, record.node.name))) for record in records]


async def round_(info: RequestInfo, id: strawberry.ID) -> Round | None:
    """A round by its id; null when it is not kept any more."""
    found = await info.context.services.insight.round(parsed_id(id, "id"))
    return round_of_record(found) if found is not None else None
