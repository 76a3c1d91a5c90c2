"""What holds for every round (reference scheduling.md 10), said without the reference's own decisions.

Equality with brute force: test_scheduling_equality. Coming to rest, and rounds that follow each other:
test_scheduling_sequences.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import pytest

from app.scheduling.compiler import PLAIN
from app.scheduling.decisions_file import parse_decisions, print_decisions
from app.scheduling.round_binary import pack_round, unpack_round
from app.scheduling.round_file import parse_round
from app.scheduling.round_print import print_round
from app.scheduling.schedule import schedule
from tests.property.scheduling_compare import decide as decide_with
from tests.property.scheduling_pressed import pressed_document
from tests.property.scheduling_reference import Reference
from tests.property.scheduling_rounds import random_document
from tests.property.scheduling_rules import affine, amounts, plus, selected, tolerated
from tests.property.scheduling_wide import wide_document

Json = dict[str, Any]
FIRST = 30_000
DOCUMENTS = [
    *((random_document, FIRST + seed) for seed in range(60)),
    *((pressed_document, FIRST + seed) for seed in range(80)),
    *((wide_document, FIRST + seed) for seed in range(3)),
]
every_round = pytest.mark.parametrize("seed", DOCUMENTS, ids=lambda seed: f"{seed[0].__name__}-{seed[1]}")
Seed = tuple[Callable[[int], Json], int]


@cache
def decided_round(seed: Seed) -> tuple[Json, Json]:
    """A round and its decisions; several tests look at each, and none changes them."""
    document = seed[0](seed[1])
    return document, decide(document)


def decide(document: Json) -> Json:
    return decide_with(document, PLAIN)


def names_of(jobs: list[Json]) -> dict[str, Json]:
    return {job["id"]: job for job in jobs}


def who_stands_where(document: Json, decided: Json) -> dict[str, str]:
    """job -> node after the round."""
    lost = {each["job"] for each in decided["preempted"]}
    where = {job["id"]: job["run"]["node"] for job in document["jobs"] if job.get("run") and job["id"] not in lost}
    return where | {each["job"]: each["node"] for each in decided["scheduled"]}


def room_after(document: Json, decided: Json, rules: Reference) -> dict[str, dict[str, int]]:
    """What nodes have left, added up from the decisions."""
    where = who_stands_where(document, decided)
    room = {}
    for node in document["nodes"]:
        taken = [rules.needs[job] for job, name in where.items() if name == node["name"]]
        free = {r: a for r, a in amounts(node["capacity"]).items() if r not in rules.floating}
        for part in (amounts(node.get("held")), *taken):
            free = plus(free, {r: -max(a, 0) for r, a in part.items() if r not in rules.floating})
        room[node["name"]] = free
    return room


@every_round
def test_everybody_is_decided_on_once(seed: Seed) -> None:
    document, decided = decided_round(seed)
    jobs = names_of(document["jobs"])
    decided_on = [each["job"] for each in (*decided["scheduled"], *decided["unschedulable"])]
    decided_on += [each["job"] for each in decided["quarantined"] if "job" in each and not jobs[each["job"]].get("run")]
    assert len(set(decided_on)) == len(decided_on)
    assert {job for job in jobs if not jobs[job].get("run")} == set(decided_on)


@every_round
def test_nothing_new_overcommits_a_node_or_goes_where_it_may_not(seed: Seed) -> None:
    document, decided = decided_round(seed)
    rules = Reference(json.loads(json.dumps(document)))
    jobs, room = names_of(document["jobs"]), room_after(document, decided, rules)
    for each in decided["scheduled"]:
        job, node = jobs[each["job"]], next(n for n in document["nodes"] if n["name"] == each["node"])
        assert rules.placeable(node)
        assert node["name"] not in job.get("avoidNodes", [])
        assert selected(job, node)
        assert affine(job, node)
        ways = [tolerations for priority, tolerations, _ in rules.ways(job) if priority == each["scheduledAtPriority"]]
        assert any(all(tolerated(taint, way) for taint in node.get("taints", [])) for way in ways)
        assert all(free >= 0 for free in room[node["name"]].values())


@every_round
def test_shares_after_the_round_are_the_cost_of_who_holds_room_then(seed: Seed) -> None:
    document, decided = decided_round(seed)
    rules = Reference(json.loads(json.dumps(document)))
    stands = who_stands_where(document, decided).keys() - rules.quarantined
    for queue in document["queues"]:
        mine = [
            rules.needs[job["id"]]
            for job in document["jobs"]
            if job["queue"] == queue["name"] and job["id"] in stands and job["id"] not in rules.quarantined
        ]
        after = next(each["actualShareAfter"] for each in decided["queues"] if each["name"] == queue["name"])
        assert after == rules.cost(plus(amounts(queue.get("penalty")), *mine))


@every_round
def test_nobody_gives_way_to_a_lower_priority_and_gangs_start_and_end_whole(seed: Seed) -> None:
    document, decided = decided_round(seed)
    rules = Reference(json.loads(json.dumps(document)))
    jobs = names_of(document["jobs"])
    scheduled, lost = ({each["job"]: each for each in decided[part]} for part in ("scheduled", "preempted"))
    for name, each in lost.items():
        assert name in rules.evictable
        if each["reason"] in ("fairShare", "urgency") and each["by"] in scheduled:
            assert scheduled[each["by"]]["scheduledAtPriority"] >= rules.priority[name]
    for name in (*scheduled, *lost):
        mates = {mate["id"] for mate in rules.gang_of(jobs[name])}
        assert mates <= set(scheduled) or mates <= set(lost)
    for name in scheduled:
        label = (jobs[name].get("gang") or {}).get("uniformityLabel")
        if label and len(rules.gang_of(jobs[name])) > 1:
            nodes = {scheduled[mate["id"]]["node"] for mate in rules.gang_of(jobs[name])}
            assert len({n["labels"][label] for n in document["nodes"] if n["name"] in nodes}) == 1


@every_round
def test_a_queue_within_its_protected_fraction_loses_nothing_to_balancing(seed: Seed) -> None:
    document, decided = decided_round(seed)
    jobs = names_of(document["jobs"])
    shares = {each["name"]: each for each in decided["queues"]}
    for each in decided["preempted"]:
        if each["reason"] == "fairShare":
            share = shares[jobs[each["job"]]["queue"]]
            due = max(share["cappedShare"], share["fairShare"])
            assert share["actualShareBefore"] / due > document["config"]["protectedFractionOfFairShare"]


@every_round
def test_what_fits_nowhere_fits_nowhere(seed: Seed) -> None:
    """Where nobody was preempted, room only shrank: a job that found none at its own level finds none at the end."""
    document, decided = decided_round(seed)
    if not document["config"].get("urgencyPreemption", True):
        return
    if decided["preempted"] or any(each["reason"] == "outranked" for each in decided["unschedulable"]):
        return
    rules, jobs = Reference(json.loads(json.dumps(document))), names_of(document["jobs"])
    for each in decided["scheduled"]:
        node = next(n for n in document["nodes"] if n["name"] == each["node"])
        rules.put(jobs[each["job"]], node, each["scheduledAtPriority"], each["method"])
    for each in decided["unschedulable"]:
        job = jobs[each["job"]]
        if each["reason"] == "noNodeFits" and len(rules.gang_of(job)) == 1:
            for way in rules.ways(job):
                assert rules.best_at(job, rules.allowed_nodes(job, way, None), way[0]) is None


@every_round
def test_limits_are_never_exceeded(seed: Seed) -> None:
    document, decided = decided_round(seed)
    config = document["config"]
    jobs, scheduled = names_of(document["jobs"]), decided["scheduled"]
    if document.get("limiter"):
        assert len(scheduled) <= max(document["limiter"]["tokens"], 0)
        assert decided["limiter"]["tokens"] == document["limiter"]["tokens"] - len(scheduled)
    for queue in document["queues"]:
        placed = [each for each in scheduled if jobs[each["job"]]["queue"] == queue["name"]]
        assert not queue.get("limiter") or len(placed) <= queue["limiter"]["tokens"]
        assert len(placed) <= config.get("lookback", 100_000)
        assert not (placed and queue.get("cordoned"))
    clusters = {node["name"]: node["cluster"] for node in document["nodes"]}
    for cluster in document.get("clusters", []):
        new = sum(clusters[each["node"]] == cluster["name"] for each in scheduled)
        assert new <= max(cluster.get("unacknowledgedLimit", 5000) - cluster.get("unacknowledged", 0), 0)
    if config.get("decisionBudget") is not None:
        assert decided["considered"] <= config["decisionBudget"]
    if config.get("fairSharePreemptionBudget") is not None:
        lost = [each for each in decided["preempted"] if each["reason"] == "fairShare"]
        assert len(lost) <= config["fairSharePreemptionBudget"]


@every_round
def test_floating_resources_in_use_exceed_the_pool_only_where_they_did_before(seed: Seed) -> None:
    document, decided = decided_round(seed)
    rules = Reference(json.loads(json.dumps(document)))
    before = {job["id"] for job in rules.holding}
    after = before - {each["job"] for each in decided["preempted"]} | {each["job"] for each in decided["scheduled"]}
    for name, amount in rules.floating.items():
        used_before, used = (sum(rules.needs[job].get(name, 0) for job in jobs) for jobs in (before, after))
        assert used <= max(amount, used_before)


@pytest.mark.parametrize("seed", range(40))
def test_with_one_shape_and_room_for_some_queues_end_within_one_job_of_each_other(seed: int) -> None:
    r = Random(seed)
    queues: list[Json] = [{"name": name, "weight": r.choice([1, 2, 3.5])} for name in "abcd"[: r.randint(2, 4)]]
    jobs = [
        {"id": f"{queue['name']}{n:03}", "queue": queue["name"], "requests": {"cpu": 1}}
        for queue in queues
        for n in range(60)
    ]
    nodes: list[Json] = [{"name": f"n{n}", "capacity": {"cpu": r.randint(1, 9)}} for n in range(8)]
    decided = decide({"format": "argosy-round/1", "config": {}, "nodes": nodes, "queues": queues, "jobs": jobs})
    total = sum(node["capacity"]["cpu"] for node in nodes)
    assert len(decided["scheduled"]) == total
    shares = {each["name"]: each["actualShareAfter"] for each in decided["queues"]}
    costs = [(shares[queue["name"]] / queue["weight"], 1 / total / queue["weight"]) for queue in queues]
    for cost, _ in costs:
        assert all(cost <= other + step + 1e-9 for other, step in costs)


def by_job(decided: Json) -> Json:
    """Decisions in a form that does not depend on the order of jobs, queues and classes in the file."""
    return {
        "scheduled": decided["scheduled"],
        "preempted": {each["job"]: each for each in decided["preempted"]},
        "unschedulable": {each["job"]: each for each in decided["unschedulable"]},
        "quarantined": {each.get("job", each.get("node")): each for each in decided["quarantined"]},
        "queues": {each["name"]: each for each in decided["queues"]},
        "limiter": decided["limiter"],
        "considered": decided["considered"],
    }


@every_round
def test_the_order_of_jobs_queues_classes_and_clusters_in_the_file_does_not_matter(seed: Seed) -> None:
    document, decided = decided_round(seed)
    shuffled = json.loads(json.dumps(document))
    shuffle = Random(len(document["jobs"])).shuffle
    for table in ("jobs", "queues", "priorityClasses", "clusters", "nodeTypes"):
        shuffle(shuffled.get(table, []))
    for owner in (*shuffled["nodes"], *shuffled["jobs"]):
        for name in ("capacity", "requests"):
            if name in owner:
                owner[name] = dict(reversed(owner[name].items()))
    assert by_job(decide(shuffled)) == by_job(decided)


def renamed(text: str, names: list[str], others: list[str]) -> str:
    for name, other in zip(names, others, strict=True):
        text = text.replace(f'"{name}"', f'"{other}"')
    return text


@pytest.mark.parametrize("make", [random_document, pressed_document])
@pytest.mark.parametrize("seed", range(25))
def test_renaming_changes_nothing_but_the_names(make: Callable[[int], Json], seed: int) -> None:
    """Nodes get other names in place; queues and jobs get others that order as before."""
    document = make(FIRST + seed)
    nodes = [node["name"] for node in document["nodes"]]
    queues = sorted(queue["name"] for queue in document["queues"])
    jobs = sorted(job["id"] for job in document["jobs"])
    others = [f"node-{index:02}" for index in range(len(nodes))]
    Random(seed).shuffle(others)
    names = [*nodes, *queues, *jobs]
    others += [f"queue-{index}" for index in range(len(queues))] + [f"job-{index:03}" for index in range(len(jobs))]
    expected = renamed(json.dumps(decide(document)), names, others)
    assert decide(json.loads(renamed(json.dumps(document), names, others))) == json.loads(expected)


@pytest.mark.parametrize("make", [random_document, pressed_document])
@pytest.mark.parametrize("seed", range(25))
def test_files_and_bytes_lose_nothing_of_a_round_or_its_decisions(make: Callable[[int], Json], seed: int) -> None:
    round_ = parse_round(json.dumps(make(FIRST + seed)))
    printed = print_round(round_)
    decided = print_decisions(round_, schedule(round_, PLAIN))
    for again in (parse_round(printed), unpack_round(pack_round(round_))):
        assert print_round(again) == printed
        assert print_decisions(again, schedule(again, PLAIN)) == decided
        assert print_decisions(again, parse_decisions(again, decided)) == decided


def test_another_process_under_another_hash_seed_decides_the_same_bytes() -> None:
    documents = [make(FIRST + seed) for make in (random_document, pressed_document) for seed in range(10)]
    answers = []
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-m", "app.admin.main", "round", "run", "-"],
            input="\n".join(map(json.dumps, documents)),
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "NUMBA_DISABLE_JIT": "1"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        answers.append(run.stdout.splitlines())
    assert answers[0] == answers[1]
    rounds = [parse_round(json.dumps(document)) for document in documents]
    assert answers[0] == [print_decisions(round_, schedule(round_, PLAIN)).decode() for round_ in rounds]


@pytest.mark.parametrize("seed", range(40))
def test_a_submit_check_of_one_unit_agrees_with_a_round_on_the_empty_pool(seed: int) -> None:
    """Each unit that waits, alone in a round whose pool is empty, is placed if and only if the check says so."""
    document = (random_document, pressed_document)[seed % 2](FIRST + seed)
    rules = Reference(json.loads(json.dumps(document)))
    checked = decide(document | {"config": document["config"] | {"submitCheck": True}})
    fits = {each["job"]: each["node"] for each in checked["scheduled"]}
    empty = [{**node, "unschedulable": False, "held": {}} for node in document["nodes"]]
    queues = [{name: q[name] for name in ("name", "maxFractionPerQueue") if name in q} for q in document["queues"]]
    config = {name: document["config"][name] for name in ("indexedResources",) if name in document["config"]}
    pool = {name: value for name, value in document.items() if name not in ("clusters", "limiter")}
    for job in rules.waiting[:12]:
        unit = rules.gang_of(job)
        alone = decide(pool | {"config": config, "nodes": empty, "queues": queues, "jobs": unit})
        gang = job.get("gang") or {}
        limiter = document.get("limiter") or {}
        bursts = [limiter.get("burst", 1e9), (rules.queues[job["queue"]].get("limiter") or {}).get("burst", 1e9)]
        if gang.get("cardinality", 1) > min(bursts) or any(
            node["name"] in rules.bad_nodes for node in document["nodes"]
        ):
            continue
        assert {each["job"]: each["node"] for each in alone["scheduled"]} == {
            each["id"]: fits[each["id"]] for each in unit if each["id"] in fits
        }
