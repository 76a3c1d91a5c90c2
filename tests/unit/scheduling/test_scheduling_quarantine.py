"""Bad rounds: the offender is left out with a reason, and everybody else is decided as if it were not there."""

from typing import Any

import pytest

from tests.unit.scheduling.cases import decide, document, job, jobs, node, places, reasons

QUEUES = [{"name": "a"}]


@pytest.mark.parametrize(
    ("offender", "reason"),
    [
        (job("x", "nowhere"), "unknown queue 'nowhere'"),
        (job("x", priorityClass="nobody"), "unknown priority class 'nobody'"),
        (job("x", run={"node": "gone"}), "runs on the unknown node 'gone'"),
        (job("x", memory="-1Gi"), "requests of memory is negative"),
    ],
)
def test_an_offender_is_quarantined_and_the_round_goes_on(offender: Any, reason: str) -> None:
    decided = decide(document([node("n")], [offender, *jobs(2)], QUEUES))
    assert decided["quarantined"] == [{"job": "x", "reason": reason}]
    assert list(places(decided)) == ["a00", "a01"]
    assert "x" not in reasons(decided)


def test_a_gang_that_contradicts_itself_is_refused_as_a_whole_and_harms_nobody_else() -> None:
    members = [job(f"g{n}", gang={"id": "g", "cardinality": n}) for n in (2, 3)]
    decided = decide(document([node("n")], [*members, *jobs(2)]))
    reason = "members of gang 'g' disagree about its cardinality or uniformity label"
    assert decided["quarantined"] == [{"job": "g2", "reason": reason}, {"job": "g3", "reason": reason}]
    assert list(places(decided)) == ["a00", "a01"]


def test_a_gang_with_too_many_members_is_refused() -> None:
    members = [job(f"g{n}", gang={"id": "g", "cardinality": 2}) for n in range(3)]
    decided = decide(document([node("n")], members))
    assert {each["reason"] for each in decided["quarantined"]} == {
        "gang 'g' has 3 waiting members, more than its cardinality of 2"
    }


def test_members_of_different_classes_are_refused() -> None:
    members = [job(f"g{n}", priorityClass=n, gang={"id": "g", "cardinality": 2}) for n in ("low", "high")]
    classes = [{"name": "low"}, {"name": "high", "priority": 1}]
    decided = decide(document([node("n")], members, priorityClasses=classes))
    assert decided["quarantined"][0]["reason"] == "members of gang 'g' have different priority classes"


def test_a_run_of_an_unlisted_queue_holds_its_room_and_shares_nothing() -> None:
    decided = decide(document([node("n", cpu=8)], [job("r", "gone", cpu=7, run={"node": "n"}), *jobs(2)], QUEUES))
    assert decided["quarantined"] == []
    assert list(places(decided)) == ["a00"]
    assert [each["name"] for each in decided["queues"]] == ["a"]


def test_a_quarantined_run_still_holds_its_room() -> None:
    running = job("r", cpu=7, priorityClass="nobody", run={"node": "n"})
    decided = decide(document([node("n", cpu=8)], [running, *jobs(2)]))
    assert list(places(decided)) == ["a00"]
    assert decided["quarantined"][0]["job"] == "r"


def test_a_negative_request_of_a_run_makes_no_room() -> None:
    running = job("r", cpu=-8, run={"node": "n"})
    decided = decide(document([node("n", cpu=1)], [running, *jobs(2)]))
    assert list(places(decided)) == ["a00"]


def test_a_node_with_a_negative_amount_is_quarantined_and_takes_nothing() -> None:
    nodes = [node("bad", cpu=-8), node("held", held={"memory": "-1Gi"}), node("n", cpu=1)]
    decided = decide(document(nodes, jobs(2)))
    assert places(decided) == {"a00": "n"}
    assert decided["quarantined"] == [
        {"node": "bad", "reason": "capacity of cpu is negative"},
        {"node": "held", "reason": "held of memory is negative"},
    ]
    assert decided["unschedulable"][0]["nodes"] == {"invalid": 2, "insufficient cpu": 1}


def test_a_round_of_offenders_only_decides_nothing() -> None:
    decided = decide(document([], [job("x", "nowhere")], []))
    assert decided["scheduled"] == decided["unschedulable"] == []
    assert [each["job"] for each in decided["quarantined"]] == ["x"]
