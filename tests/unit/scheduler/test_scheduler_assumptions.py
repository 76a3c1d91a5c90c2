"""Decisions that are on their way hold until their partition has decided them, and bound what is sent to a partition
that does not answer."""

from app.log.codec import decode
from app.scheduler.assumptions import OUTSTANDING_LEASES_MAX, STUCK_AFTER_S, Assumed, Assumptions, assumed_of
from app.scheduler.job_columns import JobColumns
from app.scheduler.state import State
from tests.unit.scheduler.partition import lease, run_id

WHERE = Assumed(run_id=run_id(1), pool=0, cluster=0, node=0, scheduled_at_priority=5)
A, B = b"ja", b"jb"


def test_a_lease_is_assumed_from_the_decision_until_the_position_passes_its_command() -> None:
    assumptions = Assumptions()
    command = assumptions.lease(0, [(A, WHERE), (B, WHERE)], 0.0)
    assert assumptions.jobs == {A: WHERE, B: WHERE}
    assert assumptions.undecided() == []
    assert not assumptions.advanced(0, 4, 0.1)
    assumptions.acknowledged(command, 6)
    assert assumptions.undecided() == [(0, 6)]
    assert not assumptions.advanced(0, 5, 0.2)
    assert assumptions.jobs.keys() == {A, B}
    assert assumptions.advanced(0, 6, 0.3)
    assert assumptions.jobs == {}
    assert assumptions.undecided() == []


def test_a_command_that_was_decided_before_the_broker_answered_ends_with_the_answer() -> None:
    assumptions = Assumptions()
    command = assumptions.lease(0, [(A, WHERE)], 0.0)
    assumptions.advanced(0, 9, 0.1)
    assert assumptions.jobs == {A: WHERE}
    assumptions.acknowledged(command, 7)
    assert assumptions.jobs == {}


def test_partitions_end_their_own_assumptions_only() -> None:
    assumptions = Assumptions()
    assumptions.acknowledged(assumptions.lease(0, [(A, WHERE)], 0.0), 1)
    assumptions.acknowledged(assumptions.lease(1, [(B, WHERE)], 0.0), 1)
    assert assumptions.advanced(1, 5, 0.0)
    assert assumptions.jobs == {A: WHERE}


def test_later_commands_outlive_earlier_ones() -> None:
    assumptions = Assumptions()
    first, second = assumptions.lease(0, [(A, WHERE)], 0.0), assumptions.lease(0, [(B, WHERE)], 0.0)
    assumptions.acknowledged(second, 3)
    assumptions.acknowledged(first, 2)
    assumptions.advanced(0, 2, 0.0)
    assert assumptions.jobs == {B: WHERE}
    assert assumptions.undecided() == [(0, 3)]


def test_a_partition_is_closed_when_its_oldest_command_waits_and_it_does_not_move() -> None:
    assumptions = Assumptions()
    assert not assumptions.closed(0, 1e9)
    assumptions.acknowledged(assumptions.command(0, 100.0), 5)
    assert not assumptions.closed(0, 100.0 + STUCK_AFTER_S)
    assert assumptions.closed(0, 100.1 + STUCK_AFTER_S)
    assert not assumptions.closed(1, 1e9)


def test_a_partition_that_works_through_its_backlog_stays_open() -> None:
    assumptions = Assumptions()
    assumptions.acknowledged(assumptions.command(0, 100.0), 500)
    assumptions.advanced(0, 20, 104.0)
    assert not assumptions.closed(0, 108.0)
    assert assumptions.closed(0, 104.1 + STUCK_AFTER_S)
    assumptions.advanced(0, 500, 120.0)
    assert not assumptions.closed(0, 1e9)


def test_a_partition_with_too_many_leases_on_their_way_is_closed_until_some_are_decided() -> None:
    assumptions = Assumptions()
    half = [(b"j%d" % index, WHERE) for index in range(OUTSTANDING_LEASES_MAX // 2)]
    assumptions.acknowledged(assumptions.lease(0, half, 0.0), 1)
    assert not assumptions.closed(0, 0.1)
    assumptions.acknowledged(assumptions.lease(0, [(b"k" + key, where) for key, where in half], 0.0), 2)
    assert assumptions.closed(0, 0.1)
    assumptions.advanced(0, 1, 0.2)
    assert not assumptions.closed(0, 0.2)


def test_an_expiry_is_not_sent_again_while_it_is_on_its_way() -> None:
    assumptions = Assumptions()
    command = assumptions.end(0, [run_id(1), run_id(2)], 0.0)
    assert assumptions.ending_runs == {run_id(1), run_id(2)}
    assumptions.acknowledged(command, 3)
    assumptions.advanced(0, 3, 0.0)
    assert assumptions.ending_runs == set()


def test_leases_of_a_command_become_assumptions_in_the_numbers_of_the_columns() -> None:
    jobs: JobColumns = State(1, decode).jobs
    ((key, assumed),) = assumed_of([lease(bytes(16), run_id(3), node="n7", cluster="c2")], jobs)
    assert key == b"j" + bytes(16)
    assert assumed.run_id == run_id(3)
    assert jobs.nodes.name_of(assumed.node) == "c2/n7"
    assert jobs.clusters.name_of(assumed.cluster) == "c2"
    assert jobs.pools.name_of(assumed.pool) == "default"
