"""What stops a round, a queue or a job short of a node that would fit."""

from tests.unit.scheduling.cases import decide, document, job, jobs, node, places, reasons


def test_each_new_run_takes_a_token_and_less_than_one_is_none() -> None:
    decided = decide(document([node("n")], [*jobs(3, "a"), *jobs(3, "b")], limiter={"tokens": 2.5, "burst": 10}))
    assert list(places(decided)) == ["a00", "b00"]
    assert decided["limiter"] == {"tokens": 0.5}
    assert set(reasons(decided).values()) == {"rateLimit"}


def test_without_a_limiter_there_is_none_in_the_decisions() -> None:
    assert decide(document([node("n")], jobs(1)))["limiter"] is None


def test_a_limiter_in_debt_schedules_nothing() -> None:
    decided = decide(document([node("n")], jobs(1), limiter={"tokens": -3, "burst": 10}))
    assert decided["limiter"] == {"tokens": -3}
    assert reasons(decided) == {"a00": "rateLimit"}


def test_the_limiter_of_a_queue_stops_that_queue_alone() -> None:
    queues = [{"name": "a", "limiter": {"tokens": 1, "burst": 5}}, {"name": "b"}]
    decided = decide(document([node("n")], [*jobs(3, "a"), *jobs(3, "b")], queues))
    assert list(places(decided)) == ["a00", "b00", "b01", "b02"]
    assert reasons(decided) == {"a01": "queueRateLimit", "a02": "queueRateLimit"}


def test_a_round_stops_once_its_fraction_is_strictly_exceeded() -> None:
    config = {"maxFractionPerRound": {"cpu": 0.25}}
    decided = decide(document([node("n", cpu=8)], jobs(8), config=config))
    assert len(places(decided)) == 3, "2 of 8 are exactly a quarter: one more may begin"
    assert set(reasons(decided).values()) == {"roundResourceLimit"}


def test_running_jobs_do_not_count_for_the_round() -> None:
    running = jobs(4, "r", run={"node": "n"})
    decided = decide(document([node("n", cpu=8)], [*running, *jobs(2)], config={"maxFractionPerRound": {"cpu": 0.2}}))
    assert len(places(decided)) == 2


def test_fractions_are_of_the_decimal_that_was_written() -> None:
    classes = [{"name": "default", "maxFractionPerQueue": {"cpu": 0.29}}]
    decided = decide(document([node("n", cpu=100)], jobs(100), priorityClasses=classes))
    assert len(places(decided)) == 29, "0.29 x 100 is 28.999999999999996 as floats"


def test_the_limit_of_a_class_counts_running_jobs_of_the_queue_in_that_class() -> None:
    classes = [{"name": "default", "maxFractionPerQueue": {"cpu": 0.5}}, {"name": "free"}]
    running = [
        job("r", cpu=2, run={"node": "n"}),
        job("s", "b", cpu=2, run={"node": "n"}),
        job("t", cpu=2, priorityClass="free", run={"node": "n"}),
    ]
    waiting = [job("j", cpu=2), job("k", cpu=2), job("l", cpu=1), job("m", cpu=2, priorityClass="free")]
    decided = decide(document([node("n", cpu=8), node("o", cpu=4)], [*running, *waiting], priorityClasses=classes))
    assert set(places(decided)) == {"j", "k", "m"}, "2 + 2 + 2 are half of 12"
    assert reasons(decided) == {"l": "queueResourceLimit"}


def test_a_job_above_the_limit_is_skipped_and_smaller_ones_go_on() -> None:
    classes = [{"name": "default", "maxFractionPerQueue": {"cpu": 0.5}}]
    waiting = [job("large", cpu=5, submitted=0), job("large2", cpu=5, submitted=1), job("small", cpu=4, submitted=2)]
    decided = decide(document([node("n", cpu=8)], waiting, priorityClasses=classes))
    assert list(places(decided)) == ["small"]
    assert reasons(decided) == {"large": "queueResourceLimit", "large2": "queueResourceLimit"}


