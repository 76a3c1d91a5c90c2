"""Round records: bounded, complete in numbers, and readable back; buckets and ids of the shell."""

import pytest

from app.domain.ids import format_id, time_ms_of
from app.domain.rounds import RoundRecord
from app.log.codec import decode, encode
from app.pods.shape import encode_shape, shape_hash
from app.scheduler import round_record
from app.scheduler.buckets import Bucket, QueueBuckets
from app.scheduler.pool_rules import DECISIONS_PER_ROUND_MAX, pool_rules
from app.scheduler.round_commands import PlacedLease
from app.scheduler.round_record import BLOCKED_MAX, RoundHeader, queue_shares, record_of
from app.scheduler.run_ids import RunIds
from app.scheduling.decisions import Decisions
from app.scheduling.round import Limiter
from app.scheduling.schedule import schedule
from app.settings.scheduler import LimiterSettings, PoolSettings, SchedulerSettings
from tests.unit.scheduler.partition import SHAPE, begin, queues
from tests.unit.scheduler.world import SmallWorld, node, shape

HEADER = RoundHeader(
    round_id=b"r" * 16,
    epoch=3,
    kind="full",
    started_ms=5,
    inputs={1: 9, 0: 4},
    undecided=[(0, 5)],
    config_hash="abc",
    timings_us={"schedule": 7},
)


@pytest.fixture
def world() -> SmallWorld:
    made = SmallWorld()
    made.step(0, queues("a", "b"), begin(1))
    made.nodes("c0", node("n0", cpu="2"))
    return made


def decided(world: SmallWorld, *, shares: bool = True) -> tuple[RoundRecord, Decisions, list[PlacedLease]]:
    prepared = world.prepare()
    decisions = schedule(prepared.round)
    commands = world.commands(prepared, decisions)
    placed = [each for some in commands.leases.values() for each in some]
    told = queue_shares(prepared.round, decisions) if shares else ()
    return record_of(HEADER, prepared, decisions, commands, told), decisions, placed


def test_a_record_says_what_was_placed_and_what_was_not(world: SmallWorld) -> None:
    ids = world.submit(0, "a", 5)
    record, _, placed = decided(world)
    assert decode(encode(record)) == record
    assert [(offset.partition, offset.offset) for offset in record.inputs] == [(0, 4), (1, 9)]
    assert [(offset.partition, offset.offset) for offset in record.undecided] == [(0, 5)]
    assert [(each.job_id, each.cluster, each.node, each.queue, each.method) for each in record.placed] == [
        (job, "c0", "n0", "a", "free") for job in ids[:2]
    ]
    assert [each.run_id for each in record.placed] == [each.lease.run_id for each in placed]
    (blocked,) = record.blocked
    assert (blocked.queue, blocked.jobs, blocked.example, blocked.reason) == ("a", 3, ids[2], "noNodeFits")
    assert blocked.shape_hash == shape_hash(encode_shape(SHAPE))
    assert [(each.reason, each.nodes) for each in blocked.nodes] == [("insufficient cpu", 1)]
    assert blocked.shortfall == {"cpu": "1"}
    assert (record.queued, record.running, record.nodes, record.limiter_tokens) == (5, 0, 1, None)


def test_shares_stand_in_the_record_when_they_are_asked_for(world: SmallWorld) -> None:
    world.submit(0, "a", 1)
    world.submit(0, "b", 3)
    record, _, _ = decided(world)
    assert [(share.queue, share.fair_share) for share in record.shares] == [("a", 0.5), ("b", 0.5)]
    assert decided(world, shares=False)[0].shares == ()


def test_offenders_are_counted_with_their_reasons(world: SmallWorld) -> None:
    foreign, late = shape(priority_class="gone"), shape(3)
    world.add_shape(foreign)
    ids = world.submit(0, "a", 2, shape=foreign)
    world.submit(0, "b", 4, shape=late)
    world.nodes("c9", node("bad", cpu="??"))
    record, _, _ = decided(world)
    found = {(each.reason, each.jobs, sum(count.nodes for count in each.nodes)) for each in record.quarantined}
    assert found == {
        ("unknown priority class 'gone'", 2, 0),
        ("a quantity cannot be read", 0, 1),
        ("parked: unknown shape", 4, 0),
    }
    assert record.quarantined[0].example == ids[0]
    assert decode(encode(record)) == record


def test_blocked_jobs_are_bounded_and_the_most_numerous_come_first(world: SmallWorld) -> None:
    world.nodes("c0", node("n0", cpu="1m"))
    for index in range(BLOCKED_MAX + 50):
        each = shape(1000 + index)
        world.add_shape(each)
        world.submit(0, "a", 1 + (index == 700), shape=each)
    record, _, _ = decided(world)
    assert len(record.blocked) == BLOCKED_MAX
    assert record.blocked[0].jobs == 2


