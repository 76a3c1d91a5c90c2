"""Gangs: all or nothing, uniformity labels, and running gangs as a unit."""

from typing import Any

from tests.unit.scheduling.cases import decide, document, job, jobs, node, places, reasons

Json = dict[str, Any]


def gang(count: int, queue: str = "a", *, name: str = "g", size: int | None = None, **fields: Any) -> list[Json]:
    of = {"id": name, "cardinality": size or count, **fields.pop("gang", {})}
    return [job(f"{name}{index}", queue, gang=of, **fields) for index in range(count)]


def test_a_gang_starts_at_once_or_not_at_all() -> None:
    assert len(places(decide(document([node("n", cpu=3)], gang(3))))) == 3
    decided = decide(document([node("n", cpu=2)], [*gang(3), *jobs(2, "b")]))
    assert list(places(decided)) == ["b00", "b01"], "what a failed gang took is free again"
    assert reasons(decided) == dict.fromkeys(("g0", "g1", "g2"), "noNodeFits")


def test_a_gang_waits_for_its_members() -> None:
    assert reasons(decide(document([node("n")], gang(2, size=3)))) == dict.fromkeys(("g0", "g1"), "gangIncomplete")


def test_leftovers_of_an_earlier_generation_do_not_count_as_members() -> None:
    old = gang(1, name="old", gang={"id": "g", "cardinality": 2, "generation": 0}, run={"node": "n"})
    new = gang(2, gang={"generation": 1})
    assert set(places(decide(document([node("n")], [*old, *new])))) == {"g0", "g1"}


def test_a_failed_gang_does_not_block_its_shape_for_single_jobs() -> None:
    assert list(places(decide(document([node("n", cpu=1)], [*gang(2), job("z", submitted=9)])))) == ["z"]


def test_members_may_differ_in_what_they_need() -> None:
    members = gang(2)
    members[1]["requests"] = {"cpu": 7}
    decided = decide(document([node("n", cpu=1), node("m", cpu=7)], members))
    assert places(decided) == {"g0": "n", "g1": "m"}


def test_uniform_members_stand_on_nodes_of_one_value() -> None:
    nodes = [node(f"n{i}", cpu=2, labels={"rack": "ab"[i % 2]}) for i in range(3)]
    decided = decide(document(nodes, gang(4, gang={"uniformityLabel": "rack"})))
    assert places(decided) == {"g0": "n0", "g1": "n0", "g2": "n2", "g3": "n2"}, "rack b has one node"
    assert reasons(decide(document(nodes, gang(5, gang={"uniformityLabel": "rack"})))) != {}


def test_of_several_values_the_one_that_preempts_least_is_taken() -> None:
    nodes = [node("n", cpu=2, labels={"rack": "a"}), node("m", cpu=2, labels={"rack": "b"})]
    classes = [{"name": "low"}, {"name": "mid", "priority": 5}, {"name": "top", "priority": 9}]
    runs = [
        job("r", cpu=2, priorityClass="mid", run={"node": "n"}),
        job("s", cpu=2, priorityClass="low", run={"node": "m"}),
    ]
    members = gang(2, priorityClass="top", gang={"uniformityLabel": "rack"})
    decided = decide(document(nodes, [*runs, *members], priorityClasses=classes))
    assert set(places(decided).values()) == {"m"}
    assert [each["job"] for each in decided["preempted"]] == ["s"]


def test_a_running_gang_is_preempted_as_a_unit_and_its_siblings_are_told_why() -> None:
    nodes = [node("n", cpu=2), node("m", cpu=2)]
    running = gang(2, cpu=2)
    for member, where in zip(running, ("n", "m"), strict=True):
        member["run"] = {"node": where}
    classes = [{"name": "default"}, {"name": "top", "priority": 9}]
    urgent = job("u", "b", cpu=2, priorityClass="top")
    decided = decide(
        document(nodes, [*running, urgent], priorityClasses=classes, config={"fairSharePreemption": False})
    )
    assert places(decided) == {"u": "n"}
    assert {each["job"]: (each["reason"], each["by"]) for each in decided["preempted"]} == {
        "g0": ("urgency", "u"),
        "g1": ("gang", "u"),
    }


def test_a_gang_takes_all_its_tokens_or_none() -> None:
    waiting = [*gang(3), job("z", submitted=9)]
    decided = decide(document([node("n")], waiting, limiter={"tokens": 2, "burst": 5}))
    assert list(places(decided)) == ["z"]
    assert reasons(decided)["g0"] == "rateLimit"
    decided = decide(document([node("n")], waiting, limiter={"tokens": 2, "burst": 2}))
    assert reasons(decided)["g0"] == "burstTooSmall", "it could never get them"


def test_a_gang_that_reaches_behind_the_lookback_is_not_offered() -> None:
    members = gang(2)
    members[1]["submitted"] = 5
    decided = decide(document([node("n")], [*members, job("z", submitted=2)], config={"lookback": 2}))
    assert list(places(decided)) == ["z"]
    assert set(reasons(decided).values()) == {"lookback"}


def test_a_submit_check_tries_a_gang_as_a_whole() -> None:
    config = {"submitCheck": True}
    assert len(places(decide(document([node("n", cpu=4)], gang(4), config=config)))) == 4
    assert set(reasons(decide(document([node("n", cpu=4)], gang(5), config=config))).values()) == {"noNodeFits"}
