"""Directed rounds: each is built so that one rule decides it. Balancing, the heaps of t, and what undoes a gang.

In most of them queue `a` (of small weight, so its turn comes last) holds everything that balancing evicts; the number
of an evicted job is its `priority`. `s` is the shape that asks twice: what happens between must reach its second try.
"""

from typing import Any

from tests.unit.scheduling.cases import document, job, node

Json = dict[str, Any]
CLASSES = [
    {"name": "default"},
    {"name": "mid", "priority": 5},
    {"name": "top", "priority": 9},
    {"name": "urgent", "priority": 20},
    {"name": "fixed", "priority": 9, "preemptible": False},
]
ZONE = {"zone": "e"}


def evicted(number: int, cpu: int, where: str, *, level: int = 0, queue: str = "a", **fields: Any) -> Json:
    run = {"node": where, "scheduledAtPriority": level}
    return job(f"{queue}{number}-{where}-{cpu}", queue, cpu=cpu, memory=0, priority=number, run=run, **fields)


def wants(name: str, queue: str, cpu: int, **fields: Any) -> Json:
    return job(name, queue, cpu=cpu, memory=0, **fields)


def host(name: str, cpu: int, **fields: Any) -> Json:
    return node(name, cpu=cpu, memory="64Gi", **fields)


def balanced(nodes: list[Json], jobs: list[Json], weights: Json | None = None, **fields: Any) -> Json:
    names = sorted({each["queue"] for each in jobs})
    queues = [{"name": name, "weight": ({"a": 0.01} | (weights or {})).get(name, 1)} for name in names]
    config = {"protectedFractionOfFairShare": 0, "fairShareResources": {"cpu": 1}, **fields.pop("config", {})}
    return document(nodes, jobs, queues, config, priorityClasses=CLASSES, **fields)


def t_rises_for_a_candidate_above() -> Json:
    """x (low) frees more on n than it uses; s (mid) then needs only the last number there, not the first."""
    runs = [
        evicted(1, 6, "n"),
        evicted(2, 5, "k"),
        evicted(3, 5, "m"),
        evicted(4, 1, "n"),
        evicted(5, 2, "n", level=5),
        evicted(1, 4, "z", queue="b"),
    ]
    waiting = [
        wants("s0", "c", 5, priorityClass="mid"),
        wants("x", "d", 3, nodeSelector=ZONE),
        wants("s1", "b", 5, priorityClass="mid"),
    ]
    nodes = [host("n", 9, labels=ZONE), host("m", 5), host("k", 5), host("z", 4)]
    return balanced(nodes, [*runs, *waiting])


def t_rises_for_a_candidate_below() -> Json:
    """x (mid) preempts what s (low) may not: it leaves room over that s could not count on."""
    runs = [
        evicted(1, 2, "n"),
        evicted(2, 4, "k"),
        evicted(3, 4, "m"),
        evicted(4, 1, "n"),
        evicted(5, 7, "n", level=5),
        evicted(6, 2, "n"),
        evicted(1, 5, "z", queue="b"),
    ]
    waiting = [
        wants("s0", "c", 4),
        wants("x", "b", 6, priorityClass="mid", nodeSelector=ZONE),
        wants("s1", "c", 4, submitted=1),
    ]
    nodes = [host("n", 12, labels=ZONE), host("m", 4), host("k", 4), host("z", 5)]
    return balanced(nodes, [*runs, *waiting])


def t_rises_where_a_sibling_ran() -> Json:
    """x preempts a member of a gang; the other frees room on k, for candidates of every level."""
    gang = {"id": "g", "cardinality": 2}
    runs = [
        evicted(1, 3, "n", gang=gang),
        evicted(1, 3, "k", gang=gang),
        evicted(2, 5, "y"),
        evicted(3, 5, "m"),
        evicted(4, 2, "k"),
    ]
    waiting = [wants("s0", "c", 5), wants("x", "d", 3, nodeSelector=ZONE), wants("s1", "c", 5, submitted=1)]
    nodes = [host("n", 3, labels=ZONE), host("k", 5), host("y", 5), host("m", 5)]
    return balanced(nodes, [*runs, *waiting], {"d": 0.5})


def failing_gang(*needs: Json) -> list[Json]:
    """A gang of these members and one that fits nowhere, tried before everything else of queue c."""
    gang = {"id": "f", "cardinality": len(needs) + 1}
    members = [wants(f"f{index}", "c", 0) | need for index, need in enumerate([*needs, {"requests": {"cpu": 99}}])]
    return [member | {"gang": gang} for member in members]


def t_after_an_undone_preemption() -> Json:
    """The gang's members took y and k; when it fails, s finds y again."""
    needs: list[Json] = [{"requests": {"cpu": 5}}, {"requests": {"cpu": 5}}]
    runs = [evicted(1, 5, "k"), evicted(2, 5, "y")]
    return balanced([host("k", 5), host("y", 5)], [*runs, *failing_gang(*needs), wants("s", "c", 5, submitted=9)])


def t_after_an_undone_placement() -> Json:
    """A member used the free part of y, so that another found no room there; when they fail, s does."""
    needs: list[Json] = [{"requests": {"cpu": 2}}, {"requests": {"cpu": 5}}]
    runs = [evicted(1, 5, "k"), evicted(2, 3, "y")]
    return balanced([host("k", 5), host("y", 5)], [*runs, *failing_gang(*needs), wants("s", "c", 5, submitted=9)])


