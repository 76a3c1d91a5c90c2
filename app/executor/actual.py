"""What the cluster has, as last seen: the pods of our runs, the pods by node, the nodes. Changed only by `observe`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from app.executor.kubernetes import Node, Pod


@dataclass(slots=True, kw_only=True)
class Actual:
    """The executor's cache of a cluster. pods: run id -> pod, for pods of this log and cluster; everything else
    stands in by_node alone.

    unsorted: pods that name a run, seen before the log was known. changed_nodes: nodes whose own data or pods changed
    since they were drained. lost_nodes: name -> when it was seen to be gone, for nodes on which pods still stand."""

    nodes: dict[str, Node] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    unsorted: dict[str, Pod] = field(default_factory=dict)
    by_node: dict[str, dict[str, Pod]] = field(default_factory=dict)
    lost_nodes: dict[str, int] = field(default_factory=dict)
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
            there = self.by_node.get(pod.node, {})
            there.pop(pod.uid, None)
            self.changed_nodes.add(pod.node)
            if not there:
                self.by_node.pop(pod.node, None)
                self.lost_nodes.pop(pod.node, None)

    def holders(self, node: str) -> Iterator[Pod]:
        """The pods that hold room on a node."""
        return (pod for pod in self.by_node.get(node, {}).values() if pod.holds_room)

    def node_lost_ms(self, name: str | None, start_ms: int) -> int | None:
        """Since when a pod's node is not in the cluster any more, as far as this instance knows; None: it is there."""
        if name is None or name in self.nodes:
            return None
        return self.lost_nodes.get(name, start_ms)

    def take_nodes(self, nodes: Iterable[Node], removed: Iterable[str], now_ms: int) -> None:
        """Nodes that are new or changed, and names of nodes that are gone."""
        for node in nodes:
            self.nodes[node.name] = node
            self.lost_nodes.pop(node.name, None)
            self.changed_nodes.add(node.name)
            self.removed_nodes.discard(node.name)
        for name in removed:
            if self.nodes.pop(name, None) is not None:
                self.removed_nodes.add(name)
                self.changed_nodes.discard(name)
                if self.by_node.get(name):
                    self.lost_nodes[name] = now_ms
