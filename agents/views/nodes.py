"""View nodes: clusters and their nodes as executors report them, from argosy.clusters.

Every update is judged where it is written: one that is older (instance, sequence) than what stands of its cluster
changes nothing. A generation that is complete, and whose nodes are all there, takes away the nodes it did not name.
Owner of nodes_v1, nodes_v1_clusters. Queries: app.db.queries.nodes.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from app.domain.clusters import ClusterUpdate, ClusterUpdates
from app.log.topics import CLUSTERS
from app.views.view import Batch, Execute, Operation, View

VERSION = 1
NODES, HEARD = f"nodes_v{VERSION}", f"nodes_v{VERSION}_clusters"
METADATA = MetaData()
Time = DateTime(timezone=True)

Table(
    HEARD,
    METADATA,
    Column("cluster", Text, primary_key=True),
    Column("instance", UUID, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("received", Time, nullable=False),
    Column("cluster_time", Time, nullable=False),
    postgresql_with={"fillfactor": "50"},
)
Table(
    NODES,
    METADATA,
    Column("cluster", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("pool", Text, nullable=False),
    Column("instance", UUID, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("received", Time, nullable=False),
    # JSON of NodeData
    Column("node", Text, nullable=False),
    Index(f"{NODES}_pool", "pool"),
    postgresql_with={"fillfactor": "70"},
)

# What stands of the cluster must not be newer; the rest of an update asks for exactly what this has written.
HEAR = f"""
INSERT INTO {HEARD} AS c (cluster, instance, sequence, generation, received, cluster_time) VALUES ($1, $2, $3, $4, $5,
$6)
ON CONFLICT (cluster) DO UPDATE SET instance = excluded.instance, sequence = excluded.sequence,
  generation = excluded.generation, received = excluded.received, cluster_time = excluded.cluster_time
WHERE (c.instance, c.sequence) <= (excluded.instance, excluded.sequence)
"""
_ACCEPTED = f"EXISTS (SELECT 1 FROM {HEARD} c WHERE c.cluster = $1 AND c.instance = $2 AND c.sequence = $3)"
# Nodes that changed.
CHANGE = f"""
INSERT INTO {NODES} (cluster, name, pool, instance, generation, received, node)
SELECT $1::text, u.name, u.pool, $2::uuid, $4::bigint, $5::timestamptz, u.node FROM unnest($6::text[], $7::text[],
$8::text[]) AS u(name, pool, node)
WHERE {_ACCEPTED}
ON CONFLICT (cluster, name) DO UPDATE SET pool = excluded.pool, instance = excluded.instance,
  generation = excluded.generation, received = excluded.received, node = excluded.node
"""
# Nodes that are gone.
REMOVE = f"DELETE FROM {NODES} WHERE cluster = $1 AND name = ANY($4::text[]) AND {_ACCEPTED}"
# A generation is complete: nodes of others are gone. A wrong count proves nothing; the API asks for a new generation.
COMPLETE = f"""
DELETE FROM {NODES} WHERE cluster = $1 AND (instance, generation) <> ($2, $4) AND {_ACCEPTED}
  AND (SELECT count(*) FROM {NODES} n WHERE n.cluster = $1 AND n.instance = $2 AND n.generation = $4) = $5
"""


def rows(batch: Batch) -> Sequence[Operation]:
    """Updates in their order; of heartbeats that follow each other only the last is written. Pure."""
    out: list[Operation] = []
    beats: dict[str, ClusterUpdate] = {}
    for record in batch.records:
        if not isinstance(record.value, ClusterUpdates):
            continue  # an API process is alive: not of nodes
        for update in record.value.updates:
            if update.changed or update.removed or update.complete_count is not None:
                beat = beats.pop(update.cluster, None)
                if beat is not None:
                    out.append(_hear(beat))
                out += [_hear(update), *_change(update)]
            else:
                beat = beats.get(update.cluster)
                if beat is None or (beat.instance, beat.sequence) <= (update.instance, update.sequence):
                    beats[update.cluster] = update
    return [*out, *map(_hear, beats.values())]


def _hear(update: ClusterUpdate) -> Execute:
    return Execute(
        purpose="a cluster is heard",
        statement=HEAR,
        arguments=(
            update.cluster,
            update.instance,
            update.sequence,
            update.generation,
            update.received_ms,
            update.cluster_time_ms,
        ),
    )


def _change(update: ClusterUpdate) -> Sequence[Execute]:
    who = (update.cluster, update.instance, update.sequence)
    out: list[Execute] = []
    if update.changed:
        last = {node.name: node for node in update.changed}
        columns = (
            list(last),
            [node.pool for node in last.values()],
            [msgspec.json.encode(node).decode() for node in last.values()],
        )
        changed = (*who, update.generation, update.received_ms, *columns)
        out.append(Execute(purpose="nodes changed", statement=CHANGE, arguments=changed))
    if update.removed:
        out.append(Execute(purpose="nodes are gone", statement=REMOVE, arguments=(*who, list(update.removed))))
    if update.complete_count is not None:
        complete = (*who, update.generation, update.complete_count)
        out.append(Execute(purpose="a generation is complete", statement=COMPLETE, arguments=complete))
    return out


VIEW = View(name="nodes", version=VERSION, topic=CLUSTERS, metadata=METADATA, rows=rows)
