"""The rounds of a pool one after the other: full and cheap ones, what they send and what they record."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from app.domain.commands import BeginInstance, LeaseJobs, PreemptRuns, ReportState
from app.domain.rounds import RoundRecord
from app.log.codec import decode
from app.log.producer import LogProducer, Sent
from app.log.topics import COMMANDS, ROUNDS
from app.scheduler import pool_loop
from app.scheduler.last_rounds import LastTokens
from app.scheduler.metrics import SchedulerMetrics
from app.scheduler.pool_loop import Leading, PoolLoop, Restrictions
from app.scheduler.pool_rules import pool_rules
from app.scheduler.publisher import FaultSwitch, FaultSwitches, Publisher
from app.settings.scheduler import LimiterSettings, PoolSettings, PriorityClassSettings, SchedulerSettings
from tests.unit.scheduler.partition import INSTANCE, begin, lease, leases, queues, report, run_id
from tests.unit.scheduler.world import SmallWorld, node, shape

SMALL, HUGE = shape(1000), shape(64_000)
NOBODY = Restrictions(frozenset(), frozenset())
CLASSES = {
    "argosy-default": PriorityClassSettings(priority=1000, preemptible=False),
    "low": PriorityClassSettings(priority=100, preemptible=True),
}


class MemoryLog:
    """A broker in memory: keeps what is sent and lets the partition decide it, when it is told to."""

    def __init__(self, world: SmallWorld) -> None:
        self._world = world
        self.commands: list[Any] = []
        self.rounds: list[RoundRecord] = []
        self._undecided: list[Any] = []

    async def enqueue(
        self, topic: str, partition: int, value: bytes, key: bytes | None = None
    ) -> "asyncio.Future[Sent]":
        done: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        done.set_result(await self.send(topic, partition, value, key))
        return done

    async def send(self, topic: str, partition: int, value: bytes, key: bytes | None = None) -> Sent:
        record = decode(value)
        if topic == ROUNDS:
            assert isinstance(record, RoundRecord)
            self.rounds.append(record)
            return Sent(len(self.rounds), 0)
        assert topic == COMMANDS
        self.commands.append(record)
        self._undecided.append(record)
        return Sent(self._world.partitions[partition].offset + len(self._undecided), 0)

    def decide(self) -> None:
        commands, self._undecided = self._undecided, []
        for command in commands:
            self._world.step(0, command)


class Loop:
    """A pool under a leader of epoch 1."""

    def __init__(self, executor: Executor, pool: PoolSettings | None = None) -> None:
        settings = SchedulerSettings(pools={"default": pool or PoolSettings()}, priority_classes=CLASSES)
        self.world = SmallWorld(settings=settings)
        self.world.step(0, queues("a", "b"), begin(1), BeginInstance(cluster="c0", instance=INSTANCE))
        for each in (SMALL, HUGE):
            self.world.add_shape(each)
        self.log = MemoryLog(self.world)
        jobs, off = self.world.state.jobs, FaultSwitch(False)
        producer = cast(LogProducer, self.log)
        publisher = Publisher(producer, 1, self.world.assumptions, jobs, 4, FaultSwitches(off, off))
        self.is_compiled = True
        self.inconsistent: list[tuple[bytes, int, str]] = []
        leading = Leading(
            epoch=1,
            assumptions=self.world.assumptions,
            publisher=publisher,
            metrics=SchedulerMetrics(CollectorRegistry()),
            new_id=self.world.new_run,
            executor=executor,
            is_compiled=lambda: self.is_compiled,
            inconsistent=lambda members, _: self.inconsistent.extend(members),
        )
        self.pool = PoolLoop("default", pool_rules(settings)["default"], self.world.world, leading)

    def round(self) -> float:
        """One round, decided at once; returns the pause it asks for."""
        pause_s = asyncio.run(self.pool.run_round(NOBODY))
        self.log.decide()
        return pause_s

    def leased(self) -> int:
        return sum(len(command.leases) for command in self.log.commands if isinstance(command, LeaseJobs))


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(max_workers=1) as made:
        yield made


@pytest.fixture(autouse=True)
def always_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is."""
    monkeypatch.setattr(pool_loop, "ALTERNATE_ABOVE_S", float("inf"))


