"""Directed rounds: each is built so that one rule decides it. Tokens, offenders, numbers, walks, returns, repair."""

from tests.property.scheduling_cases import ZONE, Json, balanced, evicted, failing_gang, host, wants
from tests.property.scheduling_cases_rules import unbalanced
from tests.unit.scheduling.cases import document, job, jobs, node


def who_avoids_nodes_walks_by_the_same_rules() -> Json:
    """Last numbers first: z is avoided, k cordoned, n's run of a higher level; y's gives way."""
    runs = [evicted(4, 2, "z"), evicted(3, 2, "k"), evicted(2, 2, "n", level=5), evicted(1, 2, "y")]
    nodes = [host(name, 2, unschedulable=name == "k") for name in "zkny"]
    return balanced(nodes, [*runs, wants("s", "c", 2, avoidNodes=["z"])])


def numbers_follow_what_queues_would_hold() -> Json:
    """a and b take turns: the last two numbers are of both, and each loses one."""
    runs = [evicted(n, 1, "n", queue=queue) for queue in "ab" for n in (1, 2)]
    return balanced([host("n", 4)], [*runs, *(wants(f"x{n}", "c", 1) for n in range(2))], {"a": 0.01, "b": 0.01})


def a_gang_needs_all_its_tokens() -> Json:
    members = [job(f"g{n}", gang={"id": "g", "cardinality": 3}) for n in range(3)]
    return document([node("n")], [*members, job("z", submitted=9)], limiter={"tokens": 2, "burst": 5})


def a_gang_takes_all_its_tokens() -> Json:
    members = [job(f"g{n}", gang={"id": "g", "cardinality": 3}) for n in range(3)]
    return document([node("n")], [*members, job("z", submitted=9)], limiter={"tokens": 3, "burst": 5})


def a_gang_needs_all_the_tokens_of_its_queue() -> Json:
    members = [job(f"g{n}", gang={"id": "g", "cardinality": 3}) for n in range(3)]
    queues = [{"name": "a", "limiter": {"tokens": 2, "burst": 5}}]
    return document([node("n")], [*members, job("z", submitted=9)], queues)


def a_gang_takes_all_the_tokens_of_its_queue() -> Json:
    members = [job(f"g{n}", gang={"id": "g", "cardinality": 3}) for n in range(3)]
    queues = [{"name": "a", "limiter": {"tokens": 3, "burst": 5}}]
    return document([node("n")], [*members, job("z", submitted=9)], queues)


def a_floating_resource_is_used_up() -> Json:
    return document([node("n")], jobs(2, more={"licence": 1}), floatingResources={"licence": 1})


def a_limit_of_one_queue_says_nothing_of_another() -> Json:
    """Both queues have two jobs of one shape; a may have none."""
    queues = [{"name": "a", "maxFractionPerQueue": {"default": {"cpu": 0.1}}}, {"name": "b"}]
    return document([node("n", cpu=8)], [*jobs(2, "a"), *jobs(2, "b")], queues)


def of_equal_values_the_first_is_taken() -> Json:
    gang = {"id": "g", "cardinality": 2, "uniformityLabel": "zone"}
    nodes = [host(name, 2, labels={"zone": name[0]}) for name in ("e0", "e1", "w0", "w1")]
    runs = [wants(f"r{each['name']}", "a", 2, run={"node": each["name"]}) for each in nodes]
    members = [wants(f"g{n}", "b", 2, gang=gang, priorityClass="top") for n in range(2)]
    return unbalanced(nodes, [*runs, *members])


def the_sum_over_all_members_decides_between_values() -> Json:
    """Zone e: two free and one at 20. Zone w: three at 9. The sum is less in e, though the last member is not."""
    gang = {"id": "g", "cardinality": 3, "uniformityLabel": "zone"}
    levels = {"e0": None, "e1": None, "e2": 9, "w0": 5, "w1": 5, "w2": 5}
    nodes = [host(name, 2, labels={"zone": name[0]}) for name in levels]
    runs = [
        wants(f"r{name}", "a", 2, run={"node": name, "scheduledAtPriority": level})
        for name, level in levels.items()
        if level is not None
    ]
    members = [wants(f"g{n}", "b", 2, gang=gang, priorityClass="urgent") for n in range(3)]
    return unbalanced(nodes, [*runs, *members])


def uniform_members_do_not_stand_on_an_overdrawn_node() -> Json:
    """The first value's node has cpu, and holds more memory than it has; members ask for none."""
    gang = {"id": "g", "cardinality": 2, "uniformityLabel": "zone"}
    nodes = [host("e", 4, labels=ZONE, held={"memory": "65Gi"}), host("w", 4, labels={"zone": "w"})]
    return unbalanced(nodes, [wants(f"g{n}", "b", 2, gang=gang) for n in range(2)])


