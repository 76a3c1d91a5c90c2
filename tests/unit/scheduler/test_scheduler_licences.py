"""Licences that change hands, as the leader sees it: the lease of the job that takes one displaces the run that loses
it, wherever that stands."""

import pytest

from app.domain.commands import BeginInstance, PreemptReason, ReportState
from app.scheduler import round_commands
from app.scheduler.displacing import due_preemptions
from app.scheduler.round_commands import RoundCommands
from app.settings.scheduler import PoolSettings, PriorityClassSettings, SchedulerSettings
from tests.unit.scheduler.partition import INSTANCE, begin, lease, leases, queues, report, run_id
from tests.unit.scheduler.world import SmallWorld, node, shape

ONE, TWO = (shape(cpu, priority_class="low", licence=count) for cpu, count in ((3000, 1), (2000, 2)))
LESS = shape(2000, priority_class="low", licence=1)


def made(licences: int, *, cpu: str = "4", **settings: int) -> SmallWorld:
    """Two clusters of one node each; every queue is above its protected fraction."""
    pool = PoolSettings(floating_resources={"licence": str(licences)}, protected_fraction_of_fair_share=0.0, **settings)
    low = PriorityClassSettings(priority=100, preemptible=True)
    world = SmallWorld(
        settings=SchedulerSettings(priority_classes={"low": low}, default_priority_class="low", pools={"default": pool})
    )
    world.step(
        0, queues("a", "b"), begin(1), *(BeginInstance(cluster=name, instance=INSTANCE) for name in ("c0", "c1"))
    )
    world.nodes("c0", node("n0", cpu=cpu))
    world.nodes("c1", node("n1", cpu="4"))
    for each in (ONE, TWO, LESS):
        world.add_shape(each)
    return world


def running(world: SmallWorld, *places: tuple[str, str]) -> list[bytes]:
    """Jobs of queue a that run there, each with a licence."""
    ids = world.submit(0, "a", len(places), shape=ONE, preemptible=True)
    runs = [run_id(number + 1) for number in range(len(places))]
    for job, run, (cluster, name) in zip(ids, runs, places, strict=True):
        world.step(0, leases(1, lease(job, run, node=name, cluster=cluster, priority=100)))
        world.step(0, report(job, run, ReportState.RUNNING, cluster=cluster))
    return ids


def test_a_run_that_loses_its_licence_is_displaced_by_a_lease_in_another_cluster() -> None:
    world = made(1)
    (loser,) = running(world, ("c0", "n0"))
    (taker,) = world.submit(0, "b", 1, shape=LESS, preemptible=True)
    commands = world.commands(world.prepare())
    (placed,) = commands.leases[0]
    assert (placed.lease.job_id, placed.lease.cluster) == (taker, "c1")
    assert [(each.run_id, each.reason) for each in placed.lease.displaced] == [(run_id(1), PreemptReason.FAIR_SHARE)]
    assert commands.preemptions == {}
    assert [(each.job_id, each.by, each.reason) for each in commands.preempted] == [(loser, taker, "FAIR_SHARE")]
    world.step(0, leases(1, placed.lease))
    due = due_preemptions(world.state, world.assumptions)
    assert [(each.job_id, each.by_job, each.reason) for each in due[0]] == [(loser, taker, PreemptReason.FAIR_SHARE)]
    prepared = world.prepare()
    assert world.commands(prepared) == RoundCommands(), "the licence is in use twice, and nobody pays for that"
    assert prepared.round.nodes.unschedulable.tolist() == [False, False], "nor does the node of the run that ends"


def test_a_run_that_loses_its_licence_is_displaced_though_its_node_has_room_for_both() -> None:
    world = made(1, cpu="5")
    running(world, ("c0", "n0"))
    world.submit(0, "b", 1, shape=LESS, preemptible=True)
    ((placed,),) = world.commands(world.prepare()).leases.values()
    assert placed.lease.cluster == "c0"
    assert [each.run_id for each in placed.lease.displaced] == [run_id(1)]


def test_nobody_takes_the_licence_of_a_run_whose_lease_is_not_decided() -> None:
    world = made(1)
    world.submit(0, "a", 1, shape=ONE, preemptible=True)
    assert world.assume() == 1
    world.submit(0, "b", 1, shape=LESS, preemptible=True)
    prepared = world.prepare()
    assert world.commands(prepared) == RoundCommands()


def test_a_lease_that_would_displace_too_many_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    world = made(2)
    losers = running(world, ("c0", "n0"), ("c1", "n1"))
    world.nodes("c1", node("n1", cpu="9"))
    world.submit(0, "b", 1, shape=TWO, preemptible=True)
    prepared = world.prepare()
    assert {each.job_id for each in world.commands(prepared).preempted} == set(losers)
    monkeypatch.setattr(round_commands, "DISPLACED_PER_LEASE_MAX", 1)
    assert world.commands(prepared) == RoundCommands()


def test_with_a_budget_for_balancing_licences_stay_where_they_are() -> None:
    world = made(1, fair_share_preemption_budget=9)
    running(world, ("c0", "n0"))
    world.submit(0, "b", 1, shape=LESS, preemptible=True)
    assert world.commands(world.prepare()) == RoundCommands()


def test_licences_beyond_the_pools_amount_are_given_back_without_a_lease() -> None:
    world = made(1)
    losers = running(world, ("c0", "n0"), ("c1", "n1"))
    ((preemption,),) = world.commands(world.prepare()).preemptions.values()
    assert preemption.job_id in losers
    assert (preemption.reason, preemption.by_job) == (PreemptReason.OVERCOMMITTED, None)
