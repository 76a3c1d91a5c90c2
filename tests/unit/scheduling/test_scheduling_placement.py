"""Where jobs go: best fit, and what keeps them away from a node."""

from typing import Any

import pytest

from tests.unit.scheduling.cases import (
    Json,
    affinity,
    decide,
    document,
    expressions,
    job,
    jobs,
    node,
    places,
    reasons,
)

GPU = "nvidia.com/gpu"
TAINT = {"key": "gpu", "value": "true", "effect": "NoSchedule"}


def place(nodes: list[Any], one: Any, **fields: Any) -> str | None:
    """The node of one job, None when it has none."""
    return places(decide(document(nodes, [one], **fields))).get(one["id"])


def test_the_fullest_node_that_fits_is_taken() -> None:
    assert place([node("large", cpu=16), node("small", cpu=2), node("tiny", cpu=1)], job("j", cpu=2)) == "small"


def test_indexed_resources_are_compared_in_their_order_and_then_the_order_of_nodes() -> None:
    nodes = [node("m", cpu=4, memory="8Gi"), node("c", cpu=2, memory="16Gi"), node("d", cpu=2, memory="16Gi")]
    assert place(nodes, job("j")) == "c"
    assert place(nodes, job("j"), config={"indexedResources": ["memory", "cpu"]}) == "m"
    assert place(nodes, job("j"), config={"indexedResources": []}) == "m"


def test_jobs_without_gpus_stay_off_gpu_nodes_when_gpus_are_indexed_first() -> None:
    nodes = [node("gpu", cpu=2, more={GPU: 1}), node("plain", cpu=16)]
    config = {"indexedResources": [GPU, "cpu", "memory"]}
    assert place(nodes, job("j"), config=config) == "plain"
    assert place(nodes, job("j", more={GPU: 1}), config=config) == "gpu"


def test_a_resource_outside_of_the_index_is_still_checked() -> None:
    nodes = [node("n", cpu=2), node("o", cpu=4, more={"ephemeral-storage": "10Gi"})]
    assert place(nodes, job("j", more={"ephemeral-storage": "1Gi"})) == "o"


def test_one_node_is_filled_before_the_next() -> None:
    decided = decide(document([node("n", cpu=2), node("o", cpu=2)], jobs(5)))
    assert list(places(decided).values()) == ["n", "n", "o", "o"]
    assert reasons(decided) == {"a04": "noNodeFits"}


def test_shapes_that_take_turns_see_what_the_others_took() -> None:
    nodes = [node("n", cpu=4), node("o", cpu=5)]
    waiting = [job(f"{i}", cpu=1 + i % 2, submitted=i) for i in range(6)]
    # n: 1+2+1, then 2 fits o (5 left), 1 fits o (3 left), 2 fits o.
    assert list(places(decide(document(nodes, waiting))).values()) == ["n", "n", "n", "o", "o", "o"]


def test_held_room_and_running_jobs_are_not_given_away_twice() -> None:
    full = node("n", cpu=4, held={"cpu": 2})
    assert place([full], job("j", cpu=2)) == "n"
    assert place([full], job("j", cpu="2001m")) is None
    running = job("r", cpu=2, run={"node": "n"})
    decided = decide(document([full], [running, job("j", cpu="1m")]))
    assert reasons(decided) == {"j": "noNodeFits"}


def test_a_node_in_deficit_takes_nothing_at_all() -> None:
    assert place([node("n", cpu=4, held={"memory": "33Gi"})], job("j", cpu=1, memory=0)) is None


def test_cordoned_nodes_clusters_and_nodes_of_other_pools_take_nothing() -> None:
    assert place([node("n", unschedulable=True)], job("j")) is None
    assert place([node("n", cluster="x")], job("j"), clusters=[{"name": "x", "cordoned": True}]) is None
    assert place([node("n", pool="gpu"), node("m")], job("j"), pool="cpu") == "m"
    assert place([node("n", pool="cpu")], job("j"), pool="cpu") == "n"


@pytest.mark.parametrize(
    ("tolerations", "tolerated"),
    [
        ([], False),
        ([{"key": "gpu", "value": "true", "effect": "NoSchedule"}], True),
        ([{"key": "gpu", "operator": "Exists"}], True),
        ([{"operator": "Exists"}], True),
        ([{"key": "gpu", "value": "false"}], False),
        ([{"key": "gpu", "value": "true", "effect": "NoExecute"}], False),
        ([{"key": "other", "operator": "Exists"}], False),
        ([{"key": "other", "operator": "Exists"}, {"key": "gpu", "operator": "Exists", "tolerationSeconds": 5}], True),
    ],
)
def test_a_taint_is_kept_away_from_unless_tolerated(tolerations: list[Any], tolerated: bool) -> None:
    assert place([node("n", taints=[TAINT])], job("j", tolerations=tolerations)) == ("n" if tolerated else None)


