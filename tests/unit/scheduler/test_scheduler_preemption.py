"""Preemption in two steps as the leader sees it: who is displaced, who holds, who is preempted when."""

import pytest
from msgspec.structs import replace

from app.domain.commands import BeginInstance, CancelJobs, Preemption, PreemptReason, PreemptRuns, ReportState
from app.domain.rows import PositionRow
from app.scheduler.displacing import due_preemptions
from app.scheduler.round_commands import RoundCommands
from app.settings.scheduler import PoolSettings, PriorityClassSettings, SchedulerSettings
from tests.unit.scheduler.partition import CHIEF, INSTANCE, begin, lease, leases, queues, report, run_id
from tests.unit.scheduler.world import SmallWorld, node, shape

CLASSES = {
    "low": PriorityClassSettings(priority=100, preemptible=True),
    "high": PriorityClassSettings(priority=900, preemptible=True),
    "firm": PriorityClassSettings(priority=900, preemptible=False),
}
SETTINGS = SchedulerSettings(priority_classes=CLASSES, default_priority_class="low")


@pytest.fixture
def world() -> SmallWorld:
    made = SmallWorld(settings=SETTINGS)
    made.step(0, queues("a", "b"), begin(1), BeginInstance(cluster="c0", instance=INSTANCE))
    made.nodes("c0", node("n0", cpu="4"))
    for each in (LOW, HIGH):
        made.add_shape(each)
    return made


LOW = shape(2000, priority_class="low")
HIGH = shape(3000, priority_class="high")


def running(world: SmallWorld, count: int, first_run: int = 1) -> list[bytes]:
    """Jobs of the low class that run on n0."""
    ids = world.submit(0, "a", count, shape=LOW, preemptible=True)
    world.step(
        0,
        leases(1, *(lease(job, run_id(first_run + n), priority=100) for n, job in enumerate(ids))),
        *(report(job, run_id(first_run + n), ReportState.RUNNING) for n, job in enumerate(ids)),
    )
    return ids


def test_a_lease_that_takes_the_room_of_runs_names_them_with_their_positions(world: SmallWorld) -> None:
    low = running(world, 2)
    (high,) = world.submit(0, "a", 1, shape=HIGH, preemptible=True)
    commands = world.commands(world.prepare())
    (placed,) = commands.leases[0]
    assert placed.lease.job_id == high
    assert placed.method == "urgencyPreemption"
    named = {
        position.run_id: (position.partition, position.offset, position.ordinal) for position in placed.lease.displaced
    }
    at = {run_id(n + 1): world.state.jobs.slot(job) for n, job in enumerate(low)}
    assert named == {
        run: (0, int(world.state.jobs.leased_offset[slot]), int(world.state.jobs.leased_ordinal[slot]))
        for run, slot in at.items()
    }
    assert commands.preemptions == {}
    assert {(each.job_id, each.by, each.reason) for each in commands.preempted} == {
        (job, high, "URGENCY") for job in low
    }


def test_a_lease_that_fits_beside_the_runs_names_nobody(world: SmallWorld) -> None:
    world.nodes("c0", node("n0", cpu="7"))
    running(world, 2)
    world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    (placed,) = world.commands(world.prepare()).leases[0]
    assert placed.lease.displaced == ()


