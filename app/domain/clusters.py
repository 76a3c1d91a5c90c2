"""What argosy.clusters holds: what executors say of their nodes, and that API processes are alive.

Readers drop an update whose (instance, sequence) is older than one they have seen of that cluster. Quantities are
Kubernetes text.
"""

from msgspec import Struct


class Taint(Struct, frozen=True, kw_only=True):
    """A Kubernetes taint."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


class Foreign(Struct, frozen=True, kw_only=True):
    """Room on a node that is held, at one priority, by pods that are not runs of the last full answer."""

    priority: int
    usage: dict[str, str]


class NodeData(Struct, frozen=True, kw_only=True):
    """A node as its cluster reports it."""

    name: str
    pool: str
    type: str = ""
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] = ()
    allocatable: dict[str, str] = {}
    foreign: tuple[Foreign, ...] = ()
    unschedulable: bool = False


class ClusterUpdate(Struct, frozen=True, kw_only=True):
    """One request of a cluster's reports lane, as far as it concerns nodes; without any, a heartbeat.

    complete_count closes the generation: nodes of the cluster that it did not name are gone. received_ms is the
    API's clock."""

    cluster: str
    instance: bytes
    sequence: int
    received_ms: int
    cluster_time_ms: int
    generation: int
    changed: tuple[NodeData, ...] = ()
    removed: tuple[str, ...] = ()
    complete_count: int | None = None


class ClusterUpdates(Struct, frozen=True, kw_only=True):
    """Updates of clusters of one partition of argosy.clusters, collected over 20 ms."""

    updates: tuple[ClusterUpdate, ...]


class ApiAlive(Struct, frozen=True, kw_only=True):
    """An API process is up (every 5 s, to every partition of argosy.clusters) and whether it could answer executors
    from the view leases."""

    process: str
    leases_known: bool
    time_ms: int


class ShapeRecord(Struct, frozen=True, kw_only=True):
    """argosy.shapes: the canonical encoding of a shape (app.pods.shape); the key is its hash."""

    body: bytes


class LeadershipRecord(Struct, frozen=True, kw_only=True):
    """argosy.leadership: the owner of the partition says that it leads; the record's offset is its epoch."""

    candidate: str
    time_ms: int


class DeadLetter(Struct, frozen=True, kw_only=True):
    """argosy.dead-letters: a record, or an item of one, that could not be taken. reason: UNDECODABLE or INTERNAL."""

    topic: str
    partition: int
    offset: int
    item: int
    component: str
    reason: str
    message: str
    log_time_ms: int
    key: bytes
    body: bytes
