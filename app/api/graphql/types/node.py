"""Clusters and their nodes, as executors report them."""

import strawberry
from strawberry.scalars import JSON

from app.api.graphql.scalars import Cursor, DateTime
from app.api.graphql.types.connections import PageInfo
from app.db.queries.nodes import ClusterRecord, NodeRecord
from app.domain.ids import format_id


@strawberry.type(description="a Kubernetes cluster; lastHeard: when the API got its executor's last word")
class Cluster:
    name: str
    executor_instance: strawberry.ID
    last_heard: DateTime
    node_count: int


@strawberry.type
class ClusterName:
    name: str


@strawberry.type
class Taint:
    key: str
    value: str
    effect: str


@strawberry.type
class Node:
    name: str
    cluster: ClusterName
    pool: str
    type: str
    labels: JSON
    taints: list[Taint]
    allocatable: JSON
    unschedulable: bool
    last_reported: DateTime


@strawberry.type
class NodeEdge:
    node: Node
    cursor: Cursor


@strawberry.type
class NodeConnection:
    edges: list[NodeEdge]
    nodes: list[Node]
    page_info: PageInfo


def cluster_of_record(record: ClusterRecord) -> Cluster:
    return Cluster(
        name=record.name,
        executor_instance=strawberry.ID(format_id(record.instance)),
        last_heard=DateTime(record.received_ms),
        node_count=record.node_count,
    )


def node_of_record(record: NodeRecord) -> Node:
    node = record.node
    return Node(
        name=node.name,
        cluster=ClusterName(name=record.cluster),
        pool=node.pool,
        type=node.type,
        labels=JSON(node.labels),
        taints=[Taint(key=each.key, value=each.value, effect=each.effect) for each in node.taints],
        allocatable=JSON(node.allocatable),
        unschedulable=node.unschedulable,
        last_reported=DateTime(record.received_ms),
    )
