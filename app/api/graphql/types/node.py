"""Clusters and their nodes, as executors report them."""

import strawberry
from strawberry.scalars import JSON

from app.api.graphql.context import RequestInfo
from app.api.graphql.scalars import Cursor, DateTime
from app.api.graphql.types.connections import PageInfo
from app.db.queries.node_usage import NOTHING, NodeUsage
from app.db.queries.nodes import ClusterRecord, NodeRecord
from app.domain.ids import format_id
from app.pods.quantity import QuantityError, amount_of, format_amount

GIB = 1 << 30


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


async def _allocated(root: "Node", info: RequestInfo) -> JSON:
    usage = await info.context.services.insight.usage_of(root.cluster.name, root.name) or NOTHING
    return JSON(
        {
            "cpu": format_amount("cpu", usage.cpu_milli),
            "memory": format_amount("memory", usage.memory_bytes),
            "ephemeral-storage": format_amount("ephemeral-storage", usage.storage_bytes),
            **({"nvidia.com/gpu": str(usage.gpus)} if usage.gpus else {}),
        }
    )


async def _jobs_count(root: "Node", info: RequestInfo) -> int:
    usage = await info.context.services.insight.usage_of(root.cluster.name, root.name)
    return usage.jobs if usage is not None else 0


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
    foreign: JSON

    allocated: JSON = strawberry.field(resolver=_allocated, description="requests of the runs that it holds")
    jobs_count: int = strawberry.field(resolver=_jobs_count, description="live runs on it")


@strawberry.type(
    description="a node in a few numbers; cpu in cores, memory in GiB; used: requests of live runs, at most 2 s old"
)
class NodeCell:
    cluster: str
    name: str
    pool: str
    unschedulable: bool
    tainted: bool
    last_reported: DateTime
    jobs: int
    cpu: float
    cpu_used: float
    memory: float
    memory_used: float
    gpu: int
    gpu_used: int


@strawberry.type(description="the nodes that are scheduled together")
class Pool:
    name: str
    nodes: int
    clusters: int


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
        foreign=JSON([{"priority": each.priority, "usage": each.usage} for each in node.foreign]),
    )


def node_cell_of(record: NodeRecord, usage: NodeUsage | None) -> NodeCell:
    held = usage or NOTHING
    allocatable = record.node.allocatable
    return NodeCell(
        cluster=record.cluster,
        name=record.node.name,
        pool=record.node.pool,
        unschedulable=record.node.unschedulable,
        tainted=bool(record.node.taints),
        last_reported=DateTime(record.received_ms),
        jobs=held.jobs,
        cpu=_amount("cpu", allocatable.get("cpu", "0")) / 1000,
        cpu_used=held.cpu_milli / 1000,
        memory=_amount("memory", allocatable.get("memory", "0")) / GIB,
        memory_used=held.memory_bytes / GIB,
        gpu=sum(_amount(name, amount) for name, amount in allocatable.items() if name.endswith("/gpu")),
        gpu_used=held.gpus,
    )


def _amount(resource: str, text: str) -> int:
    """0 for what is no quantity: a cluster's strange word must not hide its other nodes."""
    try:
        return amount_of(resource, text)
    except QuantityError:
        return 0
