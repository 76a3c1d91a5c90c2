"""Fair shares: cost, water filling, and the shares that a round reports."""

import pytest

from app.scheduling.resources import Resources
from app.scheduling.shares import CostModel, fair_shares, fairness_error, indicative_share
from tests.unit.scheduling.cases import decide, document, job, jobs, node, share


def test_cost_is_the_largest_share_of_a_resource_times_its_multiplier() -> None:
    resources = Resources.of(["cpu", "memory", "gpu", "disk"])
    totals = resources.row({"cpu": 1000, "memory": 100, "gpu": 10, "disk": 10})
    costs = CostModel.of(resources, totals, {"cpu": 1, "memory": 0.5, "gpu": 2})
    assert costs.cost(resources.row({"cpu": 300, "memory": 50})) == 0.3
    assert costs.cost(resources.row({"cpu": 300, "memory": 80})) == 0.4
    assert costs.cost(resources.row({"gpu": 3})) == 0.6
    assert costs.cost(resources.row({"disk": 10})) == 0.0, "a resource without a multiplier is free"
    assert costs.cost_with(resources.row({"cpu": 300}), resources.row({"cpu": 100})) == 0.4


def test_cost_is_never_negative_and_ignores_resources_that_the_pool_has_not() -> None:
    resources = Resources.of(["cpu", "gpu"])
    costs = CostModel.of(resources, resources.row({"cpu": 1000}), {"cpu": 1, "gpu": 1})
    assert costs.cost(resources.row({"cpu": -500, "gpu": 7})) == 0.0


def test_shares_follow_weights_while_everybody_wants_more() -> None:
    shares = fair_shares([1.0, 3.0], [1.0, 1.0])
    assert shares.fair == (0.25, 0.75)
    assert shares.capped == (0.25, 0.75)
    assert shares.uncapped == (0.25, 0.75)


def test_what_a_modest_queue_leaves_goes_to_the_others_by_weight() -> None:
    shares = fair_shares([1.0, 1.0, 2.0], [0.05, 1.0, 1.0])
    assert shares.fair == (0.25, 0.25, 0.5)
    assert shares.capped == pytest.approx((0.05, 0.25 + 0.2 / 3, 0.5 + 0.4 / 3))
    assert sum(shares.capped) == pytest.approx(1.0)


def test_the_uncapped_share_of_a_modest_queue_counts_what_others_leave_but_not_its_own_rest() -> None:
    shares = fair_shares([1.0, 1.0, 2.0], [0.05, 0.1, 1.0])
    # Second round: 0.35 is unshared, 0.2 of it from the first queue itself, which would get 1 part of 3.
    assert shares.uncapped[0] == pytest.approx(0.25 + (0.35 - 0.2) / 3)
    assert shares.uncapped[1] == pytest.approx(0.25 + (0.35 - 0.15) / 3)
    assert shares.uncapped[2] == pytest.approx(0.5 + 0.35)


def test_sharing_out_stops_when_everybody_has_enough() -> None:
    shares = fair_shares([1.0, 1.0], [0.1, 0.2])
    assert shares.capped == (0.1, 0.2)


def test_sharing_out_stops_at_one_percent() -> None:
    shares = fair_shares([1.0, 99.0], [0.001, 1.0])
    assert shares.capped == (0.001, 0.99), "0.9 percent were left, which is not worth another round"


def test_nobody_is_given_anything_when_nobody_takes_part() -> None:
    assert fair_shares([], []).capped == ()


def test_the_fairness_error_counts_only_what_is_missing() -> None:
    assert fairness_error([0.5, 0.5], [0.3, 0.7]) == pytest.approx(0.2)


def test_a_new_queue_is_told_what_it_would_get() -> None:
    assert indicative_share([1.0, 1.0], [1.0, 0.1], 1.0) == pytest.approx(1 / 3 + (1 / 3 - 0.1) / 2)


def test_a_round_reports_shares_before_and_after() -> None:
    running = job("r", "a", cpu=2, run={"node": "n"})
    decided = decide(document([node("n", cpu=10)], [running, *jobs(3, "b", cpu=1)]))
    assert share(decided, "a", "actualShareBefore") == share(decided, "a", "actualShareAfter") == 0.2
    assert share(decided, "b", "actualShareBefore") == 0.0
    assert share(decided, "b", "actualShareAfter") == 0.3
    assert share(decided, "a", "fairShare") == 0.5
    assert share(decided, "b", "demandShare") == 0.3


def test_a_round_tells_how_unfair_it_found_and_left_the_pool_and_what_a_new_queue_would_get() -> None:
    config = {"protectedFractionOfFairShare": 0}
    runs = [job(f"r{n}", "a", cpu=1, run={"node": "n"}) for n in range(8)]
    decided = decide(document([node("n", cpu=8)], [*runs, *jobs(8, "b", cpu=1)], config=config))
    assert decided["fairness"] == {"errorBefore": 0.5, "errorAfter": 0.0, "newQueueShare": pytest.approx(1 / 3)}
    decided = decide(document([node("n", cpu=8)], []))
    assert decided["fairness"] == {"errorBefore": 0, "errorAfter": 0, "newQueueShare": 1.0}


def test_queues_without_jobs_and_cordoned_queues_without_runs_share_nothing() -> None:
    queues = [{"name": "a"}, {"name": "idle"}, {"name": "cordoned", "cordoned": True}]
    decided = decide(document([node("n")], [job("j"), job("k", "cordoned")], queues))
    assert [share(decided, name, "fairShare") for name in ("a", "idle", "cordoned")] == [1.0, 0.0, 0.0]


def test_a_cordoned_queue_shares_for_what_it_runs() -> None:
    queues = [{"name": "a"}, {"name": "b", "cordoned": True}]
    runs = [job("r", "b", cpu=2, run={"node": "n"}), job("w", "b", cpu=2)]
    decided = decide(document([node("n", cpu=8)], [job("j"), *runs], queues))
    assert share(decided, "b", "fairShare") == 0.5
    assert share(decided, "b", "demandShare") == 0.25


def test_demand_is_capped_by_the_limit_of_each_class() -> None:
    classes = [{"name": "default", "maxFractionPerQueue": {"cpu": 0.25}}, {"name": "other"}]
    wanted = [job("j", cpu=8), job("k", cpu=1, priorityClass="other")]
    decided = decide(document([node("n", cpu=8)], wanted, priorityClasses=classes))
    assert share(decided, "a", "demandShare") == 0.375


def test_a_given_demand_and_a_penalty_are_believed() -> None:
    queues = [{"name": "a", "demand": {"cpu": 6}, "penalty": {"cpu": 1}}, {"name": "b", "demand": {}}]
    decided = decide(document([node("n", cpu=8)], jobs(1), queues))
    assert share(decided, "a", "demandShare") == 0.75
    assert share(decided, "a", "actualShareBefore") == 0.125
    assert share(decided, "b", "fairShare") == 0.0


def test_the_pool_counts_cordoned_nodes_only_while_they_run_something() -> None:
    nodes = [node("n", cpu=4), node("busy", cpu=4, unschedulable=True), node("empty", cpu=4, unschedulable=True)]
    decided = decide(document(nodes, [job("r", cpu=2, run={"node": "busy"})]))
    assert share(decided, "a", "actualShareBefore") == 0.25


def test_floating_resources_belong_to_the_pool() -> None:
    config = {"fairShareResources": {"licence": 1}}
    wanted = [job("j", more={"licence": 1})]
    decided = decide(document([node("n")], wanted, config=config, floatingResources={"licence": 4}))
    assert share(decided, "a", "actualShareAfter") == 0.25