def test_displaced_runs_hold_their_room_and_are_no_candidates_until_they_are_gone(world: SmallWorld) -> None:
    low = running(world, 2)
    (high,) = world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    commands = world.commands(world.prepare())
    send(world, commands)
    prepared = world.prepare()
    assert prepared.running == 1, "the job that displaces; the displaced only hold room"
    assert prepared.round.nodes.unschedulable.tolist() == [True], "in deficit: nothing new goes there"
    assert world.commands(prepared) == RoundCommands(), "and nothing is repaired"
    due = due_preemptions(world.state, world.assumptions)
    assert [(each.job_id, each.by_job, each.reason) for each in due[0]] == [
        (job, high, PreemptReason.FAIR_SHARE) for job in low
    ], "its class is more urgent, too; the round said what counted"
    assert {(each.job_id, each.by, each.reason) for each in commands.preempted} == {
        (job, high, "FAIR_SHARE") for job in low
    }
    assert high.hex() not in due[0][0].message
    world.step(0, PreemptRuns(epoch=1, preemptions=tuple(due[0])))
    assert world.state.jobs.slot(low[0]) is None
    assert len(world.state.stopping) == 2
    assert due_preemptions(world.state, world.assumptions) == {}
    assert world.prepare().round.nodes.unschedulable.tolist() == [True], "they are not gone yet"
    for number, job in enumerate(low):
        world.step(0, report(job, run_id(number + 1), ReportState.GONE))
    prepared = world.prepare()
    assert prepared.round.nodes.unschedulable.tolist() == [False]
    assert prepared.round.nodes.held.sum() == 0


def test_nothing_is_preempted_twice_while_it_is_on_its_way(world: SmallWorld) -> None:
    running(world, 2)
    world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    send(world, world.commands(world.prepare()))
    due = due_preemptions(world.state, world.assumptions)
    world.assumptions.end(0, [each.run_id for each in due[0]], 0.0)
    assert due_preemptions(world.state, world.assumptions) == {}


def test_a_displacing_job_that_is_cancelled_before_the_preemption_leaves_the_others_running(world: SmallWorld) -> None:
    low = running(world, 2)
    (high,) = world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    send(world, world.commands(world.prepare()))
    world.step(0, CancelJobs(principal=CHIEF, job_ids=(high,)))
    assert due_preemptions(world.state, world.assumptions) == {}
    prepared = world.prepare()
    assert prepared.running == 2
    assert all(world.state.jobs.slot(job) is not None for job in low)


def test_runs_that_an_assumed_lease_displaces_hold_their_room_too(world: SmallWorld) -> None:
    running(world, 2)
    world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    assert world.assume() == 1
    prepared = world.prepare()
    assert prepared.running == 1
    assert prepared.round.nodes.unschedulable.tolist() == [True]


def test_a_run_whose_lease_is_not_decided_yet_is_not_displaced(world: SmallWorld) -> None:
    world.submit(0, "a", 2, shape=LOW, preemptible=True)
    assert world.assume() == 2
    world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    assert world.commands(world.prepare()).leases == {}, "its position is not known"


def test_the_running_members_of_a_gang_are_preempted_with_the_one_that_is_displaced(world: SmallWorld) -> None:
    world.nodes("c0", node("n0", cpu="4"), node("n1", cpu="2"))
    gang = world.submit(0, "a", 3, shape=LOW, preemptible=True, gang=("g", 3))
    commands = world.commands(world.prepare())
    send(world, commands)
    for each in commands.leases[0]:
        world.step(0, report(each.lease.job_id, each.lease.run_id, ReportState.RUNNING))
    (high,) = world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    commands = world.commands(world.prepare())
    (placed,) = commands.leases[0]
    assert len(placed.lease.displaced) == 2
    assert commands.preemptions == {}, "the third member waits for the lease to be applied"
    assert {each.job_id for each in commands.preempted} == set(gang)
    send(world, commands)
    assert world.prepare().running == 1
    due = due_preemptions(world.state, world.assumptions)
    assert {each.job_id for each in due[0]} == set(gang)
    assert {each.by_job for each in due[0]} == {high}
    told = {each.job_id: each.reason for each in commands.preempted}
    assert {each.job_id: each.reason for each in due[0]} == told
    assert sorted(told.values()) == ["FAIR_SHARE", "GANG", "GANG"]


def test_rows_that_are_older_than_the_reason_are_judged_by_their_priorities(world: SmallWorld) -> None:
    low = running(world, 2)
    (high,) = world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    (placed,) = world.commands(world.prepare()).leases[0]
    older = tuple(replace(each, reason=None) for each in placed.lease.displaced)
    world.step(0, leases(1, replace(placed.lease, displaced=older)))
    due = due_preemptions(world.state, world.assumptions)
    assert [(each.job_id, each.by_job, each.reason) for each in due[0]] == [
        (job, high, PreemptReason.URGENCY) for job in low
    ]


