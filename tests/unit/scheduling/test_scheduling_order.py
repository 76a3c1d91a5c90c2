"""Who comes first: between queues and inside a queue."""

import numpy as np

from app.scheduling.ordering import id_words
from tests.unit.scheduling.cases import Json, decide, document, job, jobs, node, places, reasons

CLASSES = [{"name": "default", "priority": 0}, {"name": "high", "priority": 10}]


def order(decided: Json) -> str:
    return "".join(each[0] for each in places(decided))


def test_queues_take_turns_by_cost() -> None:
    assert order(decide(document([node("n")], [*jobs(3, "a"), *jobs(3, "b")]))) == "ababab"


def test_a_queue_of_weight_three_gets_three_jobs_for_one() -> None:
    queues = [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]
    decided = decide(document([node("n", cpu=64)], [*jobs(8, "a"), *jobs(8, "b")], queues))
    assert order(decided)[:8] == "bbabbbab"


def test_the_cost_includes_the_candidate() -> None:
    decided = decide(document([node("n")], [job("a", "a", cpu=3), *jobs(4, "b", cpu=1)]))
    assert order(decided) == "bbabb", "a's one large job waits until b would hold as much"


def test_running_jobs_and_penalties_count_against_a_queue() -> None:
    queues = [{"name": "a"}, {"name": "b", "penalty": {"cpu": 1}}, {"name": "c"}]
    running = job("r", "a", cpu=2, run={"node": "n"})
    waiting = [job(f"{queue}{index}", queue) for queue in "abc" for index in range(3)]
    decided = decide(document([node("n", cpu=16)], [running, *waiting], queues))
    # Held with the candidate: c 1; b 2, c 2; a 3, b 3, c 3; a 4, b 4; a 5.
    assert order(decided) == "cbcabcaba"


def test_a_higher_class_goes_first_whatever_queues_hold() -> None:
    running = job("r", "b", cpu=6, run={"node": "n"})
    waiting = [job("a", "a"), job("b", "b", priorityClass="high")]
    decided = decide(document([node("n")], [running, *waiting], priorityClasses=CLASSES))
    assert list(places(decided)) == ["b", "a"]


def test_inside_a_queue_class_then_priority_then_submit_time_then_id() -> None:
    waiting = [
        job("z", priority=1000, submitted=1),
        job("k", priority=1000, submitted=2),
        job("b", priority=1000, submitted=2),
        job("urgent", priority=5, submitted=9),
        job("high", priority=2000, submitted=9, priorityClass="high"),
    ]
    decided = decide(document([node("n")], waiting, priorityClasses=CLASSES))
    assert list(places(decided)) == ["high", "urgent", "z", "b", "k"]


def test_ids_order_as_their_bytes_do_whatever_their_length() -> None:
    ids = ["j10", "j2", "j1", "j", "ja", "jobs-of-more-than-eight-bytes-b", "jobs-of-more-than-eight-bytes-a", "ü", "z"]
    decided = decide(document([node("n", cpu=64)], [job(each) for each in ids]))
    assert list(places(decided)) == sorted(ids, key=str.encode)


def test_id_words_compare_as_the_bytes_do() -> None:
    ids = np.array([b"a", b"a\x01", b"\xff" * 9, b"\xff" * 8, b""], np.bytes_)
    words = id_words(ids)
    by_words = np.lexsort(tuple(reversed(words))).tolist()
    assert [bytes(ids[index]) for index in by_words] == sorted(bytes(each) for each in ids)


def test_ties_between_queues_go_by_name_not_by_place_in_the_file() -> None:
    queues = [{"name": "b"}, {"name": "a"}]
    assert order(decide(document([node("n")], [*jobs(1, "b"), *jobs(1, "a")], queues))) == "ab"


def test_a_head_that_became_hopeless_still_waits_for_its_turn() -> None:
    # b's first job is of a's hopeless shape and large: b's small one is not looked at before its turn has come.
    waiting = [
        job("a0", "a", cpu=4, memory="1Gi"),
        job("b0", "b", cpu=4, memory="1Gi", submitted=0),
        job("b1", "b", cpu=1, submitted=1),
        job("c0", "c", cpu=2, memory="2Gi"),
    ]
    decided = decide(document([node("n", cpu=3, memory="3Gi")], waiting, config={"indexedResources": ["cpu"]}))
    assert list(places(decided)) == ["c0", "b1"]
    assert reasons(decided) == {"a0": "noNodeFits", "b0": "noNodeFits"}


def test_large_jobs_first_lets_the_larger_of_equal_queues_begin() -> None:
    waiting = [*jobs(2, "a", cpu=1), *jobs(2, "b", cpu=4)]
    plain = decide(document([node("n", cpu=16)], waiting))
    large = decide(document([node("n", cpu=16)], waiting, config={"preferLargeJobs": True}))
    assert order(plain) == "aabb"
    assert order(large) == "baab"


def test_large_jobs_first_puts_queues_above_their_budget_last() -> None:
    queues = [{"name": "a", "demand": {"cpu": 1}}, {"name": "b", "demand": {"cpu": 16}}]
    waiting = [*jobs(2, "a", cpu=1), *jobs(2, "b", cpu=1)]
    decided = decide(document([node("n", cpu=16)], waiting, queues, config={"preferLargeJobs": True}))
    assert order(decided) == "abba"
