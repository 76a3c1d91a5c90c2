"""Why a job waits: nodes by reason, what is missing, and the submit check."""

from typing import Any

from app.scheduling.explanation import EXPLANATIONS_MAX
from tests.unit.scheduling.cases import affinity, decide, document, expressions, job, jobs, node, places, reasons

TAINT = {"key": "gpu", "effect": "NoSchedule"}


def why(nodes: list[Any], one: Any, **fields: Any) -> Any:
    decided = decide(document(nodes, [one], **fields))["unschedulable"][0]
    return decided["nodes"], decided["shortfall"]


def test_every_node_counts_once_under_the_first_reason_that_holds() -> None:
    zone = {"key": "zone", "operator": "In", "values": ["east"]}
    nodes = [
        node("cordoned", unschedulable=True, taints=[TAINT]),
        node("tainted", taints=[TAINT]),
        node("unlabelled"),
        node("west", labels={"disk": "ssd", "zone": "west"}),
        node("over", labels={"disk": "ssd", "zone": "east"}, held={"memory": "40Gi"}),
        node("small", cpu=1, memory="1Gi", labels={"disk": "ssd", "zone": "east"}),
        node("narrow", cpu=99, memory="1Gi", labels={"disk": "ssd", "zone": "east"}),
        node("elsewhere", cluster="x"),
        node("foreign", pool="other"),
    ]
    one = job("j", cpu=9, memory="2Gi", nodeSelector={"disk": "ssd"}, affinity=affinity(expressions(zone)))
    counts, shortfall = why(nodes, one, clusters=[{"name": "x", "cordoned": True}])
    assert counts == {
        "unschedulable": 1,
        "cluster cordoned": 1,
        "taint": 1,
        "node selector": 2,
        "node affinity": 1,
        "overcommitted": 1,
        "insufficient cpu": 1,
        "insufficient memory": 1,
    }
    assert shortfall == {"memory": "1Gi"}, "narrow has the cpu: only memory is on no node"


def test_the_shortfall_is_against_the_node_that_has_most() -> None:
    gpus = "nvidia.com/gpu"
    nodes = [node("n", more={gpus: 3}), node("o", more={gpus: 2}), node("p", taints=[TAINT], more={gpus: 8})]
    assert why(nodes, job("j", more={gpus: 5})) == ({"taint": 1, f"insufficient {gpus}": 2}, {gpus: "2"})


def test_a_resource_that_nobody_has_is_missing_whole() -> None:
    assert why([node("n")], job("j", more={"fpga": 2})) == ({"insufficient fpga": 1}, {"fpga": "2"})


def test_room_that_is_there_but_never_on_one_node_is_no_shortfall() -> None:
    nodes = [node("cpu", cpu=8, memory="1Gi"), node("memory", cpu=1, memory="8Gi")]
    assert why(nodes, job("j", cpu=4, memory="4Gi")) == ({"insufficient cpu": 1, "insufficient memory": 1}, {})


def test_only_the_shapes_with_the_most_waiting_jobs_are_explained() -> None:
    waiting = [job(f"j{index:03}", cpu=100 + index) for index in range(EXPLANATIONS_MAX + 2)]
    waiting += [job("again", cpu=100 + EXPLANATIONS_MAX + 1)]
    decided = decide(document([node("n")], waiting))
    explained = {each["job"] for each in decided["unschedulable"] if "nodes" in each}
    assert len(explained) == EXPLANATIONS_MAX + 1
    assert {"again", f"j{EXPLANATIONS_MAX + 1}"} <= explained
    assert len(reasons(decided)) == len(waiting)


def check(nodes: list[Any], waiting: list[Any], **fields: Any) -> Any:
    return decide(document(nodes, waiting, config={"submitCheck": True}, **fields))


def test_the_submit_check_tries_every_job_alone_on_the_empty_pool() -> None:
    nodes = [node("n", cpu=8, held={"cpu": 8}, unschedulable=True)]
    decided = check(nodes, [job("r", cpu=8, run={"node": "n"}), *jobs(3, cpu=8), job("big", cpu=9)])
    assert places(decided) == {"a00": "n", "a01": "n", "a02": "n"}
    assert decided["unschedulable"] == [
        {"job": "big", "reason": "noNodeFits", "nodes": {"insufficient cpu": 1}, "shortfall": {"cpu": "1"}}
    ]


def test_the_submit_check_does_not_mind_what_passes() -> None:
    empty = {"tokens": 0, "burst": 1}
    queues = [{"name": "a", "cordoned": True, "limiter": empty}]
    decided = check([node("n")], jobs(2), clusters=[{"name": "c0", "cordoned": True}], limiter=empty, queues=queues)
    assert len(places(decided)) == 2
    assert decided["limiter"] == {"tokens": 0}


def test_the_submit_check_minds_the_limits_of_the_queue_and_of_floating_resources() -> None:
    classes = [{"name": "default", "maxFractionPerQueue": {"cpu": 0.5}}]
    waiting = [job("half", cpu=4), job("more", cpu=5), job("licences", more={"licence": 3})]
    decided = check([node("n", cpu=8)], waiting, priorityClasses=classes, floatingResources={"licence": 2})
    assert list(places(decided)) == ["half"]
    assert reasons(decided) == {"more": "queueResourceLimit", "licences": "floatingResources"}


def test_the_submit_check_knows_away_nodes_and_nodes_to_avoid() -> None:
    classes = [{"name": "default", "away": [{"nodeType": "gpu", "priority": -1}]}]
    fields: Any = {"priorityClasses": classes, "nodeTypes": [{"name": "gpu", "taints": [TAINT]}]}
    decided = check([node("n", taints=[TAINT])], [job("j"), job("k", avoidNodes=["n"])], **fields)
    assert [each["method"] for each in decided["scheduled"]] == ["away"]
    assert decided["unschedulable"][0]["nodes"] == {"avoided": 1}
