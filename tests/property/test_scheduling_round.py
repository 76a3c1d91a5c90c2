"""What holds for every round: equality with the brute-force reference, and the invariants of a schedule."""

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduling.decisions_file import parse_decisions, print_decisions
from app.scheduling.round_file import parse_round
from app.scheduling.round_print import print_round
from app.scheduling.schedule import schedule
from tests.property.scheduling_reference import Reference, reference_decisions
from tests.property.scheduling_rounds import random_document
from tests.property.scheduling_rules import affine, amounts, plus, selected, tolerated

Json = dict[str, Any]
SEEDS = st.integers(min_value=0, max_value=2**48)
SHARES = ("fairShare", "cappedShare", "uncappedShare", "demandShare", "actualShareBefore", "actualShareAfter")


def decide(document: Json) -> Json:
    round_ = parse_round(json.dumps(document))
    decided: Json = json.loads(print_decisions(round_, schedule(round_)))
    return decided


def by_job(decided: Json) -> Json:
    """Decisions in a form that does not depend on the order of jobs, queues and classes in the file."""
    return {
        "scheduled": decided["scheduled"],
        "unschedulable": {each["job"]: each for each in decided["unschedulable"]},
        "quarantined": {each.get("job", each.get("node")): each for each in decided["quarantined"]},
        "queues": {each["name"]: each for each in decided["queues"]},
        "limiter": decided["limiter"],
    }


@settings(max_examples=500, deadline=None)
@given(SEEDS)
def test_a_round_decides_what_brute_force_decides(seed: int) -> None:
    document = random_document(seed)
    decided, expected = decide(document), reference_decisions(document)
    assert decided["scheduled"] == expected["scheduled"]
    assert {each["job"]: each["reason"] for each in decided["unschedulable"]} == expected["unschedulable"]
    assert {each.get("job", each.get("node")) for each in decided["quarantined"]} == expected["quarantined"]
    assert {each["name"]: tuple(each[name] for name in SHARES) for each in decided["queues"]} == expected["shares"]
    assert {each["job"]: (each["reason"], each["by"]) for each in decided["preempted"]} == expected["preempted"]
    if document.get("limiter"):
        assert decided["limiter"] == {"tokens": expected["tokens"]}
    assert {each["job"]: each["nodes"] for each in decided["unschedulable"] if "nodes" in each} == expected["why"]


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_a_submit_check_says_what_brute_force_says(seed: int) -> None:
    document = random_document(seed)
    document["config"]["submitCheck"] = True
    decided, expected = decide(document), reference_decisions(document)
    assert {each["job"]: each["node"] for each in decided["scheduled"]} == expected["fits"]
    assert {each["job"]: each["reason"] for each in decided["unschedulable"]} == expected["unschedulable"]


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_nothing_new_overcommits_a_node_or_goes_where_it_may_not(seed: int) -> None:
    document = random_document(seed)
    decided = decide(document)
    rules = Reference(document)
    jobs = {job["id"]: job for job in document["jobs"]}
    placed = [each["job"] for each in decided["scheduled"]]
    decided_on = placed + [each["job"] for each in decided["unschedulable"]]
    decided_on += [each["job"] for each in decided["quarantined"] if "job" in each]
    assert len(set(decided_on)) == len(decided_on)
    assert {job for job in jobs if not jobs[job].get("run")} <= set(decided_on)
    new_room = {node["name"]: rules.room(node) for node in document["nodes"]}
    for each in decided["scheduled"]:
        job, node = jobs[each["job"]], next(n for n in document["nodes"] if n["name"] == each["node"])
        assert not job.get("run")
        assert rules.placeable(node)
        assert node["name"] not in job.get("avoidNodes", [])
        assert selected(job, node)
        assert affine(job, node)
        tolerations = next(way for priority, way in rules.ways(job) if priority == each["scheduledAtPriority"])
        assert all(tolerated(taint, tolerations) for taint in node["taints"])
        taken = {name: -a for name, a in amounts(job["requests"]).items() if name not in rules.floating}
        new_room[node["name"]] = plus(new_room[node["name"]], taken)
    for node in {each["node"] for each in decided["scheduled"]}:
        assert all(free >= 0 for free in new_room[node].values())


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_limits_are_never_exceeded(seed: int) -> None:
    document = random_document(seed)
    decided = decide(document)
    jobs = {job["id"]: job for job in document["jobs"]}
    if document.get("limiter"):
        assert len(decided["scheduled"]) <= max(document["limiter"]["tokens"], 0)
        assert decided["limiter"]["tokens"] == document["limiter"]["tokens"] - len(decided["scheduled"])
    for queue in document["queues"]:
        placed = [each for each in decided["scheduled"] if jobs[each["job"]]["queue"] == queue["name"]]
        if queue.get("limiter"):
            assert len(placed) <= queue["limiter"]["tokens"]
        assert len(placed) <= document["config"].get("lookback", 100_000)
        assert not (placed and queue["cordoned"])
    if document["config"].get("decisionBudget") is not None:
        assert len(decided["scheduled"]) <= document["config"]["decisionBudget"]


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_the_order_of_jobs_queues_classes_and_clusters_in_the_file_does_not_matter(seed: int) -> None:
    document = random_document(seed)
    shuffled = json.loads(json.dumps(document))
    shuffle = Random(seed).shuffle
    for table in ("jobs", "queues", "priorityClasses", "clusters"):
        shuffle(shuffled.get(table, []))
    for owner in (*shuffled["nodes"], *shuffled["jobs"]):
        for name in ("capacity", "requests"):
            if name in owner:
                owner[name] = dict(reversed(owner[name].items()))
    assert by_job(decide(shuffled)) == by_job(decide(document))


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_renaming_nodes_in_place_changes_nothing_but_the_names(seed: int) -> None:
    document = random_document(seed)
    names = [node["name"] for node in document["nodes"]]
    others = [f"node-{index:02}" for index in range(len(names))]
    Random(seed).shuffle(others)
    text = json.dumps(document)
    for name, other in zip(names, others, strict=True):
        text = text.replace(f'"{name}"', f'"{other}"')
    expected = json.dumps(decide(document))
    for name, other in zip(names, others, strict=True):
        expected = expected.replace(f'"{name}"', f'"{other}"')
    assert decide(json.loads(text)) == json.loads(expected)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_printing_and_reading_a_round_and_its_decisions_loses_nothing(seed: int) -> None:
    round_ = parse_round(json.dumps(random_document(seed)))
    printed = print_round(round_)
    again = parse_round(printed)
    assert print_round(again) == printed
    decided = print_decisions(round_, schedule(round_))
    assert print_decisions(again, schedule(again)) == decided
    assert print_decisions(again, parse_decisions(again, decided)) == decided
