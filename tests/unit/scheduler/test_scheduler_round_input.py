"""The round that is made of the state of the world: who is offered, what holds room."""

from typing import Any

import numpy as np
import pytest

from app.domain.commands import BeginInstance, CancelJobs, ExpireKind, ExpireRuns, Expiry, ReportState
from app.domain.ids import format_id
from app.pods.shape import encode_shape
from app.scheduling.schedule import schedule
from app.settings.scheduler import PoolSettings, SchedulerSettings
from tests.unit.scheduler.partition import CHIEF, INSTANCE, begin, lease, leases, queues, report, run_id
from tests.unit.scheduler.world import SmallWorld, node, shape


@pytest.fixture
def world() -> SmallWorld:
    made = SmallWorld()
    made.step(0, queues("a", "b"), begin(1), BeginInstance(cluster="c0", instance=INSTANCE))
    made.nodes("c0", node("n0", cpu="4"))
    return made


def test_waiting_jobs_are_placed_on_nodes_by_cluster_and_name(world: SmallWorld) -> None:
    ids = world.submit(0, "a", 3)
    assert world.round() == dict.fromkeys(ids, "c0/n0")
    prepared = world.prepare()
    assert (prepared.queued, prepared.running) == (3, 0)
    assert [prepared.round.jobs.name(index) for index in range(3)] == [format_id(each) for each in ids]


def test_runs_of_live_jobs_and_foreign_pods_hold_room(world: SmallWorld) -> None:
    ids = world.submit(0, "a", 5)
    world.step(0, leases(1, lease(ids[0], run_id(1)), lease(ids[1], run_id(2))))
    assert len(world.round()) == 2
    world.nodes("c0", node("n0", cpu="4", foreign={"cpu": "1500m"}))
    assert len(world.round()) == 0
    world.nodes("c0", node("n0", cpu="4", foreign={"cpu": "1"}))
    assert len(world.round()) == 1


def test_a_run_that_we_ended_holds_room_until_it_is_gone_and_its_job_is_not_offered(world: SmallWorld) -> None:
    ids = world.submit(0, "a", 5)
    world.step(0, leases(1, *(lease(job, run_id(10 + n)) for n, job in enumerate(ids[:4]))))
    expiry = Expiry(job_id=ids[0], run_id=run_id(10), attempt=0, kind=ExpireKind.UNREPORTED)
    world.step(0, ExpireRuns(epoch=1, expiries=(expiry,)), CancelJobs(principal=CHIEF, job_ids=(ids[1],)))
    prepared = world.prepare()
    assert prepared.queued == 1
    assert prepared.parked == {"a run is stopping": 1}
    cpu = prepared.round.resources.columns["cpu"]
    assert prepared.round.nodes.held[0, cpu] == 2000
    assert world.round() == {}
    world.step(0, report(ids[1], run_id(11), ReportState.GONE))
    assert list(world.round()) == [ids[4]]
    world.step(0, report(ids[0], run_id(10), ReportState.GONE))
    assert set(world.round()) == {ids[0], ids[4]}


def test_a_finished_run_holds_no_room(world: SmallWorld) -> None:
    ids = world.submit(0, "a", 6)
    world.step(0, leases(1, *(lease(job, run_id(10 + n)) for n, job in enumerate(ids[:4]))))
    assert world.round() == {}
    world.step(0, report(ids[0], run_id(10), ReportState.SUCCEEDED))
    assert list(world.round()) == [ids[4]]


def test_assumed_leases_hold_room_and_are_not_offered_again(world: SmallWorld) -> None:
    world.submit(0, "a", 6)
    assert world.assume() == 4
    prepared = world.prepare()
    assert (prepared.queued, prepared.running) == (2, 4)
    assert world.assume() == 0
    assert prepared.round.clusters[0].unacknowledged == 4


def test_an_assumption_and_its_decided_lease_do_not_count_twice(world: SmallWorld) -> None:
    ids = world.submit(0, "a", 6)
    assert world.assume() == 4
    world.step(0, leases(1, *(lease(job, run_id(10 + n)) for n, job in enumerate(ids[:4]))))
    prepared = world.prepare()
    assert (prepared.queued, prepared.running) == (2, 4)
    assert prepared.round.clusters[0].unacknowledged == 4


def test_a_node_of_an_earlier_attempt_is_avoided(world: SmallWorld) -> None:
    (job,) = world.submit(0, "a", 1)
    world.step(0, leases(1, lease(job, run_id(1))))
    world.step(0, report(job, run_id(1), ReportState.RETURNED))
    assert world.round() == {}
    world.nodes("c1", node("n0"))
    assert world.round() == {job: "c1/n0"}


def test_jobs_of_an_unknown_shape_are_parked_and_their_nodes_take_nothing(world: SmallWorld) -> None:
    late = shape(2000)
    ids = world.submit(0, "a", 2, shape=late)
    others = world.submit(0, "a", 1)
    assert world.prepare().parked == {"unknown shape": 2}
    assert list(world.round()) == others
    world.step(0, leases(1, lease(ids[0], run_id(1))))
    assert world.round() == {}, "what the run holds is not known"
    world.add_shape(late)
    assert set(world.round()) == {ids[1]} or set(world.round()) == {ids[1], *others}


