"""Rounds from a shell's own arrays, and amounts that would overflow or round."""

from dataclasses import replace

import numpy as np
import pytest

from app.domain.clusters import Taint
from app.pods.shape import decode_shape, encode_shape
from app.scheduling.builder import RoundBuilder
from app.scheduling.compiler import PLAIN
from app.scheduling.decisions import Method, Reason
from app.scheduling.errors import RoundError
from app.scheduling.jobs import NO_GANG, NO_NODE, Jobs
from app.scheduling.ledger import open_ledger
from app.scheduling.quarantine import admit
from app.scheduling.resources import AMOUNT_MAX, exact_total
from app.scheduling.round import Limiter, PriorityClass, Queue, Round
from app.scheduling.schedule import schedule
from app.scheduling.shapes import shape_of


def pool(limiter: Limiter | None = None) -> RoundBuilder:
    builder = RoundBuilder(pool="cpu", limiter=limiter)
    builder.add_class(PriorityClass(name="default"))
    builder.add_queue(Queue(name="a"))
    builder.add_queue(Queue(name="b", limiter=Limiter(tokens=1, burst=1)))
    builder.add_node("c0/n0", cluster="c0", capacity={"cpu": 4, "memory": "8Gi"}, labels={"zone": "east"})
    builder.add_node("c1/n0", cluster="c1", capacity={"cpu": 8}, taints=[Taint(key="t")], unschedulable=True)
    return builder


def columns(ids: list[bytes], queue: list[int], shape: list[int]) -> Jobs:
    count = len(ids)
    return Jobs(
        id=np.array(ids, np.bytes_),
        queue=np.array(queue, np.int32),
        shape=np.array(shape, np.int32),
        priority=np.zeros(count, np.int64),
        submitted=np.arange(count, dtype=np.int64),
        gang=np.full(count, NO_GANG, np.int32),
        running=np.zeros(count, np.bool_),
        run_node=np.full(count, NO_NODE, np.int32),
        run_started=np.zeros(count, np.int64),
        run_priority=np.zeros(count, np.int32),
        avoid_job=np.zeros(0, np.int32),
        avoid_node=np.zeros(0, np.int32),
    )


def test_a_shell_hands_over_its_own_job_columns() -> None:
    builder = pool()
    shape = builder.intern_shape(shape_of(requests={"cpu": 1000}, priority_class="default"))
    a, b = builder.queue_index("a"), builder.queue_index("b")
    decisions = schedule(builder.build(jobs=columns([b"x", b"y", b"z"], [a, b, b], [shape] * 3)))
    assert decisions.scheduled.job.tolist() == [0, 1]
    assert decisions.scheduled.node.tolist() == [builder.node_index("c0/n0")] * 2
    assert decisions.scheduled.method.tolist() == [Method.FREE, Method.FREE]
    assert decisions.unschedulable.reason.tolist() == [Reason.QUEUE_RATE_LIMIT]
    assert decisions.shares.tokens.tolist() == [float("inf"), 0.0]
    assert decisions.tokens is None
    assert decisions.considered == 2


def test_shapes_of_the_log_are_interned_as_they_are() -> None:
    builder = pool()
    shape = shape_of(requests={"cpu": 1000, "memory": 0}, priority_class="default", node_selector={"zone": "east"})
    assert builder.intern_shape(shape) == builder.intern_shape(decode_shape(encode_shape(shape))) == 0


def test_a_builder_is_kept_and_grows() -> None:
    builder = pool()
    builder.add_job("j", queue="a", requests={"cpu": 1})
    assert len(schedule(builder.build()).scheduled) == 1
    builder.add_node("c2/n0", cluster="c2", capacity={"cpu": "9", "fpga": 1})
    builder.add_job("k", queue="a", requests={"cpu": 1, "fpga": 1})
    again = builder.build()
    assert again.resources.names == ("cpu", "memory", "fpga")
    assert len(schedule(again).scheduled) == 2


