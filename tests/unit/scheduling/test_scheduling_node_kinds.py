"""Nodes of one kind are nodes that no shape tells apart, so judging one of them judges all."""

from random import Random

import numpy as np
import pytest

from app.domain.clusters import Taint
from app.pods.constraints import NodeRequirement, NodeTerm, Toleration
from app.pods.shape import Shape
from app.scheduling.builder import RoundBuilder
from app.scheduling.node_kinds import NodeKinds
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.round import Cluster
from app.scheduling.shapes import shape_of

NODES = 200
ZONES = ("a", "b", "c")


def matcher_of_many(random: Random) -> NodeMatcher:
    builder = RoundBuilder()
    builder.add_cluster(Cluster(name="c"))
    for index in range(NODES):
        labels = {"number": f"{index}", **({"zone": random.choice(ZONES)} if random.random() < 0.8 else {})}
        taints = tuple(Taint(key=key, value="", effect="NoSchedule") for key in "xy" if random.random() < 0.3)
        builder.add_node(f"n{index}", cluster="c", capacity={"cpu": 1}, labels=labels, taints=taints)
    round_ = builder.build()
    return NodeMatcher(round_.nodes, round_.node_types)


def shapes_of_zones() -> list[Shape]:
    shapes = [shape_of(requests={}, priority_class="p", node_selector={"zone": zone}) for zone in ZONES]
    for operator in ("In", "NotIn", "Exists", "DoesNotExist"):
        values = ("a", "c") if operator.endswith("In") else ()
        term = NodeTerm(expressions=(NodeRequirement(key="zone", operator=operator, values=values),))
        tolerations = (Toleration(key="x", operator="Exists"),)
        shapes.append(shape_of(requests={}, priority_class="p", affinity=(term,), tolerations=tolerations))
    return [*shapes, shape_of(requests={}, priority_class="p")]


@pytest.mark.parametrize("seed", range(3))
def test_a_shape_may_stand_on_all_nodes_of_a_kind_or_on_none(seed: int) -> None:
    matcher = matcher_of_many(Random(seed))
    kinds = NodeKinds.of(matcher, shapes_of_zones())
    assert len(kinds.first) <= 16
    assert kinds.size.tolist() == np.bincount(kinds.kind).tolist()
    assert np.all(np.diff(kinds.first) > 0)
    assert kinds.kind[kinds.first].tolist() == list(range(len(kinds.first)))
    for shape in shapes_of_zones():
        for tolerations in ((), shape.tolerations):
            by_kind = kinds.matcher.allowed(shape, tolerations)
            assert by_kind[kinds.kind].tolist() == matcher.allowed(shape, tolerations).tolist()


@pytest.mark.parametrize("by_name", [False, True])
def test_shapes_that_name_nodes_make_every_node_its_own_kind(by_name: bool) -> None:
    matcher = matcher_of_many(Random(0))
    key = "metadata.name" if by_name else "number"
    wanted = (NodeRequirement(key=key, operator="In", values=("n7" if by_name else "7",)),)
    term = NodeTerm(fields=wanted) if by_name else NodeTerm(expressions=wanted)
    kinds = NodeKinds.of(matcher, [shape_of(requests={}, priority_class="p", affinity=(term,))])
    assert kinds.matcher is matcher
    assert kinds.kind.tolist() == kinds.first.tolist() == list(range(NODES))
