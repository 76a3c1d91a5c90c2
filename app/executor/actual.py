"""What the cluster has, as last seen: the pods of our runs, the pods by node, the nodes. Changed only by `observe`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from app.executor.kubernetes import Node, Pod


@dataclass(slots=True, kw_only=True)
class Actual:
    """The executor's cache of a cluster. pods: run id -> pod, for pods of this log and cluster; everything else
    stands in by_node alone.

    unsorted: pods that name a run, seen before the log was known. changed_nodes: nodes whose own data or pods changed
    since they were drained."""

    nodes: dict[str, Node] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    unsorted: dict[str, Pod] = field(default_factory=dict)
    by_node: dict[str, dict[str, Pod]] = field(default_factory=dict)
    changed_nodes: set[str] = field(default_factory=set)
    removed_nodes: set[str] = field(default_factory=set)

    def place(self, pod: Pod) -> None:
        """Keeps what a node's room is counted from; a pod without a node holds none."""
        if pod.node is not None:
            self.by_node.setdefault(pod.node, {})[pod.uid] = pod
            self.changed_nodes.add(pod.node)

    def displace(self, pod: Pod) -> None:
        """Drops a pod from its node."""
        if pod.node is not None:
            self.by_node.get(pod.node, {}).pop(pod.uid, None)
            self.changed_nodes.add(pod.node)

    def holders(self, node: str) -> Iterator[Pod]:
        """The pods that hold room on a node."""
        return (pod for pod in self.by_node.get(node, {}).values() if pod.holds_room)

    def take_nodes(self, nodes: Iterable[Node], removed: Iterable[str]) -> None:
        """Nodes that are new or changed, and names of nodes that are gone."""
        for node in nodes:
            self.nodes[node.name] = node
            self.changed_nodes.add(node.name)
            self.removed_nodes.discard(node.name)
        for name in removed:
            if self.nodes.pop(name, None) is not None:
                self.removed_nodes.add(name)
                self.changed_nodes.discard(name)