def test_a_node_that_shrank_preempts_at_once_and_waits_for_no_lease(world: SmallWorld) -> None:
    low = running(world, 2)
    world.nodes("c0", node("n0", cpu="2"))
    commands = world.commands(world.prepare())
    assert commands.leases == {}
    (preemption,) = commands.preemptions[0]
    assert isinstance(preemption, Preemption)
    assert preemption.job_id in low
    assert (preemption.reason, preemption.by_job, preemption.message) == (PreemptReason.OVERCOMMITTED, None, "")


def test_jobs_that_are_not_preemptible_are_never_displaced(world: SmallWorld) -> None:
    firm = shape(2000, priority_class="firm")
    world.add_shape(firm)
    ids = world.submit(0, "a", 2, shape=firm)
    world.step(0, leases(1, *(lease(job, run_id(n + 1), priority=900) for n, job in enumerate(ids))))
    world.submit(0, "b", 1, shape=HIGH, preemptible=True)
    assert world.commands(world.prepare()) == RoundCommands()


def test_a_gang_is_leased_as_a_whole_or_not_at_all(world: SmallWorld) -> None:
    gang = world.submit(0, "a", 3, shape=LOW, preemptible=True, gang=("g", 3))
    assert world.commands(world.prepare()).leases == {}, "4 cpu take two members"
    world.nodes("c0", node("n0", cpu="4"), node("n1", cpu="4"))
    commands = world.commands(world.prepare())
    assert {each.lease.job_id for each in commands.leases[0]} == set(gang)
    assert len({each.gang for each in commands.leases[0]}) == 1
    prepared = world.prepare()
    world.step(0, CancelJobs(principal=CHIEF, job_ids=(gang[0],)))
    assert world.commands(prepared).leases == {}, "a member changed while the round was decided"


def send(world: SmallWorld, commands: RoundCommands) -> None:
    """The leases of a round are decided."""
    for partition, placed in commands.leases.items():
        world.step(partition, leases(1, *(each.lease for each in placed)))


def test_positions_are_kept_for_every_run(world: SmallWorld) -> None:
    running(world, 1)
    position = world.state.positions[0]
    assert isinstance(position, PositionRow)
    assert set(world.state.jobs.runs) == {run_id(1)}


def test_jobs_that_borrow_nodes_of_another_pool_are_its_tenants_and_go_first() -> None:
    pools = {"default": PoolSettings(away_pools=("lent",)), "lent": PoolSettings()}
    world = SmallWorld(settings=SchedulerSettings(priority_classes=CLASSES, default_priority_class="low", pools=pools))
    world.step(0, queues("a", "b"), begin(1))
    home, guest = (shape(2000, priority_class="low", pools=(pool,)) for pool in ("lent", "default"))
    for each in (guest, home):
        world.add_shape(each)
    world.nodes("c0", node("n0", cpu="2"), node("n1", cpu="4", pool="lent"))
    ids = world.submit(0, "a", 4, shape=guest, preemptible=True)
    commands = world.commands(world.prepare("default"))
    placed = {each.lease.job_id: (each.lease.node, each.lease.scheduled_at_priority) for each in commands.leases[0]}
    assert placed == {ids[0]: ("n0", 100), ids[1]: ("n1", -1), ids[2]: ("n1", -1)}
    send(world, commands)
    assert world.prepare("default").running == 3
    lent = world.prepare("lent")
    assert [queue.name for queue in lent.round.queues] == ["a", "b", "a (away)"]
    assert lent.running == 2
    world.submit(0, "a", 1, shape=home, preemptible=True)
    commands = world.commands(world.prepare("lent"))
    (lease_at_home,) = commands.leases[0]
    assert lease_at_home.lease.pool == "lent"
    assert [each.queue for each in commands.preempted] == ["a"]
    send(world, commands)
    borrowed = world.prepare("default")
    assert borrowed.running == 2, "the home run and the displaced one only hold room there"
