"""Who loses a place, to whom and why: balancing, urgency, repair, and what is never touched."""

from typing import Any

from tests.unit.scheduling.cases import decide, document, job, jobs, node, places, reasons

Json = dict[str, Any]
CLASSES = [
    {"name": "default"},
    {"name": "mid", "priority": 5},
    {"name": "top", "priority": 9},
    {"name": "fixed", "priority": 9, "preemptible": False},
]


def preempted(decided: Json) -> dict[str, tuple[str, str | None]]:
    return {each["job"]: (each["reason"], each["by"]) for each in decided["preempted"]}


def running(count: int, queue: str = "a", where: str = "n", **fields: Any) -> list[Json]:
    runs = jobs(count, queue, **fields)
    for at, run in enumerate(runs):
        run["run"] = {"node": where, "started": at}
    return runs


def methods(decided: Json) -> dict[str, str]:
    return {each["job"]: each["method"] for each in decided["scheduled"]}


def test_a_queue_above_its_share_gives_way_to_one_below_and_the_latest_runs_go_first() -> None:
    decided = decide(document([node("n", cpu=8)], [*running(8), *jobs(8, "b")]))
    assert preempted(decided) == {f"a0{7 - n}": ("fairShare", f"b0{n}") for n in range(4)}
    assert set(methods(decided).values()) == {"fairSharePreemption"}


def test_a_queue_within_the_protected_fraction_loses_nothing_to_balancing() -> None:
    config = {"protectedFractionOfFairShare": 2.0}
    decided = decide(document([node("n", cpu=8)], [*running(8), *jobs(8, "b")], config=config))
    assert decided["preempted"] == decided["scheduled"] == []


def test_evicted_runs_that_nobody_needs_return() -> None:
    decided = decide(
        document([node("n", cpu=8)], [*running(6), *jobs(1, "b")], config={"protectedFractionOfFairShare": 0})
    )
    assert decided["preempted"] == []
    assert methods(decided) == {"b00": "free"}


def test_the_budget_of_balancing_is_a_limit_and_the_rest_returns() -> None:
    config = {"fairSharePreemptionBudget": 1}
    decided = decide(document([node("n", cpu=8)], [*running(8), *jobs(8, "b")], config=config))
    assert list(preempted(decided)) == ["a07"]
    assert list(places(decided)) == ["b00"]


def test_an_urgent_job_takes_the_place_of_the_lowest_priority_that_is_enough() -> None:
    runs = [job("r", cpu=4, priorityClass="mid", run={"node": "n"}), job("s", cpu=4, run={"node": "m"})]
    urgent = job("u", "b", cpu=4, priorityClass="top")
    config = {"fairSharePreemption": False}
    decided = decide(
        document([node("n", cpu=4), node("m", cpu=4)], [*runs, urgent], priorityClasses=CLASSES, config=config)
    )
    assert places(decided) == {"u": "m"}
    assert preempted(decided) == {"s": ("urgency", "u")}
    assert methods(decided) == {"u": "urgencyPreemption"}


def test_nobody_gives_way_to_an_equal_or_to_anybody_when_not_preemptible() -> None:
    config = {"fairSharePreemption": False}
    for run_class, job_class in (("top", "top"), ("fixed", "top"), ("mid", "default")):
        runs = running(1, cpu=8, priorityClass=run_class)
        waiting = job("u", "b", cpu=8, priorityClass=job_class)
        decided = decide(document([node("n", cpu=8)], [*runs, waiting], priorityClasses=CLASSES, config=config))
        assert decided["preempted"] == decided["scheduled"] == []


def test_urgency_can_be_switched_off() -> None:
    config = {"fairSharePreemption": False, "urgencyPreemption": False}
    urgent = job("u", "b", cpu=8, priorityClass="top")
    decided = decide(document([node("n", cpu=8)], [*running(8), urgent], priorityClasses=CLASSES, config=config))
    assert decided["preempted"] == []
    assert reasons(decided) == {"u": "noNodeFits"}


