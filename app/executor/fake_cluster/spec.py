"""What a fake cluster consists of: groups of equal nodes, and how fast its pods start and stop."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from app.executor.kubernetes import NODE_LABEL_POOL, NODE_LABEL_TYPE, Node, Taint
from app.pods.quantity import QuantityError, Resources, resources_of

GPU = "nvidia.com/gpu"
NODES_MAX = 100_000
PODS_PER_NODE = 1_000
_DAY_MS = 86_400_000


class FakeClusterError(ValueError):
    """a fake cluster is described wrongly; the message names the field"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """`count` equal nodes, named `<prefix>-0000` and so on. system: room held on each by pods that are not Argosy's."""

    count: int
    prefix: str = "node"
    pool: str = "default"
    node_type: str = ""
    cpu: str = "32"
    memory: str = "256Gi"
    ephemeral_storage: str = "1Ti"
    gpus: int = 0
    pods: int = PODS_PER_NODE
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    system: Mapping[str, str] = field(default_factory=dict)

    @property
    def allocatable(self) -> dict[str, str]:
        """As Kubernetes text."""
        amounts = {
            "cpu": self.cpu,
            "memory": self.memory,
            "ephemeral-storage": self.ephemeral_storage,
            "pods": str(self.pods),
        }
        if self.gpus:
            amounts[GPU] = str(self.gpus)
        return amounts

    def nodes(self) -> Iterator[Node]:
        """The nodes of this group."""
        for index in range(self.count):
            name = f"{self.prefix}-{index:04d}"
            labels = {
                "kubernetes.io/hostname": name,
                "kubernetes.io/arch": "amd64",
                NODE_LABEL_POOL: self.pool,
                **self.labels,
            }
            if self.node_type:
                labels[NODE_LABEL_TYPE] = self.node_type
            yield Node(name=name, allocatable=self.allocatable, labels=labels, taints=self.taints)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeClusterSpec:
    """A fake cluster. start_delay_ms: from creation until the first container begins; stop_delay_ms: from a deletion
    until it has stopped, within its grace; default_run_ms: run time of a command that the table does not know. Raises
    FakeClusterError."""

    groups: tuple[NodeGroup, ...]
    start_delay_ms: int = 200
    stop_delay_ms: int = 100
    default_run_ms: int = 2_000

    def __post_init__(self) -> None:
        _check(bool(self.groups), "groups", "must name at least one group of nodes")
        names: set[str] = set()
        for index, group in enumerate(self.groups):
            path = f"groups[{index}]"
            _check(0 < group.count <= NODES_MAX, f"{path}.count", f"must be 1 to {NODES_MAX}")
            _check(0 <= group.gpus <= 1_000, f"{path}.gpus", "must be 0 to 1000")
            _check(0 < group.pods <= 10_000, f"{path}.pods", "must be 1 to 10000")
            _check(group.prefix not in names, f"{path}.prefix", f"{group.prefix!r} names two groups")
            names.add(group.prefix)
            for where, quantities in (("", group.allocatable), (".system", group.system)):
                _quantities(f"{path}{where}", quantities)
        _check(
            sum(group.count for group in self.groups) <= NODES_MAX, "groups", f"have more than {NODES_MAX} nodes in all"
        )
        for name in ("start_delay_ms", "stop_delay_ms", "default_run_ms"):
            _check(0 <= getattr(self, name) <= _DAY_MS, name, f"must be 0 to {_DAY_MS}")

    def nodes(self) -> list[Node]:
        """All nodes, in order."""
        return [node for group in self.groups for node in group.nodes()]

    def system_usage(self) -> Iterator[tuple[str, Resources]]:
        """(node, amounts) of the pods that are not Argosy's."""
        for group in self.groups:
            if group.system:
                amounts = resources_of(group.system)
                for node in group.nodes():
                    yield node.name, amounts


def _check(holds: bool, path: str, message: str) -> None:
    if not holds:
        raise FakeClusterError(f"fake cluster: {path}: {message}")


def _quantities(path: str, quantities: Mapping[str, str]) -> None:
    for name, value in quantities.items():
        try:
            amount = resources_of({name: value})
        except QuantityError as error:
            raise FakeClusterError(f"fake cluster: {path}.{name}: {error}") from None
        _check(all(number >= 0 for number in amount.values()), f"{path}.{name}", "must not be negative")
