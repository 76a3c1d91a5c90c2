"""What is said of nodes: whole generations at start, on request and every ten minutes, changed nodes only in between.
Pure but for its state.

Foreign usage (the room held by pods that the log does not count) changes with every pod that is not ours, so alone it
is sent at most every 30 s a node."""

from app.executor import protocol, rules
from app.executor.actual import Actual
from app.executor.desired import Desired
from app.executor.kubernetes import NODE_LABEL_POOL, NODE_LABEL_TYPE, Node
from app.pods.quantity import NO_RESOURCES, Resources, add, format_amount

GENERATION_EVERY_MS = 600_000
FOREIGN_EVERY_MS = 30_000
NODES_PER_REQUEST = 1_000
DEFAULT_POOL = "default"


class NodeFeed:
    """The nodes as last said. One request at a time: what `next` gave counts as said (it is sent again until it is
    answered)."""

    def __init__(self) -> None:
        self._generation = 0
        self._began_ms = 0
        self._asked = False
        self._left: list[str] | None = None
        self._said: dict[str, protocol.Node] = {}
        self._foreign_ms: dict[str, int] = {}
        self._later: set[str] = set()

    def ask(self) -> None:
        """The API asks for a whole generation."""
        self._asked = True

    def has_news(self, actual: Actual, now_ms: int) -> bool:
        """Whether there may be something to say now."""
        return bool(actual.changed_nodes or actual.removed_nodes or self._left is not None) or self._generation_due(
            now_ms
        )

    def next(self, desired: Desired, actual: Actual, now_ms: int) -> protocol.Nodes | None:
        """What is to be said next; None when nothing is."""
        if self._generation_due(now_ms) and self._left is None:
            self._generation += 1
            self._began_ms = now_ms
            self._asked = False
            self._left = sorted(actual.nodes, reverse=True)
            self._said = {}
            self._later = set()
            actual.removed_nodes.clear()
        removed = self._take_removed(actual)
        if self._left is not None:
            return self._next_of_generation(desired, actual, now_ms, removed)
        changed = self._take_changed(desired, actual, now_ms)
        if not changed and not removed:
            return None
        return protocol.Nodes(generation=self._generation, changed=tuple(changed), removed=tuple(removed))

    def _generation_due(self, now_ms: int) -> bool:
        return self._generation == 0 or self._asked or now_ms >= self._began_ms + GENERATION_EVERY_MS

    def _next_of_generation(self, desired: Desired, actual: Actual, now_ms: int, removed: list[str]) -> protocol.Nodes:
        assert self._left is not None, "a generation is begun"
        changed: list[protocol.Node] = []
        while self._left and len(changed) < NODES_PER_REQUEST:
            node = actual.nodes.get(self._left.pop())
            if node is not None:
                changed.append(self._say(node, desired, actual, now_ms))
        complete = None
        if not self._left:
            self._left = None
            complete = protocol.NodesComplete(node_count=len(self._said))
        return protocol.Nodes(
            generation=self._generation, changed=tuple(changed), removed=tuple(removed), complete=complete
        )

    def _take_removed(self, actual: Actual) -> list[str]:
        removed = sorted(name for name in actual.removed_nodes if self._said.pop(name, None) is not None)
        actual.removed_nodes.clear()
        return removed[: protocol.RUNS_PER_REQUEST_MAX]

    def _take_changed(self, desired: Desired, actual: Actual, now_ms: int) -> list[protocol.Node]:
        due = {name for name in self._later if now_ms >= self._foreign_ms.get(name, 0) + FOREIGN_EVERY_MS}
        names = sorted(actual.changed_nodes | due)
        changed: list[protocol.Node] = []
        for name in names[:NODES_PER_REQUEST]:
            actual.changed_nodes.discard(name)
            self._later.discard(name)
            node = actual.nodes.get(name)
            if node is None:
                continue
            said = self._said.get(name)
            wire = _wire(node, desired, actual)
            if wire == said:
                continue
            only_foreign = said is not None and _without_foreign(wire) == _without_foreign(said)
            if only_foreign and now_ms < self._foreign_ms.get(name, 0) + FOREIGN_EVERY_MS:
                self._later.add(name)
                continue
            changed.append(self._keep(wire, now_ms))
        return changed

    def _say(self, node: Node, desired: Desired, actual: Actual, now_ms: int) -> protocol.Node:
        actual.changed_nodes.discard(node.name)
        return self._keep(_wire(node, desired, actual), now_ms)

    def _keep(self, wire: protocol.Node, now_ms: int) -> protocol.Node:
        self._said[wire.name] = wire
        self._foreign_ms[wire.name] = now_ms
        return wire


def _wire(node: Node, desired: Desired, actual: Actual) -> protocol.Node:
    return protocol.Node(
        name=node.name,
        pool=node.labels.get(NODE_LABEL_POOL) or DEFAULT_POOL,
        type=node.labels.get(NODE_LABEL_TYPE, ""),
        labels=dict(node.labels),
        taints=tuple(protocol.Taint(key=taint.key, value=taint.value, effect=taint.effect) for taint in node.taints),
        allocatable=dict(node.allocatable),
        foreign=_foreign(node.name, desired, actual),
        unschedulable=node.unschedulable or not node.ready,
    )


def _without_foreign(wire: protocol.Node) -> protocol.Node:
    return protocol.Node(
        name=wire.name,
        pool=wire.pool,
        type=wire.type,
        labels=wire.labels,
        taints=wire.taints,
        allocatable=wire.allocatable,
        unschedulable=wire.unschedulable,
    )


def _foreign(node: str, desired: Desired, actual: Actual) -> dict[str, dict[str, str]]:
    """priority -> usage of the pods on a node whose room the log does not count."""
    usage: dict[str, Resources] = {}
    for pod in actual.holders(node):
        ours = pod.run is not None and actual.pods.get(pod.run.run_id) is pod
        run = desired.runs.get(pod.run.run_id) if pod.run is not None and ours else None
        waits_for_log = pod.run is not None and desired.log is None
        if not waits_for_log and not rules.log_counts_room(run, desired):
            priority = str(pod.priority)
            usage[priority] = add(usage.get(priority, NO_RESOURCES), add(pod.requests, {"pods": 1}))
    return {
        priority: {name: format_amount(name, amount) for name, amount in amounts.items()}
        for priority, amounts in usage.items()
    }
