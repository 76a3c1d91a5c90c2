"""What runs of live jobs hold on nodes. Inputs: Database, cluster, node. Output: NodeUsage by (cluster, node). Reads
view history, its live tables only.
"""

from msgspec import Struct

from app.db import names
from app.db.database import Database

# Live runs by node, of one cluster or node when given; queued jobs have no node, their table is excluded.
USAGE = """
SELECT cluster_id, node_id, count(*) AS jobs, sum(cpu) AS cpu, sum(memory) AS memory, sum(storage) AS storage,
  sum(gpus) AS gpus
FROM history_jobs WHERE state IN (1, 2, 3) AND ($1::bigint IS NULL OR cluster_id = $1)
  AND ($2::bigint IS NULL OR node_id = $2) AND node_id IS NOT NULL
GROUP BY cluster_id, node_id
"""


class NodeUsage(Struct, frozen=True, kw_only=True):
    """Requests of the live runs on a node: cpu in milli-cores, the others in base units."""

    jobs: int
    cpu_milli: int
    memory_bytes: int
    storage_bytes: int
    gpus: int


NOTHING = NodeUsage(jobs=0, cpu_milli=0, memory_bytes=0, storage_bytes=0, gpus=0)


async def node_usage(database: Database, cluster: str | None = None, node: str | None = None) -> dict[int, NodeUsage]:
    """By the node's number (app.db.names.node_id); a node without runs is missing. Raises Unavailable, QueryTimeout."""
    cluster_id = names.name_id(names.CLUSTER, cluster) if cluster is not None else None
    node_number = names.node_id(cluster, node) if cluster is not None and node is not None else None
    async with database.reading() as connection:
        rows = await connection.fetch(USAGE, cluster_id, node_number)
    return {
        row["node_id"]: NodeUsage(
            jobs=row["jobs"],
            cpu_milli=int(row["cpu"]),
            memory_bytes=int(row["memory"]),
            storage_bytes=int(row["storage"]),
            gpus=int(row["gpus"]),
        )
        for row in rows
    }