@pytest.fixture
def alternating(always_full: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full rounds count as long ones."""
    monkeypatch.setattr(pool_loop, "ALTERNATE_ABOVE_S", 0.0)


def kinds(loop: Loop) -> list[str]:
    return [record.kind for record in loop.log.rounds]


def test_every_round_of_a_small_pool_is_full(executor: Executor) -> None:
    loop = Loop(executor)
    loop.world.nodes("c0", node("n0", cpu="4"))
    loop.world.submit(0, "a", 6)
    assert loop.round() > 0
    loop.world.submit(0, "a", 1)
    loop.round()
    assert kinds(loop) == ["full", "full"]
    assert loop.leased() == 4
    assert loop.pool.full_due_in_s() is None


@pytest.mark.usefixtures("alternating")
def test_between_full_rounds_stand_cheap_ones_that_look_at_what_came(executor: Executor) -> None:
    loop = Loop(executor)
    loop.world.nodes("c0", node("n0", cpu="4"))
    loop.world.submit(0, "a", 500, shape=HUGE)
    loop.round()
    assert loop.pool.full_due_in_s() is None, "nothing changed since"
    loop.pool._full_due_s += 1000.0
    loop.world.submit(0, "b", 1)
    loop.pool.changed()
    assert (loop.pool.full_due_in_s() or 0) > 900
    loop.round()
    loop.round()
    assert kinds(loop) == ["full", "cheap"], "and nothing when nothing came"
    full, cheap = loop.log.rounds
    assert (full.queued, full.considered > 0) == (500, True)
    assert (cheap.queued, len(cheap.placed), cheap.shares) == (501, 1, ())
    loop.pool._full_due_s = 0.0
    assert loop.pool.full_due_in_s() == 0.0
    loop.round()
    assert kinds(loop) == ["full", "cheap", "full"]
    assert loop.log.rounds[-1].queued == 500


@pytest.mark.usefixtures("alternating")
def test_resources_that_only_new_jobs_speak_of_bring_a_full_round_at_once(executor: Executor) -> None:
    loop = Loop(executor)
    loop.world.nodes("c0", node("n0", cpu="4"))
    loop.world.submit(0, "a", 5, shape=HUGE)
    loop.round()
    loop.pool._full_due_s += 1000.0
    strange = shape(1000, **{"example.com/licence": 1})  # type: ignore[arg-type]
    loop.world.add_shape(strange)
    loop.world.submit(0, "a", 1, shape=strange)
    loop.pool.changed()
    loop.round()
    loop.round()
    assert kinds(loop) == ["full", "full"]


def test_a_node_that_shrank_has_runs_preempted_at_once(executor: Executor) -> None:
    loop = Loop(executor)
    low = shape(2000, priority_class="low")
    loop.world.add_shape(low)
    loop.world.nodes("c0", node("n0", cpu="4"))
    loop.world.submit(0, "a", 2, shape=low, preemptible=True)
    loop.round()
    loop.round()
    loop.round()
    assert kinds(loop) == ["full", "full"], "nobody waits, nothing to decide"
    loop.world.nodes("c0", node("n0", cpu="2"))
    loop.round()
    command = loop.log.commands[-1]
    assert isinstance(command, PreemptRuns)
    assert [each.reason for each in loop.log.rounds[-1].preempted] == ["OVERCOMMITTED"]
    assert len(loop.world.state.stopping) == 1


def test_what_a_lease_displaces_stands_in_the_record_and_is_preempted_later(executor: Executor) -> None:
    loop = Loop(executor)
    world = loop.world
    low = shape(2000, priority_class="low")
    world.add_shape(low)
    world.nodes("c0", node("n0", cpu="4"))
    ids = world.submit(0, "a", 2, shape=low, preemptible=True)
    world.step(0, leases(1, *(lease(job, run_id(n + 1), priority=100) for n, job in enumerate(ids))))
    for number, job in enumerate(ids):
        world.step(0, report(job, run_id(number + 1), ReportState.RUNNING))
    (high,) = world.submit(0, "a", 1)
    loop.round()
    (record,) = loop.log.rounds
    assert [(each.by, each.reason, each.queue, each.node) for each in record.preempted] == [
        (high, "URGENCY", "a", "c0/n0")
    ]
    (command,) = loop.log.commands
    assert isinstance(command, LeaseJobs)
    assert [each.run_id for each in command.leases[0].displaced] == [record.preempted[0].run_id]


def test_tokens_of_queues_are_restored_and_used_up(executor: Executor) -> None:
    limiter = LimiterSettings(tokens_per_s=0.001, burst_tokens=9)
    loop = Loop(executor, PoolSettings(queue_limiter=limiter))
    loop.world.nodes("c0", node("n0", cpu="40"))
    loop.pool.restore_tokens(LastTokens(None, {"a": 2.0}, 0), 0.0)
    loop.world.submit(0, "a", 5)
    loop.world.submit(0, "b", 5)
    loop.round()
    assert loop.leased() == 7
    (record,) = loop.log.rounds
    assert record.queue_tokens["a"] == pytest.approx(0.0, abs=0.01)
    assert record.queue_tokens["b"] == pytest.approx(4.0, abs=0.01)
    assert loop.pool.limited


def test_a_gang_stands_in_one_record_with_all_its_leases(executor: Executor) -> None:
    loop = Loop(executor, PoolSettings())
    loop.world.nodes("c0", *(node(f"n{number:04}", cpu="1") for number in range(1_300)))
    loop.world.submit(0, "a", 100)
    loop.world.submit(0, "a", 600, gang=("g", 1_100))
    loop.world.submit(0, "a", 500, gang=("g", 1_100))
    loop.world.submit(0, "a", 100)
    loop.round()
    sizes = [len(command.leases) for command in loop.log.commands if isinstance(command, LeaseJobs)]
    assert sum(sizes) == 1_300
    assert max(sizes) == 1_100
    assert loop.world.state.counts()["leased"] == 1_300


def test_a_large_pool_does_not_wait_for_the_compiler(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_loop, "UNCOMPILED_MAX", 10)
    loop = Loop(executor)
    loop.world.nodes("c0", node("n0", cpu="4"))
    first = loop.world.submit(0, "a", 10)
    loop.world.submit(0, "b", 10)
    loop.is_compiled = False
    loop.round()
    loop.is_compiled = True
    loop.round()
    early, full = loop.log.rounds
    assert (early.kind, early.queued, {each.job_id for each in early.placed}) == ("cheap", 10, set(first[:4]))
    assert (full.kind, full.queued) == ("full", 16)