def runs_return_to_a_cordoned_node_that_shrank() -> Json:
    return balanced([host("n", 2, unschedulable=True)], [evicted(n, 2, "n") for n in (1, 2)])


def a_run_returns_if_what_it_asks_for_is_there() -> Json:
    """The node has too little memory for what stays there; the evicted run asks for none."""
    stays = job("fixed", "b", cpu=1, memory="65Gi", priorityClass="fixed", run={"node": "n"})
    return balanced([host("n", 4)], [stays, evicted(1, 2, "n")])


def a_failed_gang_costs_no_budget() -> Json:
    waiting = [*failing_gang({"requests": {"cpu": 5}}), wants("s", "c", 5, submitted=9)]
    return balanced([host("y", 5)], [evicted(1, 5, "y"), *waiting], config={"fairSharePreemptionBudget": 1})


def at_the_end_of_balancing_runs_return_by_number() -> Json:
    """The node shrank: one of two returns, the first."""
    runs = [evicted(1, 2, "n"), evicted(2, 2, "n"), evicted(3, 2, "m")]
    config = {"fairSharePreemptionBudget": 0}
    return balanced([host("n", 2), host("m", 2)], [*runs, wants("s", "c", 2)], config=config)


def a_negative_request_of_a_run_makes_no_room() -> Json:
    return document([node("n", cpu=1)], [job("r", cpu=-8, run={"node": "n"}), *jobs(2)])


def a_quarantined_run_holds_its_room() -> Json:
    return document([node("n", cpu=8)], [job("r", cpu=7, priorityClass="nobody", run={"node": "n"}), *jobs(2)])


def members_that_disagree_are_refused() -> Json:
    return document([node("n")], [job(f"g{n}", gang={"id": "g", "cardinality": n}) for n in (2, 3)])


def members_of_two_classes_are_refused() -> Json:
    classes = [{"name": "low"}, {"name": "high", "priority": 1}]
    members = [
        job(f"g{n}", priorityClass=name, gang={"id": "g", "cardinality": 2}) for n, name in enumerate(("low", "high"))
    ]
    return document([node("n")], members, priorityClasses=classes)


def runs_on_an_invalid_node_stay() -> Json:
    bad = host("bad", 4, held={"memory": "-1Gi"})
    return balanced([bad, host("n", 1)], [evicted(1, 4, "bad"), wants("s", "c", 4)])


def a_queue_at_the_protected_fraction_is_not_balanced() -> Json:
    """a holds exactly twice its quarter, and that is the fraction."""
    queues = [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]
    config = {"protectedFractionOfFairShare": 2.0, "fairShareResources": {"cpu": 1}}
    return document([node("n", cpu=8)], [*jobs(4, "a", run={"node": "n"}), *jobs(9, "b")], queues, config)


def the_repair_takes_runs_before_what_was_placed() -> Json:
    """Both stand at level 9, in one queue; u leaves room for one. The run is first, though the other's priority is."""
    run = wants("run", "a", 2, priority=5, run={"node": "n", "scheduledAtPriority": 9})
    late = wants("late", "b", 4, run={"node": "m"})
    waiting = [
        wants("fresh", "a", 2, priority=1, priorityClass="top", nodeSelector=ZONE),
        wants("u", "b", 4, priorityClass="urgent"),
    ]
    made = balanced([host("n", 6, labels=ZONE), host("m", 4)], [run, late, *waiting], {"a": 5})
    made["config"]["protectedFractionOfFairShare"] = 0.9
    return made


def large_jobs_first_by_size_and_weight() -> Json:
    """Equal costs, nothing held: b's job is larger, but a's weight makes up for it."""
    queues = [{"name": "a", "weight": 4}, {"name": "b", "weight": 1}]
    waiting = [*jobs(2, "a", cpu=1), *jobs(2, "b", cpu=2)]
    return document([node("n", cpu=100)], waiting, queues, {"preferLargeJobs": True, "fairShareResources": {"cpu": 1}})


def the_most_urgent_job_is_named() -> Json:
    """Two urgent jobs come to n, the less urgent one first: the run that gives way is told of the other."""
    run = wants("run", "a", 6, run={"node": "n"})
    late = wants("late", "b", 4, run={"node": "m"})
    waiting = [
        wants("first", "c", 3, priorityClass="top", nodeSelector=ZONE),
        wants("most", "b", 3, priorityClass="urgent", nodeSelector=ZONE),
    ]
    made = balanced([host("n", 6, labels=ZONE), host("m", 4)], [run, late, *waiting], {"a": 5})
    made["config"]["protectedFractionOfFairShare"] = 0.9
    return made


