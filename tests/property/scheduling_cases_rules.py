"""Directed rounds: each is built so that one rule decides it. Repair, shares, limits, gangs, amounts, the index."""

from tests.property.scheduling_cases import CLASSES, Json, balanced, evicted, host, wants
from tests.unit.scheduling.cases import document, job, jobs, node

PLAIN_CONFIG = {"fairSharePreemption": False, "fairShareResources": {"cpu": 1}}


def unbalanced(nodes: list[Json], jobs: list[Json], queues: list[Json] | None = None, **fields: object) -> Json:
    return document(nodes, jobs, queues, dict(PLAIN_CONFIG), priorityClasses=CLASSES, **fields)


def the_repair_goes_by_level_inside_a_queue() -> Json:
    """An urgent job leaves room for one of two runs: the higher level stays, though the lower one began first."""
    low = wants("low", "a", 2, priority=1, run={"node": "n", "started": 1})
    mid = wants("mid", "a", 2, priority=9, run={"node": "n", "started": 5, "scheduledAtPriority": 5})
    mate = wants("mate", "a", 2, priority=9, run={"node": "n", "started": 6, "scheduledAtPriority": 5})
    return unbalanced([host("n", 6)], [low, mid, mate, wants("u", "b", 4, priorityClass="top")])


def the_repair_goes_by_level_between_queues() -> Json:
    """The same, where the lower level is of the cheaper queue."""
    low = wants("low", "b", 2, run={"node": "n"})
    mids = [wants(f"mid{n}", "a", 2, run={"node": "n", "scheduledAtPriority": 5, "started": n}) for n in range(2)]
    held = wants("held", "a", 2, run={"node": "m"})
    return unbalanced([host("n", 6), host("m", 2)], [low, *mids, held, wants("u", "c", 4, priorityClass="top")])


def what_is_not_preemptible_is_not_repaired() -> Json:
    """`fixed` is placed on n before u comes: what u overdraws is level 9, and only the runs there give way."""
    runs = [wants(f"r{n}", "a", 2, priority=n, run={"node": "n", "scheduledAtPriority": 9}) for n in range(2)]
    late = wants("late", "b", 2, run={"node": "m"})
    waiting = [wants("fixed", "c", 2, priorityClass="fixed"), wants("u", "b", 4, priorityClass="urgent")]
    made = balanced([host("n", 6), host("m", 2)], [*runs, late, *waiting], {"a": 5})
    made["config"]["protectedFractionOfFairShare"] = 0.9
    return made


def costs_count_resources_by_their_factor() -> Json:
    """Memory counts a tenth: the queue that wants much of it is the cheaper one."""
    waiting = [job("a0", "a", cpu=1, memory="4Gi"), job("b0", "b", cpu=2, memory="1Gi")]
    config = {"fairShareResources": {"cpu": 1, "memory": 0.1}}
    return document([node("n", cpu=8, memory="8Gi")], waiting, config=config)


def half_a_token_is_none() -> Json:
    return document([node("n")], jobs(2), limiter={"tokens": 0.5, "burst": 9})


def half_a_token_of_a_queue_is_none() -> Json:
    return document([node("n")], jobs(2), [{"name": "a", "limiter": {"tokens": 0.5, "burst": 9}}])


def a_gang_above_the_burst_never_starts() -> Json:
    """There are tokens enough, for once."""
    members = [job(f"g{n}", gang={"id": "g", "cardinality": 3}) for n in range(3)]
    return document([node("n")], [*members, job("z", submitted=9)], limiter={"tokens": 8, "burst": 2})


def a_gang_above_the_limit_does_not_block_its_shape() -> Json:
    """Two of 2 cpu are above the limit of the queue, one of the same shape is not."""
    members = [job(f"g{n}", cpu=2, gang={"id": "g", "cardinality": 2}) for n in range(2)]
    queues = [{"name": "a", "maxFractionPerQueue": {"default": {"cpu": 0.4}}}]
    return document([node("n", cpu=8)], [*members, job("z", cpu=2, submitted=9)], queues)


