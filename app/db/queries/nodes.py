"""Clusters and their nodes, as executors report them. Inputs: Database. Output: ClusterRecord, NodeRecord. Reads view
nodes."""

import msgspec
from asyncpg import Record
from msgspec import Struct

from app.db.database import Database
from app.domain.clusters import NodeData

NODES = "nodes"
PAGE_ROWS_MAX = 200
CLUSTERS_MAX = 10_000
NODES_MAX = 50_000

# Every cluster that was heard, with the number of its nodes.
CLUSTERS = """
SELECT c.*, (SELECT count(*) FROM nodes n WHERE n.cluster = c.cluster) AS node_count FROM nodes_clusters c ORDER BY
c.cluster LIMIT $1
"""
# Nodes behind (cluster, name), of one cluster or pool if given.
AFTER = """
SELECT * FROM nodes WHERE (cluster, name) > ($1, $2) AND ($3::text IS NULL OR cluster = $3) AND ($4::text IS NULL OR
pool = $4)
ORDER BY cluster, name LIMIT $5
"""
# One node.
ONE = "SELECT * FROM nodes WHERE cluster = $1 AND name = $2"
# All nodes of a cluster and pool, or of all.
ALL = """
SELECT * FROM nodes WHERE ($1::text IS NULL OR cluster = $1) AND ($2::text IS NULL OR pool = $2)
ORDER BY cluster, name LIMIT $3
"""
# The pools that nodes belong to, with nodes and clusters of each.
POOLS = "SELECT pool, count(*) AS nodes, count(DISTINCT cluster) AS clusters FROM nodes GROUP BY pool ORDER BY pool"


class ClusterRecord(Struct, frozen=True, kw_only=True):
    """A cluster and the executor that speaks for it. received_ms: when the API got its last word (the API's clock)."""

    name: str
    instance: bytes
    sequence: int
    generation: int
    received_ms: int
    cluster_time_ms: int
    node_count: int


class NodeRecord(Struct, frozen=True, kw_only=True):
    """A node as its cluster reported it last."""

    cluster: str
    node: NodeData
    received_ms: int


class NodePage(Struct, frozen=True, kw_only=True):
    """Nodes in order of cluster and name. more: there are others behind."""

    nodes: tuple[NodeRecord, ...]
    more: bool


class PoolRecord(Struct, frozen=True, kw_only=True):
    """A pool by the nodes in it."""

    name: str
    nodes: int
    clusters: int


_NODES = msgspec.json.Decoder(NodeData)


async def clusters(database: Database) -> tuple[ClusterRecord, ...]:
    """All clusters in order of their names. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        rows = await connection.fetch(CLUSTERS, CLUSTERS_MAX)
    return tuple(
        ClusterRecord(
            name=row["cluster"],
            instance=row["instance"],
            sequence=row["sequence"],
            generation=row["generation"],
            received_ms=row["received"],
            cluster_time_ms=row["cluster_time"],
            node_count=row["node_count"],
        )
        for row in rows
    )


async def nodes_page(
    database: Database,
    *,
    cluster: str | None = None,
    pool: str | None = None,
    limit: int = 50,
    key: tuple[str, str] = ("", ""),
) -> NodePage:
    """Up to `limit` (1 to 200) nodes behind `key` (cluster, name). Raises ValueError, Unavailable, QueryTimeout."""
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise ValueError(f"a page has 1 to {PAGE_ROWS_MAX} rows, {limit} were asked for")
    async with database.reading() as connection:
        rows = await connection.fetch(AFTER, key[0], key[1], cluster, pool, limit + 1)
    return NodePage(nodes=tuple(_node(row) for row in rows[:limit]), more=len(rows) > limit)


async def node(database: Database, cluster: str, name: str) -> NodeRecord | None:
    """A node, or None. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        row = await connection.fetchrow(ONE, cluster, name)
    return _node(row) if row is not None else None


async def all_nodes(database: Database, cluster: str | None, pool: str | None) -> tuple[NodeRecord, ...]:
    """Up to NODES_MAX nodes in order of cluster and name. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        rows = await connection.fetch(ALL, cluster, pool, NODES_MAX)
    return tuple(_node(row) for row in rows)


async def pools(database: Database) -> tuple[PoolRecord, ...]:
    """Pools in order of their names. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        rows = await connection.fetch(POOLS)
    return tuple(PoolRecord(name=row["pool"], nodes=row["nodes"], clusters=row["clusters"]) for row in rows)


def _node(row: Record) -> NodeRecord:
    return NodeRecord(cluster=row["cluster"], node=_NODES.decode(row["node"]), received_ms=row["received"])
