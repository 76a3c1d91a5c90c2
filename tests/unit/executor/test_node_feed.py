"""What is said of nodes, and when."""

from typing import Any

import pytest

from app.executor import node_feed
from app.executor.actual import Actual
from app.executor.desired import Desired, Told
from app.executor.kubernetes import Changes, Node, Pod, PodPhase, Taint
from app.executor.node_feed import FOREIGN_EVERY_MS, GENERATION_EVERY_MS, NodeFeed
from app.executor.observe import take_changes
from app.executor.protocol import Nodes, NodesComplete
from app.pods.quantity import resources_of
from tests.unit.executor.builders import CLUSTER, LOG, a_pod, an_id, at


class Feed:
    """A feed over a cluster, with a clock."""

    def __init__(self, *names: str) -> None:
        self.desired = Desired(cluster=CLUSTER, instance_start_ms=0, log=LOG)
        self.desired.full_cursor = at(100)
        self.actual = Actual()
        self.feed = NodeFeed()
        self.now_ms = 1_000_000
        self.change(nodes=tuple(a_node(name) for name in names))

    def change(
        self,
        *,
        nodes: tuple[Node, ...] = (),
        removed: tuple[str, ...] = (),
        pods: tuple[Pod, ...] = (),
        deleted: tuple[Pod, ...] = (),
    ) -> None:
        take_changes(
            self.desired,
            self.actual,
            Changes(nodes=nodes, removed_nodes=removed, pods=pods, deleted=deleted),
            self.now_ms,
        )

    def next(self, later_ms: int = 0) -> Nodes | None:
        self.now_ms += later_ms
        return self.feed.next(self.desired, self.actual, self.now_ms)


def a_node(name: str, **more: Any) -> Node:
    return Node(
        name=name, allocatable={"cpu": "4"}, labels={"argosy.io/pool": "gpu", "argosy.io/node-type": "a100"}, **more
    )


def system_pod(cpu: str = "1", node: str = "a") -> Pod:
    return Pod(
        namespace="kube-system",
        name="dns",
        uid="dns",
        node=node,
        phase=PodPhase.RUNNING,
        priority=7,
        requests=resources_of({"cpu": cpu}),
    )


def names(nodes: Nodes | None) -> list[str]:
    return [node.name for node in nodes.changed] if nodes is not None else []


def test_the_first_generation_is_whole() -> None:
    feed = Feed("b", "a")
    nodes = feed.next()
    assert nodes is not None
    assert (nodes.generation, names(nodes), nodes.complete) == (1, ["a", "b"], NodesComplete(node_count=2))
    assert (nodes.changed[0].pool, nodes.changed[0].type) == ("gpu", "a100")
    assert feed.next() is None


def test_a_generation_may_span_requests_and_counts_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_feed, "NODES_PER_REQUEST", 2)
    feed = Feed("a", "b", "c", "d", "e")
    first = feed.next()
    assert first is not None
    assert (names(first), first.complete) == (["a", "b"], None)
    feed.change(removed=("a", "d"), nodes=(a_node("f"),))
    second = feed.next()
    assert second is not None
    assert (names(second), second.removed) == (["c", "e"], ("a",))
    if second.complete is None:
        second = feed.next()
    assert second is not None
    assert second.complete == NodesComplete(node_count=3)
    assert names(feed.next()) == ["f"]


def test_only_changed_nodes_are_said_afterwards() -> None:
    feed = Feed("a", "b")
    feed.next()
    feed.change(nodes=(a_node("a"),))
    assert feed.next() is None
    feed.change(nodes=(a_node("a", unschedulable=True), a_node("b", taints=(Taint(key="k"),))))
    nodes = feed.next()
    assert nodes is not None
    assert nodes.changed[0].unschedulable
    assert nodes.changed[1].taints[0].key == "k"
    feed.change(removed=("b",))
    nodes = feed.next()
    assert nodes is not None
    assert (names(nodes), nodes.removed, nodes.generation) == ([], ("b",), 1)


def test_a_node_that_is_not_ready_takes_nothing_new() -> None:
    feed = Feed()
    feed.change(nodes=(a_node("a", ready=False),))
    nodes = feed.next()
    assert nodes is not None
    assert nodes.changed[0].unschedulable


def test_a_new_generation_comes_on_request_and_every_ten_minutes() -> None:
    feed = Feed("a")
    feed.next()
    feed.feed.ask()
    nodes = feed.next()
    assert nodes is not None
    assert nodes.generation == 2
    assert feed.next(GENERATION_EVERY_MS - 1) is None
    nodes = feed.next(1)
    assert nodes is not None
    assert (nodes.generation, nodes.complete) == (3, NodesComplete(node_count=1))


def test_foreign_usage_is_said_by_priority_and_at_most_every_half_minute() -> None:
    feed = Feed("a")
    feed.change(pods=(system_pod(),))
    nodes = feed.next()
    assert nodes is not None
    assert nodes.changed[0].foreign == {"7": {"cpu": "1", "pods": "1"}}
    feed.change(pods=(system_pod("2"),))
    assert feed.next(FOREIGN_EVERY_MS - 1) is None
    nodes = feed.next(1)
    assert nodes is not None
    assert nodes.changed[0].foreign == {"7": {"cpu": "2", "pods": "1"}}
    feed.change(deleted=(system_pod("2"),))
    nodes = feed.next(FOREIGN_EVERY_MS)
    assert nodes is not None
    assert nodes.changed[0].foreign == {}


def test_room_of_runs_that_the_log_counts_is_not_foreign() -> None:
    feed = Feed("n0")
    counted, unknown, other_log, finished = (
        a_pod(1, requests=resources_of({"cpu": "1"})),
        a_pod(2, requests=resources_of({"cpu": "2"})),
        a_pod(3, log="other", requests=resources_of({"cpu": "4"})),
        a_pod(4, PodPhase.SUCCEEDED, requests=resources_of({"cpu": "8"})),
    )
    feed.change(pods=(counted, unknown, other_log, finished))
    feed.desired.runs[an_id(1)].told = Told.REPORTED
    feed.desired.runs[an_id(2)].told = Told.NOT_NAMED
    nodes = feed.next()
    assert nodes is not None
    assert nodes.changed[0].foreign == {"0": {"cpu": "6", "pods": "2"}}


def test_before_the_first_full_answer_our_pods_are_taken_to_be_counted() -> None:
    feed = Feed("n0")
    feed.desired.full_cursor = None
    feed.change(pods=(a_pod(1), a_pod(2, cluster="other")))
    nodes = feed.next()
    assert nodes is not None
    assert nodes.changed[0].foreign == {"0": {"pods": "1"}}