def a_gang_beyond_a_floating_resource_does_not_block_its_shape() -> Json:
    """Two licences are too many, one is there."""
    members = [job(f"g{n}", more={"licence": 1}, gang={"id": "g", "cardinality": 2}) for n in range(2)]
    single = job("z", more={"licence": 1}, submitted=9)
    return document([node("n", cpu=8)], [*members, single], floatingResources={"licence": 1})


def a_little_unshared_is_enough() -> Json:
    """Half a percent of the pool is left after the first division, and stays."""
    queues = [{"name": "a", "demand": {"cpu": "49500m"}}, {"name": "b", "demand": {"cpu": 99}}]
    return document([node("n", cpu=100, memory=0)], jobs(1), queues, {"fairShareResources": {"cpu": 1}})


def fractions_are_exact() -> Json:
    """0.29 of 100 is 29."""
    classes = [{"name": "default", "maxFractionPerQueue": {"cpu": 0.29}}]
    return document([node("n", cpu=100)], [job("j", cpu=29)], priorityClasses=classes)


def gangs_of_one_are_no_gangs() -> Json:
    """Two jobs that name the same gang of one are two jobs."""
    return document([node("n")], [job(f"j{n}", gang={"id": "g", "cardinality": 1}) for n in range(2)])


def a_gang_with_too_many_members_is_refused() -> Json:
    return document([node("n")], [job(f"j{n}", gang={"id": "g", "cardinality": 2}) for n in range(3)])


def a_queue_at_the_protected_fraction_keeps_what_it_has() -> Json:
    """a holds exactly its share, one half."""
    runs = jobs(4, "a", run={"node": "n"})
    return document([node("n", cpu=8)], [*runs, *jobs(9, "b")], config={"fairShareResources": {"cpu": 1}})


def a_penalty_counts_for_the_protected_fraction() -> Json:
    """a holds its half and is charged for more: it is balanced."""
    queues = [{"name": "a", "penalty": {"cpu": 1}}, {"name": "b"}]
    runs = jobs(4, "a", run={"node": "n"})
    return document([node("n", cpu=4)], [*runs, *jobs(9, "b")], queues, {"protectedFractionOfFairShare": 2})


def a_node_that_is_held_less_than_nothing_takes_nothing() -> Json:
    return document([node("bad", held={"memory": "-1Gi"})], jobs(1))


def long_ids_order_by_all_of_their_bytes() -> Json:
    """They differ after the eighth byte, and the later one is first in the file."""
    return document([node("n", cpu=1)], [job(f"the-same-beginning-{end}") for end in "ba"])


def large_amounts_need_several_words_to_sort_by() -> Json:
    """Three indexed resources of 2^40 and more: the last decides between n1 and n2."""
    big = 2**41
    nodes = [
        node(f"n{n}", cpu=2**20, memory=str(big + 1), more={"ephemeral-storage": str(big + 9 - n)}) for n in range(3)
    ]
    config = {"indexedResources": ["cpu", "memory", "ephemeral-storage"]}
    return document(nodes, [job("j", more={"ephemeral-storage": "1"})], config=config)


def more_sets_of_nodes_than_bits() -> Json:
    """Seventy shapes, each at home on a node of its own: each node is a group."""
    nodes = [node(f"n{n}", cpu=1, labels={"name": f"v{n}"}) for n in range(70)]
    waiting = [job(f"j{n:02}", nodeSelector={"name": f"v{n}"}) for n in range(70)]
    return document(nodes, waiting)


def more_amounts_than_a_block_has_nodes() -> Json:
    """Two hundred nodes of different size, what binds is outside the index: the one node with disk is found."""
    nodes = [node(f"n{n}", cpu=f"{1000 + 7 * n}m", memory=str(2**30 + n)) for n in range(200)]
    nodes[77]["capacity"]["ephemeral-storage"] = "5Gi"
    waiting = [job("d", more={"ephemeral-storage": "4Gi"}), job("e", cpu="2300m"), job("f", cpu="1001m", submitted=1)]
    return document(nodes, waiting)