def test_every_taint_must_be_tolerated_but_preferences_need_not() -> None:
    soft, hard = {"key": "a", "effect": "PreferNoSchedule"}, {"key": "b", "effect": "NoExecute"}
    assert place([node("n", taints=[soft])], job("j")) == "n"
    assert place([node("n", taints=[soft, hard])], job("j", tolerations=[{"key": "a", "operator": "Exists"}])) is None
    assert place([node("n", taints=[soft, hard])], job("j", tolerations=[{"key": "b", "operator": "Exists"}])) == "n"


def test_a_selector_needs_every_label() -> None:
    one = job("j", nodeSelector={"zone": "east", "disk": "ssd"})
    nodes = [node("n", labels={"zone": "east"}), node("o", labels={"zone": "east", "disk": "ssd", "x": "y"})]
    assert place(nodes, one) == "o"
    assert place(nodes[:1], one) is None


@pytest.mark.parametrize(
    ("expression", "matching"),
    [
        ({"key": "zone", "operator": "In", "values": ["east", "south"]}, {"east"}),
        ({"key": "zone", "operator": "NotIn", "values": ["east"]}, {"west", "none"}),
        ({"key": "zone", "operator": "Exists"}, {"east", "west"}),
        ({"key": "zone", "operator": "DoesNotExist"}, {"none"}),
        ({"key": "size", "operator": "Gt", "values": ["2"]}, {"west"}),
        ({"key": "size", "operator": "Lt", "values": ["3"]}, {"east"}),
        ({"key": "unheard", "operator": "NotIn", "values": ["x"]}, {"east", "west", "none"}),
    ],
)
def test_required_node_affinity(expression: Any, matching: set[str]) -> None:
    nodes = [
        node("east", labels={"zone": "east", "size": "2"}),
        node("west", labels={"zone": "west", "size": "10"}),
        node("none", labels={"size": "large"}),
    ]
    one = job("j", affinity=affinity(expressions(expression)))
    assert {each["name"] for each in nodes if place([each], one) is not None} == matching


def test_terms_are_alternatives_and_expressions_of_a_term_are_not() -> None:
    east = {"key": "zone", "operator": "In", "values": ["east"]}
    ssd = {"key": "disk", "operator": "In", "values": ["ssd"]}
    only_east = [node("n", labels={"zone": "east"})]
    assert place(only_east, job("j", affinity=affinity(expressions(east), expressions(ssd)))) == "n"
    assert place(only_east, job("j", affinity=affinity(expressions(east, ssd)))) is None
    assert place(only_east, job("j", affinity=affinity({}))) is None, "an empty term holds nowhere"


def test_affinity_to_a_node_name_means_kubernetes_name_of_the_node() -> None:
    field = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    nodes = [node("c0/n0"), node("c0/n1", cpu=4), node("c1/n1", cpu=2)]
    assert place(nodes, job("j", affinity=affinity(field))) == "c1/n1"
    assert place([node("n0"), node("n1")], job("j", affinity={"nodeAffinity": affinity(field)})) == "n1"


def test_a_job_never_goes_back_to_a_node_it_avoids_and_others_of_its_shape_do() -> None:
    nodes = [node("n", cpu=2), node("o", cpu=4)]
    waiting = [job("a", avoidNodes=["n", "gone"]), job("b"), job("c", avoidNodes=["n", "o"])]
    decided = decide(document(nodes, waiting))
    assert places(decided) == {"a": "o", "b": "n"}
    assert reasons(decided) == {"c": "noNodeFits"}
    assert decided["unschedulable"][0]["nodes"] == {"avoided": 2}


def test_away_nodes_are_tried_after_home_and_at_their_priority() -> None:
    away: Json = {
        "priorityClasses": [{"name": "default", "priority": 5, "away": [{"nodeType": "gpu", "priority": -10}]}]
    }
    types: Json = {"nodeTypes": [{"name": "gpu", "taints": [TAINT]}]}
    nodes = [node("gpu", cpu=1, taints=[TAINT]), node("home", cpu=1)]
    decided = decide(document(nodes, jobs(3), **away, **types))
    assert decided["scheduled"] == [
        {"job": "a00", "node": "home", "scheduledAtPriority": 5, "method": "free"},
        {"job": "a01", "node": "gpu", "scheduledAtPriority": -10, "method": "away"},
    ]
    assert decided["unschedulable"][0]["nodes"] == {"insufficient cpu": 2}


def test_floating_resources_run_out_for_the_pool_not_for_a_node() -> None:
    wanted = [job("j", more={"licence": 2}), job("k", more={"licence": 2}), job("l")]
    decided = decide(document([node("n"), node("o")], wanted, floatingResources={"licence": 3}))
    assert list(places(decided)) == ["j", "l"]
    assert reasons(decided) == {"k": "floatingResources"}


def test_a_pool_without_nodes_or_jobs_or_queues_is_a_round_too() -> None:
    assert reasons(decide(document([], jobs(1)))) == {"a00": "noNodeFits"}
    assert decide(document([node("n")], []))["queues"] == []