def test_a_job_placed_in_the_round_can_lose_its_place_to_a_more_urgent_one() -> None:
    """`m` of the cheaper queue goes first where classes are equal; two levels of urgency meet on one node."""
    runs = running(2, cpu=4)
    waiting = [job("m", "b", cpu=4, priorityClass="mid"), job("t", "c", cpu=8, priorityClass="top", submitted=9)]
    decided = decide(
        document([node("n", cpu=8)], [*runs, *waiting], priorityClasses=CLASSES, config={"fairSharePreemption": False})
    )
    assert places(decided) == {"t": "n"}
    assert reasons(decided) == {"m": "noNodeFits"}
    assert preempted(decided) == {"a00": ("urgency", "t"), "a01": ("urgency", "t")}


def test_a_node_that_shrank_loses_what_it_cannot_hold_lowest_first() -> None:
    runs = [job("r", cpu=4, priorityClass="mid", run={"node": "n"}), job("s", cpu=4, run={"node": "n"})]
    decided = decide(document([node("n", cpu=6)], runs, priorityClasses=CLASSES))
    assert preempted(decided) == {"s": ("overcommitted", None)}


def test_runs_stay_on_a_cordoned_node_that_shrank() -> None:
    runs = [job("r", cpu=4, run={"node": "n"}), job("s", cpu=4, run={"node": "n"})]
    decided = decide(document([node("n", cpu=6, unschedulable=True)], runs))
    assert decided["preempted"] == []


def test_room_that_a_preemption_leaves_over_reaches_candidates_of_other_levels() -> None:
    """t of a node rises when a preemption frees more than is used: `big` cannot see level 5, `small` can afterwards."""
    runs = [
        job("r1", "a", cpu=6, priorityClass="mid", run={"node": "n", "started": 1}),
        job("r0", "a", cpu=2, run={"node": "n", "started": 2}),
        job("r2", "a", cpu=3, run={"node": "m", "started": 3}),
    ]
    waiting = [
        job("x", "b", cpu=3, submitted=0),
        job("top", "c", cpu=5, priorityClass="top", submitted=0),
        job("y", "b", cpu=3, submitted=1),
    ]
    config = {"protectedFractionOfFairShare": 0}
    decided = decide(
        document([node("n", cpu=8), node("m", cpu=3)], [*runs, *waiting], priorityClasses=CLASSES, config=config)
    )
    assert places(decided)["top"] == "n"
    assert preempted(decided)["r1"] == ("fairShare", "top")


def test_away_jobs_stand_lower_and_give_way_first() -> None:
    taint = {"key": "gpu", "effect": "NoSchedule"}
    classes = [{"name": "default", "away": [{"nodeType": "gpu", "priority": -10}]}]
    types = [{"name": "gpu", "taints": [taint]}]
    nodes = [node("g", cpu=2, taints=[taint])]
    decided = decide(document(nodes, jobs(1, cpu=2), priorityClasses=classes, nodeTypes=types))
    assert decided["scheduled"][0]["scheduledAtPriority"] == -10
    assert decided["scheduled"][0]["method"] == "away"
    tenant = job("t", cpu=2, run={"node": "g", "scheduledAtPriority": -10})
    home = job("h", "b", cpu=2, tolerations=[{"key": "gpu", "operator": "Exists"}])
    config = {"fairSharePreemption": False}
    decided = decide(document(nodes, [tenant, home], priorityClasses=classes, nodeTypes=types, config=config))
    assert preempted(decided) == {"t": ("urgency", "h")}


def test_nodes_of_other_pools_take_tenants_at_the_lowest_rank() -> None:
    decided = decide(document([node("home", cpu=1), node("other", cpu=9, pool="gpu")], jobs(2)))
    assert places(decided) == {"a00": "home", "a01": "other"}
    assert decided["scheduled"][1]["scheduledAtPriority"] == -1
    assert decided["queues"][0]["actualShareAfter"] == 2.0, "the pool is its own nodes"