LICENCE = {"cpu": 1, "licence": 1}
TAKER = {"nodeSelector": ZONE, "requests": LICENCE}


def a_licence_changes_hands() -> Json:
    """There is room for both, but one licence: x, on the other node, takes that of the run."""
    nodes = [host("n", 2), host("m", 2, labels=ZONE)]
    runs = [evicted(1, 1, "n", requests=LICENCE), evicted(2, 1, "n")]
    return balanced(nodes, [*runs, wants("x", "c", 1, **TAKER)], floatingResources={"licence": 1})


def a_budget_keeps_licences_where_they_are() -> Json:
    made = a_licence_changes_hands()
    made["config"]["fairSharePreemptionBudget"] = 9
    return made


def too_many_licences_are_in_use() -> Json:
    """One licence is left beside the run that may not go: the first of three returns with it."""
    runs = [evicted(n, 1, "n", requests=LICENCE) for n in (1, 2, 3)]
    fixed = wants("fixed", "b", 1, requests=LICENCE, priorityClass="fixed", run={"node": "n"})
    return balanced([host("n", 8)], [*runs, fixed, evicted(4, 1, "n")], floatingResources={"licence": 2})


def who_asks_for_no_licence_returns_or_comes_though_too_many_are_in_use() -> Json:
    fixed = wants("fixed", "b", 1, requests=LICENCE, priorityClass="fixed", run={"node": "n"})
    return balanced([host("n", 8)], [fixed, evicted(1, 1, "n"), wants("x", "c", 1)], floatingResources={"licence": 0})


def a_gang_returns_with_all_its_licences_or_not_at_all() -> Json:
    """One of its two licences is left when x and the run before it have theirs."""
    gang = {"id": "g", "cardinality": 2}
    nodes = [host("n", 2), host("k", 2), host("m", 2, labels=ZONE)]
    runs = [evicted(n, 1, where, requests=LICENCE, gang=gang) for n, where in ((1, "n"), (2, "k"))]
    alone = evicted(0, 1, "k", requests=LICENCE)
    return balanced(nodes, [*runs, alone, wants("x", "c", 1, **TAKER)], floatingResources={"licence": 3})


def a_gang_that_lacks_room_takes_no_licences() -> Json:
    """The node shrank, so the gang does not return; the run after it does, with the licence that is left."""
    gang = {"id": "g", "cardinality": 2}
    runs = [evicted(1, 3, "n", gang=gang, requests={"cpu": 3, "licence": 1}), evicted(1, 1, "k", gang=gang)]
    return balanced(
        [host("n", 2), host("k", 2)],
        [*runs, evicted(2, 1, "k", requests=LICENCE)],
        floatingResources={"licence": 1},
    )


def who_took_a_licence_is_told_though_a_gang_failed_after_that() -> Json:
    """x takes the licence of the run; the gang then takes its room, and fails."""
    waiting = [wants("x", "b", 1, **TAKER), *failing_gang({"requests": {"cpu": 4}})]
    nodes = [host("n", 4), host("m", 1, labels=ZONE)]
    runs = [evicted(1, 4, "n", requests={"cpu": 4, "licence": 1})]
    return balanced(nodes, [*runs, *waiting], {"a": 50, "b": 1000}, floatingResources={"licence": 1})


def nobody_is_told_of_a_gang_that_failed() -> Json:
    """It took the room of both runs. The node shrank, so that one of them does not return."""
    waiting = failing_gang({"requests": {"cpu": 2}})
    runs = [evicted(1, 2, "n"), evicted(2, 2, "n")]
    return balanced([host("n", 2)], [*runs, *waiting], {"c": 9000})


def a_licence_is_taken_by_the_last_of_several() -> Json:
    """x takes the free licence, y the run's; z asks for none."""
    nodes = [host("n", 2), host("m", 9, labels=ZONE)]
    waiting = [wants("x", "b", 1, **TAKER), wants("y", "c", 1, **TAKER), wants("z", "d", 1, nodeSelector=ZONE)]
    run = evicted(1, 1, "n", requests=LICENCE)
    return balanced(nodes, [run, *waiting], floatingResources={"licence": 2})


def licences_of_runs_within_the_share_stay() -> Json:
    """The queue is below many times its share, so nothing is evicted, and x waits."""
    made = a_licence_changes_hands()
    made["config"]["protectedFractionOfFairShare"] = 9000
    return made