def test_a_round_is_not_changed_by_deciding_it() -> None:
    builder = pool()
    builder.add_job("j", queue="a", requests={"cpu": 1})
    round_ = builder.build()
    before = [np.array(column) for column in (round_.nodes.capacity, round_.nodes.held, round_.shapes.requests)]
    first, second = schedule(round_), schedule(round_)
    assert first.scheduled.job.tolist() == second.scheduled.job.tolist() == [0]
    for column, kept in zip((round_.nodes.capacity, round_.nodes.held, round_.shapes.requests), before, strict=True):
        assert np.array_equal(column, kept)


def test_room_and_cordons_can_be_replaced_without_building_nodes_again() -> None:
    builder = pool()
    builder.add_job("j", queue="a", requests={"cpu": 1})
    round_ = builder.build()
    nodes = replace(round_.nodes, held=round_.nodes.capacity, unschedulable=np.zeros(2, np.bool_))
    decisions = schedule(replace(round_, nodes=nodes))
    assert decisions.unschedulable.reason.tolist() == [Reason.NO_NODE_FITS]
    assert dict(decisions.explanations[0].nodes) == {"insufficient cpu": 1, "taint": 1}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda r: replace(r, jobs=replace(r.jobs, shape=r.jobs.shape[:0])), "jobs.shape"),
        (lambda r: replace(r, jobs=replace(r.jobs, shape=r.jobs.shape + 7)), "jobs.shape"),
        (lambda r: replace(r, jobs=replace(r.jobs, queue=r.jobs.queue + 7)), "jobs.queue"),
        (lambda r: replace(r, nodes=replace(r.nodes, held=r.nodes.held[:, :1])), "nodes.held"),
        (lambda r: replace(r, nodes=replace(r.nodes, cluster=r.nodes.cluster - 1)), "nodes.cluster"),
        (lambda r: replace(r, floating=()), "floatingResources"),
    ],
)
def test_columns_that_do_not_belong_together_are_refused_by_name(change: object, path: str) -> None:
    builder = pool()
    builder.add_job("j", queue="a", requests={"cpu": 1})
    assert callable(change)
    broken = change(builder.build())
    assert isinstance(broken, Round)
    with pytest.raises(RoundError) as caught:
        broken.check()
    assert caught.value.path == path


def test_sums_of_the_largest_amounts_are_exact() -> None:
    builder = pool()
    for index in range(500):
        builder.add_job(f"r{index}", queue="a", requests={"memory": AMOUNT_MAX}, run_node="c0/n0")
        builder.add_job(f"j{index}", queue="b", requests={"memory": AMOUNT_MAX - 1, "cpu": 1})
    round_ = builder.build()
    ledger = open_ledger(round_, admit(round_), PLAIN)
    memory = round_.resources.columns["memory"]
    assert [row[memory] for row in ledger.held_in_class] == [500 * AMOUNT_MAX, 0]
    assert ledger.demand_cost[1] == 500 * (AMOUNT_MAX - 1) / ledger.totals[memory]
    assert exact_total(np.full((1000, 1), AMOUNT_MAX, np.int64)) == [1000 * AMOUNT_MAX]


def test_a_node_that_runs_far_too_much_is_in_deficit_and_nothing_overflows() -> None:
    builder = pool()
    for index in range(2000):
        builder.add_job(f"r{index}", queue="a", requests={"memory": AMOUNT_MAX}, run_node="c0/n0")
    builder.add_job("j", queue="a", requests={"cpu": 1})
    with np.errstate(all="raise"):
        decisions = schedule(builder.build())
    assert decisions.scheduled.job.tolist() == []
    assert decisions.explanations[0].nodes == {"unschedulable": 1, "overcommitted": 1}
    assert decisions.shares.before[0] == pytest.approx(2000 * AMOUNT_MAX / 2**33)


def test_an_amount_beyond_the_largest_is_refused_in_a_file_and_quarantined_in_columns() -> None:
    builder = pool()
    with pytest.raises(RoundError):
        builder.add_job("j", queue="a", requests={"memory": AMOUNT_MAX + 1})
    builder.intern_shape(shape_of(requests={"memory": AMOUNT_MAX + 1}, priority_class="default"))
    decisions = schedule(builder.build(jobs=columns([b"x"], [0], [0])))
    assert [each.reason for each in decisions.quarantined] == ["requests of memory is too large"]