def test_in_a_large_pool_each_round_explains_some_of_what_is_blocked(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_record, "EXPLAINED_NODES_MAX", 1)
    for index in range(12):
        each = shape(5000 + index)
        world.add_shape(each)
        world.submit(0, "a", 1, shape=each)
    prepared = world.prepare()
    decisions = schedule(prepared.round)
    explained = []
    for turn in range(3):
        record = record_of(HEADER, prepared, decisions, world.commands(prepared, decisions), (), None, turn)
        assert len(record.blocked) == 12
        explained.append({each.example for each in record.blocked if each.nodes})
    assert [len(each) for each in explained] == [5, 5, 5]
    assert len(set.union(*explained)) == 12


def test_leases_carry_what_the_queue_agent_checks(world: SmallWorld) -> None:
    (job,) = world.submit(0, "a", 1)
    _, _, placed = decided(world)
    lease = placed[0].lease
    assert (lease.job_id, lease.attempt, lease.pool, lease.scheduled_at_priority) == (job, 0, "default", 1000)


def test_tokens_of_the_pool_and_of_queues_bound_a_round(world: SmallWorld) -> None:
    world.nodes("c0", node("n0", cpu="50"))
    world.submit(0, "a", 5)
    world.submit(0, "b", 5)
    prepared = world.prepare(limiter=Limiter(tokens=3, burst=9))
    decisions = schedule(prepared.round)
    assert len(decisions.scheduled) == 3
    assert decisions.tokens == 0
    limited = world.prepare(queue_limiters={"a": Limiter(tokens=1, burst=9)})
    assert len(schedule(limited.round).scheduled) == 6


def test_a_bucket_fills_by_time_up_to_its_burst() -> None:
    bucket = Bucket.full(LimiterSettings(tokens_per_s=2.0, burst_tokens=10), 100.0)
    assert bucket.limiter(100.0) == Limiter(tokens=10.0, burst=10.0)
    bucket.left(1.0)
    assert bucket.limiter(103.0).tokens == 7.0
    assert bucket.limiter(103.0).tokens == 7.0
    assert bucket.limiter(102.0).tokens == 7.0
    assert bucket.limiter(1000.0).tokens == 10.0


def test_buckets_of_queues_come_and_go_with_them() -> None:
    assert QueueBuckets(None).limiters(["a"], 0.0) == {}
    buckets = QueueBuckets(LimiterSettings(tokens_per_s=1.0, burst_tokens=4))
    assert buckets.limiters(["a", "b"], 0.0)["a"].tokens == 4.0
    buckets.left("a", 0.0)
    buckets.left("unknown", 0.0)
    assert buckets.limiters(["a"], 1.0) == {"a": Limiter(tokens=1.0, burst=4.0)}


def test_tokens_of_queues_stand_in_the_record_and_are_taken_up_by_the_next_leader(world: SmallWorld) -> None:
    world.nodes("c0", node("n0", cpu="50"))
    world.submit(0, "a", 3)
    prepared = world.prepare(queue_limiters={"a": Limiter(tokens=5, burst=9)})
    record = record_of(HEADER, prepared, schedule(prepared.round), world.commands(prepared), ())
    assert record.queue_tokens == {"a": 2.0}
    assert decode(encode(record)) == record
    buckets = QueueBuckets(LimiterSettings(tokens_per_s=1.0, burst_tokens=9))
    buckets.restore(record.queue_tokens, 100.0)
    assert buckets.limiters(["a", "b"], 102.0) == {
        "a": Limiter(tokens=4.0, burst=9.0),
        "b": Limiter(tokens=9.0, burst=9.0),
    }


def test_a_round_is_bounded_even_when_the_settings_name_no_budget() -> None:
    rules = pool_rules(SchedulerSettings(pools={"p": PoolSettings(), "q": PoolSettings(decision_budget=5)}))
    assert rules["p"].config.decision_budget == DECISIONS_PER_ROUND_MAX
    assert rules["q"].config.decision_budget == 5
    assert rules["p"].config_hash != rules["q"].config_hash
    assert rules["p"].config_hash == pool_rules(SchedulerSettings(pools={"p": PoolSettings()}))["p"].config_hash


def test_ids_are_ulids_of_the_given_time_and_randomness() -> None:
    ids = RunIds(clock_ms=lambda: 1_790_000_000_123, random=lambda length: b"\7" * length)
    value = ids()
    assert time_ms_of(value) == 1_790_000_000_123
    assert value[6:] == b"\7" * 10
    assert len(format_id(RunIds()())) == 26