def test_closed_partitions_and_silent_clusters_get_nothing_new() -> None:
    world = SmallWorld(partitions=2)
    for partition in range(2):
        world.step(partition, queues(f"q{partition}"), begin(1))
    world.nodes("c0", node("n0"))
    world.nodes("c1", node("n0"))
    zero, one = world.submit(0, "q0", 1), world.submit(1, "q1", 1)
    assert set(world.round()) == {*zero, *one}
    assert set(world.round(closed=frozenset({0}))) == set(one)  # type: ignore[arg-type]
    assert set(world.round(idle=frozenset({"c0"})).values()) == {"c1/n0"}
    assert world.round(idle=frozenset({"c0", "c1"})) == {}
    assert world.prepare(closed=frozenset({0})).parked == {"partition does not answer": 1}


def test_a_cluster_with_too_many_unreported_runs_takes_no_more() -> None:
    world = SmallWorld(settings=SchedulerSettings(unacknowledged_runs_max=2))
    world.step(0, queues("a"), begin(1))
    world.nodes("c0", node("n0", cpu="10"))
    ids = world.submit(0, "a", 5)
    assert world.assume() == 2
    assert world.round() == {}
    world.step(0, leases(1, lease(ids[0], run_id(1)), lease(ids[1], run_id(2))))
    assert world.round() == {}


def test_pools_have_their_own_nodes_and_jobs_go_where_they_may() -> None:
    world = SmallWorld(settings=SchedulerSettings(pools={"default": PoolSettings(), "gpu": PoolSettings()}))
    world.step(0, queues("a"), begin(1))
    world.nodes("c0", node("n0", cpu="1"), node("g0", cpu="2", pool="gpu"), node("x0", pool="elsewhere"))
    only_gpu, anywhere = shape(pools=("gpu",)), shape(1000, memory=1 << 21)
    for each in (only_gpu, anywhere):
        world.add_shape(each)
    bound, free = world.submit(0, "a", 1, shape=only_gpu), world.submit(0, "a", 1, shape=anywhere)
    assert world.round("default") == dict.fromkeys(free, "c0/n0")
    assert world.round("gpu") == dict.fromkeys((*bound, *free), "c0/g0")
    assert world.assume("default") == 1
    assert world.round("gpu") == dict.fromkeys(bound, "c0/g0")


def test_a_resource_that_no_node_has_makes_its_jobs_wait_and_others_go_on(world: SmallWorld) -> None:
    licence: dict[str, Any] = {"example.com/licence": 1}
    strange = shape(1000, **licence)
    world.add_shape(strange)
    world.submit(0, "a", 1, shape=strange)
    others = world.submit(0, "a", 1)
    assert set(world.round()) == set(others)
    prepared = world.prepare()
    decisions = schedule(prepared.round)
    assert decisions.explanations[0].nodes == {"insufficient example.com/licence": 1}


def test_too_many_resources_park_the_jobs_that_name_them(world: SmallWorld) -> None:
    for index in range(100):
        another: dict[str, Any] = {f"example.com/r{index}": 1}
        strange = shape(1000, **another)
        world.add_shape(strange)
        world.submit(0, "a", 1, shape=strange)
    others = world.submit(0, "a", 1)
    assert set(world.round()) == set(others)


def test_a_class_that_the_settings_do_not_have_is_quarantined(world: SmallWorld) -> None:
    foreign = shape(priority_class="gone")
    world.add_shape(foreign)
    world.submit(0, "a", 1, shape=foreign)
    decisions = schedule(world.prepare().round)
    assert [each.reason for each in decisions.quarantined] == ["unknown priority class 'gone'"]


def test_nodes_are_built_again_only_when_one_changed(world: SmallWorld) -> None:
    world.submit(0, "a", 1)
    first, second = world.prepare().round.nodes, world.prepare().round.nodes
    assert first is second
    world.nodes("c0", node("n0", cpu="4"), node("n1"))
    assert world.prepare().round.nodes.names == ("c0/n0", "c0/n1")


def test_a_node_with_an_unreadable_quantity_is_left_out_and_named(world: SmallWorld) -> None:
    world.nodes("c1", node("bad", cpu="many"), node("good"))
    prepared = world.prepare()
    assert prepared.unreadable_nodes == ("c1/bad",)
    assert prepared.round.nodes.names == ("c0/n0", "c1/good")


def test_what_a_round_holds_does_not_change_with_the_columns(world: SmallWorld) -> None:
    world.submit(0, "a", 3)
    prepared = world.prepare()
    before = {name: np.array(getattr(prepared.round.jobs, name)) for name in ("id", "queue", "priority", "submitted")}
    world.step(0, CancelJobs(principal=CHIEF, job_ids=tuple(world.state.jobs.job_id(s) for s in range(3))))
    world.submit(0, "b", 3, priority=5)
    for name, column in before.items():
        assert np.array_equal(getattr(prepared.round.jobs, name), column)


def test_leases_of_jobs_that_changed_during_the_round_are_not_sent(world: SmallWorld) -> None:
    ids = world.submit(0, "a", 3)
    prepared = world.prepare()
    decisions = schedule(prepared.round)
    world.step(0, CancelJobs(principal=CHIEF, job_ids=(ids[0],)), leases(1, lease(ids[1], run_id(1))))
    assert set(world.placed(prepared, decisions)) == {ids[2]}


def test_shapes_that_cannot_be_read_are_refused(world: SmallWorld) -> None:
    with pytest.raises(ValueError, match="not a shape"):
        world.shapes.add(bytes(16), encode_shape(shape())[:-5])