def t_after_a_cluster_opens_again() -> Json:
    """The gang's first member filled the cluster of y, which was closed to the second; when they fail it opens."""
    needs: list[Json] = [{"requests": {"cpu": 1}, "nodeSelector": ZONE}, {"requests": {"cpu": 5}}]
    runs = [evicted(1, 5, "k"), evicted(2, 5, "y")]
    nodes = [host("k", 5, cluster="c1"), host("y", 5), host("w", 1, labels=ZONE)]
    clusters = [{"name": "c0", "unacknowledgedLimit": 1}]
    return balanced(nodes, [*runs, *failing_gang(*needs), wants("s", "c", 5, submitted=9)], clusters=clusters)


def the_walk_begins_at_the_end_again() -> Json:
    """Jobs that avoid nodes walk; what the gang preempted at the end of the list is there again when it fails."""
    needs: list[Json] = [{"requests": {"cpu": 5}}, {"requests": {"cpu": 5}, "avoidNodes": ["z"]}]
    runs = [evicted(1, 5, "k"), evicted(2, 5, "y")]
    waiting = [*failing_gang(*needs), wants("s", "c", 5, submitted=9, avoidNodes=["z"])]
    return balanced([host("k", 5), host("y", 5), host("z", 1)], [*runs, *waiting])


def a_cordoned_node_stays_closed_when_its_cluster_opens() -> Json:
    """The gang filled the cluster and failed; the cordoned node of it is closed as before."""
    needs: list[Json] = [{"requests": {"cpu": 1}, "nodeSelector": ZONE}]
    nodes = [host("y", 5, unschedulable=True), host("w", 1, labels=ZONE), host("k", 5, cluster="c1")]
    clusters = [{"name": "c0", "unacknowledgedLimit": 1}]
    return balanced(nodes, [*failing_gang(*needs), wants("s", "c", 4, submitted=9)], clusters=clusters)


def what_a_candidate_may_not_preempt_stays() -> Json:
    """The walk on n passes over a job of a higher level, which stays."""
    runs = [evicted(1, 2, "n"), evicted(2, 2, "n", level=5)]
    return balanced([host("n", 4)], [*runs, wants("x", "c", 2)])


def a_value_that_cannot_hold_a_gang_costs_no_budget() -> Json:
    """Trying zone e would preempt two, one more than the budget: balancing would be over, and s not placed."""
    gang = {"id": "g", "cardinality": 2, "uniformityLabel": "zone"}
    members = [wants(f"g{n}", "c", 2, gang=gang) for n in range(2)]
    nodes = [host("n", 2, labels=ZONE), *(host(name, 2, labels={"zone": "w"}) for name in ("o", "p"))]
    runs = [evicted(1, 1, "n"), evicted(2, 1, "n")]
    waiting = [*members, wants("s", "c", 1, submitted=9, nodeSelector=ZONE)]
    return balanced(nodes, [*runs, *waiting], config={"fairSharePreemptionBudget": 1})


def the_budget_ends_inside_a_gang() -> Json:
    """The second member would exceed the budget: the gang fails as a whole, and everybody returns."""
    gang = {"id": "g", "cardinality": 2}
    members = [wants(f"g{n}", "c", 2, gang=gang) for n in range(2)]
    runs = [evicted(n, 1, "n") for n in (1, 2, 3, 4)]
    return balanced([host("n", 4)], [*runs, *members, wants("s", "c", 1)], config={"fairSharePreemptionBudget": 3})


def a_preempted_head_still_takes_its_turn() -> Json:
    """x preempts a1, the dear head of a. Until a's turn has come its cheap next run waits, and y takes its place."""
    runs = [evicted(1, 4, "n"), evicted(2, 1, "m")]
    waiting = [wants("x", "c", 4, nodeSelector=ZONE), wants("y", "d", 1)]
    return balanced([host("n", 4, labels=ZONE), host("m", 1)], [*runs, *waiting], {"a": 1, "c": 1.2, "d": 0.28})


def a_hopeless_head_still_takes_its_turn() -> Json:
    """b's head is of the shape that fits nowhere, and dear: its cheap next job waits for that turn, c goes first."""
    waiting = [wants("a0", "a", 4), wants("b0", "b", 4), wants("b1", "b", 1, submitted=1), wants("c0", "c", 3)]
    return balanced([host("n", 3)], waiting, {"a": 1})


def two_gangs_compete() -> Json:
    """Room for one of two gangs: the cheaper queue's is whole, the other's not at all."""
    gangs = [
        wants(f"{queue}{n}", queue, 2, gang={"id": "g", "cardinality": 2}) for queue in ("b", "c") for n in range(2)
    ]
    return balanced([host("n", 3), host("m", 3)], [*gangs, evicted(1, 1, "n", queue="b")])


def a_gang_that_needs_preemption() -> Json:
    """Members free, by balancing and by urgency in one gang."""
    gang = {"id": "g", "cardinality": 3}
    members = [wants(f"g{n}", "c", 4, gang=gang, priorityClass="top") for n in range(3)]
    bound = [evicted(1, 4, "k", queue="unlisted", level=0)]
    runs = [evicted(1, 4, "m"), evicted(2, 2, "l", queue="b"), evicted(3, 2, "l", queue="b")]
    made = balanced([host("n", 4), host("m", 4), host("l", 4), host("k", 4)], [*runs, *bound, *members], {"b": 9})
    made["queues"] = [each for each in made["queues"] if each["name"] != "unlisted"]
    return made
