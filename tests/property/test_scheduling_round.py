"""What holds for every round: equality with the brute-force reference, and the invariants of a schedule."""

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduling.compiler import COMPILED, PLAIN
from app.scheduling.decisions_file import parse_decisions, print_decisions
from app.scheduling.round_file import parse_round
from app.scheduling.round_print import print_round
from app.scheduling.schedule import schedule
from tests.property.scheduling_pressed import pressed_document
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


def assert_equal_to_brute_force(document: Json) -> None:
    decided, expected = decide(document), reference_decisions(json.loads(json.dumps(document)))
    assert decided["scheduled"] == expected["scheduled"]
    assert {each["job"]: (each["reason"], each["by"]) for each in decided["preempted"]} == expected["preempted"]
    assert {each["job"]: each["reason"] for each in decided["unschedulable"]} == expected["unschedulable"]
    assert {each.get("job", each.get("node")) for each in decided["quarantined"]} == expected["quarantined"]
    assert {each["name"]: tuple(each[name] for name in SHARES) for each in decided["queues"]} == expected["shares"]
    if document.get("limiter"):
        assert decided["limiter"] == {"tokens": expected["tokens"]}
    assert {each["job"]: each["nodes"] for each in decided["unschedulable"] if "nodes" in each} == expected["why"]


@settings(max_examples=700, deadline=None)
@given(SEEDS)
def test_a_round_with_everything_mixed_in_decides_what_brute_force_decides(seed: int) -> None:
    assert_equal_to_brute_force(random_document(seed))


@settings(max_examples=700, deadline=None)
@given(SEEDS)
def test_a_round_on_full_nodes_decides_what_brute_force_decides(seed: int) -> None:
    assert_equal_to_brute_force(pressed_document(seed))


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_uncompiled_kernels_decide_the_same(seed: int) -> None:
    for document in (random_document(seed), pressed_document(seed)):
        round_ = parse_round(json.dumps(document))
        assert print_decisions(round_, schedule(round_, PLAIN)) == print_decisions(round_, schedule(round_, COMPILED))


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_a_submit_check_says_what_brute_force_says(seed: int) -> None:
    document = random_document(seed)
    document["config"]["submitCheck"] = True
    decided, expected = decide(document), reference_decisions(json.loads(json.dumps(document)))
    assert {each["job"]: each["node"] for each in decided["scheduled"]} == expected["fits"]
    assert {each["job"]: each["reason"] for each in decided["unschedulable"]} == expected["unschedulable"]


DOCUMENTS = st.builds(lambda make, seed: make(seed), st.sampled_from((random_document, pressed_document)), SEEDS)


def room_after(document: Json, decided: Json, rules: Reference) -> dict[str, dict[str, int]]:
    """What nodes have left, added up from the decisions."""
    lost = {each["job"] for each in decided["preempted"]}
    where = {job["id"]: job["run"]["node"] for job in document["jobs"] if job.get("run") and job["id"] not in lost}
    where |= {each["job"]: each["node"] for each in decided["scheduled"]}
    room = {}
    for node in document["nodes"]:
        taken = [rules.needs[job] for job, name in where.items() if name == node["name"]]
        free = {r: a for r, a in amounts(node["capacity"]).items() if r not in rules.floating}
        for part in (amounts(node.get("held")), *taken):
            free = plus(free, {r: -max(a, 0) for r, a in part.items() if r not in rules.floating})
        room[node["name"]] = free
    return room


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_nothing_new_overcommits_a_node_or_goes_where_it_may_not(document: Json) -> None:
    decided = decide(document)
    rules = Reference(document)
    jobs = {job["id"]: job for job in document["jobs"]}
    placed = [each["job"] for each in decided["scheduled"]]
    decided_on = placed + [each["job"] for each in decided["unschedulable"]]
    decided_on += [each["job"] for each in decided["quarantined"] if "job" in each and not jobs[each["job"]].get("run")]
    assert len(set(decided_on)) == len(decided_on)
    assert {job for job in jobs if not jobs[job].get("run")} == set(decided_on)
    room = room_after(document, decided, rules)
    for each in decided["scheduled"]:
        job, node = jobs[each["job"]], next(n for n in document["nodes"] if n["name"] == each["node"])
        assert rules.placeable(node)
        assert node["name"] not in job.get("avoidNodes", [])
        assert selected(job, node)
        assert affine(job, node)
        ways = [tolerations for priority, tolerations, _ in rules.ways(job) if priority == each["scheduledAtPriority"]]
        assert any(all(tolerated(taint, way) for taint in node.get("taints", [])) for way in ways)
        assert all(free >= 0 for free in room[node["name"]].values())


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_nobody_gives_way_to_a_lower_priority_and_gangs_start_and_end_whole(document: Json) -> None:
    decided = decide(document)
    rules = Reference(document)
    jobs = {job["id"]: job for job in document["jobs"]}
    scheduled = {each["job"]: each for each in decided["scheduled"]}
    lost = {each["job"]: each for each in decided["preempted"]}
    for name, each in lost.items():
        assert name in rules.evictable
        if each["reason"] in ("fairShare", "urgency"):
            taker = scheduled.get(each["by"])
            assert taker is None or taker["scheduledAtPriority"] >= rules.priority[name]
    for name in (*scheduled, *lost):
        mates = {mate["id"] for mate in rules.gang_of(jobs[name])}
        assert mates <= set(scheduled) or mates <= set(lost)
    for name in scheduled:
        label = (jobs[name].get("gang") or {}).get("uniformityLabel")
        if label and len(rules.gang_of(jobs[name])) > 1:
            nodes = {scheduled[mate["id"]]["node"] for mate in rules.gang_of(jobs[name])}
            assert len({n["labels"][label] for n in document["nodes"] if n["name"] in nodes}) == 1


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_a_queue_within_its_protected_fraction_loses_nothing_to_balancing(seed: int) -> None:
    document = pressed_document(seed)
    decided = decide(document)
    jobs = {job["id"]: job for job in document["jobs"]}
    shares = {each["name"]: each for each in decided["queues"]}
    for each in decided["preempted"]:
        if each["reason"] == "fairShare":
            share = shares[jobs[each["job"]]["queue"]]
            due = max(share["cappedShare"], share["fairShare"])
            assert share["actualShareBefore"] / due > document["config"]["protectedFractionOfFairShare"]


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


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_printing_and_reading_a_round_and_its_decisions_loses_nothing(seed: int) -> None:
    round_ = parse_round(json.dumps(random_document(seed)))
    printed = print_round(round_)
    again = parse_round(printed)
    assert print_round(again) == printed
    decided = print_decisions(round_, schedule(round_))
    assert print_decisions(again, schedule(again)) == decided
    assert print_decisions(again, parse_decisions(again, decided)) == decided