def leftovers_of_a_generation_are_another_gang() -> Json:
    old = job("old", gang={"id": "g", "cardinality": 2, "generation": 0}, run={"node": "n"})
    new = [job(f"g{n}", gang={"id": "g", "cardinality": 2, "generation": 1}) for n in range(2)]
    return document([node("n")], [old, *new])


def gangs_of_two_queues_with_one_name_are_two() -> Json:
    members = [job(f"{queue}{n}", queue, gang={"id": "g", "cardinality": 2}) for queue in "ab" for n in range(2)]
    return document([node("n", cpu=3)], members)


def the_best_value_is_the_one_that_preempts_at_the_lowest_priorities() -> Json:
    """Zone e: room at 5 and at 20. Zone w: twice at 9. The sum of the priorities decides, 25 against 18."""
    gang = {"id": "g", "cardinality": 2, "uniformityLabel": "zone"}
    levels = {"e0": 0, "e1": 9, "w0": 5, "w1": 5}
    nodes = [host(name, 2, labels={"zone": name[0]}) for name in levels]
    runs = [wants(f"r{name}", "a", 2, run={"node": name, "scheduledAtPriority": p}) for name, p in levels.items()]
    members = [wants(f"g{n}", "b", 2, gang=gang, priorityClass="urgent") for n in range(2)]
    return unbalanced(nodes, [*runs, *members])


def everything_evicted_of_a_gang_counts_for_its_turn() -> Json:
    """The gang of a weighs 4 with both members: b's run of 3 returns before it, and x finds the room of one of them."""
    gang = {"id": "g", "cardinality": 2}
    runs = [evicted(n, 2, "n", gang=gang) for n in (1, 2)] + [evicted(1, 3, "m", queue="b")]
    return balanced([host("n", 4), host("m", 3)], [*runs, wants("x", "c", 2)], {"a": 0.6})


def a_gang_that_failed_closes_no_way() -> Json:
    """The second member finds no room beside the first; once the first is taken back, x of their shape has room."""
    members = [wants(f"g{n}", "b", 2, gang={"id": "g", "cardinality": 2}) for n in range(2)]
    queues = [{"name": "b", "weight": 100}, {"name": "c", "weight": 1}]
    return unbalanced([host("n", 3)], [*members, wants("x", "c", 2)], queues)


def large_amounts_decide_between_kinds_of_nodes() -> Json:
    """n0 and n1 are of two kinds, since s asks for one of them; the last of three words says that n1 is the tighter."""
    big = 2**41
    nodes = [
        node(
            f"n{n}", cpu=2**20, memory=str(big + 1), more={"ephemeral-storage": str(big + 9 - n)}, labels={"z": str(n)}
        )
        for n in range(2)
    ]
    config = {"indexedResources": ["cpu", "memory", "ephemeral-storage"]}
    waiting = [job("j", more={"ephemeral-storage": "1"}), job("s", cpu=2**21, nodeSelector={"z": "1"})]
    return document(nodes, waiting, config=config)


def who_is_of_no_listed_queue_is_not_preempted() -> Json:
    run = job("r", "gone", cpu=2, run={"node": "n", "scheduledAtPriority": 0})
    return unbalanced([host("n", 2)], [run, wants("u", "a", 2, priorityClass="urgent")], [{"name": "a"}])


def a_gang_counts_for_the_limit_of_its_queue() -> Json:
    """Three cpu are the limit: the gang of two takes two of them, and z of two is one too many."""
    members = [job(f"g{n}", cpu=1, gang={"id": "g", "cardinality": 2}) for n in range(2)]
    queues = [{"name": "a", "maxFractionPerQueue": {"default": {"cpu": 0.4}}}]
    return document([node("n", cpu=8)], [*members, job("z", cpu=2, submitted=9)], queues)