def test_a_shape_above_the_limit_of_one_queue_is_free_in_another() -> None:
    queues = [{"name": "a", "maxFractionPerQueue": {"default": {"cpu": 0.1}}}, {"name": "b"}]
    decided = decide(document([node("n", cpu=8)], [job("j", "a"), job("k", "b")], queues))
    assert list(places(decided)) == ["k"]


def test_the_entry_of_a_queue_replaces_the_whole_entry_of_the_class() -> None:
    classes = [{"name": "default", "maxFractionPerQueue": {"cpu": 0.1, "memory": 0.01}}]
    queues = [{"name": "a", "maxFractionPerQueue": {"default": {"cpu": 1}}}, {"name": "b"}]
    decided = decide(document([node("n", cpu=8)], [job("j", "a"), job("k", "b")], queues, priorityClasses=classes))
    assert list(places(decided)) == ["j"]


def test_a_cordoned_queue_waits() -> None:
    queues = [{"name": "a", "cordoned": True}, {"name": "b"}]
    decided = decide(document([node("n")], [job("j", "a"), job("k", "b")], queues))
    assert list(places(decided)) == ["k"]
    assert reasons(decided) == {"j": "queueCordoned"}


def test_lookback_counts_the_jobs_looked_at_hopeless_ones_included() -> None:
    waiting = [job(f"x{i}", cpu=99, submitted=i) for i in range(2)] + [job("j", submitted=5), job("k", submitted=6)]
    decided = decide(document([node("n")], waiting, config={"lookback": 3}))
    assert list(places(decided)) == ["j"]
    assert reasons(decided) == {"x0": "noNodeFits", "x1": "noNodeFits", "k": "lookback"}
    assert places(decide(document([node("n")], waiting, config={"lookback": 0}))) == {}


def test_the_decision_budget_counts_what_was_looked_at_but_not_what_was_known_to_be_hopeless() -> None:
    waiting = [job(f"x{i}", cpu=99, submitted=i) for i in range(3)] + [job(f"j{i}", submitted=9 + i) for i in range(3)]
    decided = decide(document([node("n")], waiting, config={"decisionBudget": 3}))
    assert list(places(decided)) == ["j0", "j1"]
    assert reasons(decided)["j2"] == "decisionBudget"
    assert reasons(decided)["x2"] == "noNodeFits"


def test_a_cluster_at_its_limit_of_unacknowledged_runs_takes_nothing_new() -> None:
    clusters = [{"name": "x", "unacknowledged": 3, "unacknowledgedLimit": 5}, {"name": "y"}]
    nodes = [node("n", cluster="x", cpu=4), node("m", cluster="x", cpu=4), node("o", cluster="y", cpu=8)]
    decided = decide(document(nodes, jobs(5), clusters=clusters))
    assert list(places(decided).values()) == ["n", "n", "o", "o", "o"]


def test_a_cluster_that_begins_at_its_limit_takes_nothing() -> None:
    clusters = [{"name": "x", "unacknowledged": 5, "unacknowledgedLimit": 5}]
    assert places(decide(document([node("n", cluster="x")], jobs(1), clusters=clusters))) == {}


def test_the_decision_budget_is_not_spent_on_shapes_above_the_limit_of_their_queue() -> None:
    queues = [{"name": "a", "maxFractionPerQueue": {"default": {"cpu": 0.5}}}]
    waiting = [job(f"x{i}", cpu=5, submitted=i) for i in range(5)] + [job("j", cpu=1, submitted=9)]
    decided = decide(document([node("n", cpu=8)], waiting, queues, config={"decisionBudget": 2}))
    assert list(places(decided)) == ["j"]
    assert set(reasons(decided).values()) == {"queueResourceLimit"}


def test_a_cluster_that_fills_up_is_named_as_the_reason() -> None:
    clusters = [{"name": "x", "unacknowledgedLimit": 1}]
    decided = decide(document([node("n", cluster="x"), node("m", cluster="x")], jobs(2), clusters=clusters))
    assert decided["unschedulable"] == [
        {
            "job": "a01",
            "reason": "noNodeFits",
            "nodes": {"cluster has too many unacknowledged runs": 2},
            "shortfall": {},
        }
    ]
