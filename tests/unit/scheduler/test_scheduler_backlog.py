"""Cheap rounds: they offer what came and what may go, and decide as a full round without balancing would."""

import random
from typing import Any

import numpy as np
import pytest

from app.domain.commands import BeginInstance, CancelJobs, ReportState
from app.pods.shape import Shape
from app.scheduler.backlog import Backlog, backlog_of
from app.scheduler.job_columns import Watch
from app.scheduler.round_input import PreparedRound
from app.scheduling.round import Limiter
from app.scheduling.schedule import schedule
from app.settings.scheduler import PoolSettings, SchedulerSettings
from tests.unit.scheduler.partition import CHIEF, INSTANCE, begin, leases, queues, report
from tests.unit.scheduler.world import SmallWorld, node, shape

SMALL, BIG, HUGE = shape(1000), shape(3000), shape(64_000)


class Rounds:
    """A world with rounds of both kinds; leases are decided at once."""

    def __init__(self, **pool: Any) -> None:
        """`pool`: settings of the pool."""
        self.world = SmallWorld(settings=SchedulerSettings(pools={"default": PoolSettings(**pool)}))
        self.world.step(0, queues("a", "b"), begin(1), BeginInstance(cluster="c0", instance=INSTANCE))
        for each in (SMALL, BIG, HUGE):
            self.world.add_shape(each)
        self.watch: Watch = self.world.state.jobs.watch()
        self.backlog: Backlog | None = None
        self.offered: list[int] = []
        self.runs: dict[bytes, bytes] = {}

    def full(self, limiter: Limiter | None = None) -> set[bytes]:
        self.watch.take()
        prepared = self.world.prepare(limiter=limiter)
        decisions = schedule(prepared.round)
        self.backlog = backlog_of(prepared, decisions)
        return self.send(prepared)

    def cheap(self) -> set[bytes]:
        """The jobs that a cheap round places; `offered` counts those that it looks at."""
        backlog, changed = self.backlog, self.watch.take()
        assert backlog is not None
        prepared = self.world.prepare_cheap(
            lambda free, needs, _: backlog.offer(changed, free, needs, self.world.state.jobs)
        )
        self.offered.append(0 if prepared is None else prepared.queued)
        if prepared is None:
            return set()
        backlog.after(prepared, schedule(prepared.round), self.world.state.jobs)
        return self.send(prepared)

    def send(self, prepared: PreparedRound) -> set[bytes]:
        commands = self.world.commands(prepared)
        placed = [each.lease for some in commands.leases.values() for each in some]
        if placed:
            self.world.step(0, leases(1, *placed))
        self.runs.update({each.job_id: each.run_id for each in placed})
        return {each.job_id for each in placed}

    def finish(self, job: bytes) -> None:
        self.world.step(0, report(job, self.runs[job], ReportState.SUCCEEDED))


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


def test_a_job_that_came_and_fits_is_placed_without_looking_at_those_that_do_not(rounds: Rounds) -> None:
    world = rounds.world
    world.nodes("c0", node("n0", cpu="4"))
    world.submit(0, "a", 500, shape=HUGE)
    assert rounds.full() == set()
    (probe,) = world.submit(0, "b", 1, shape=SMALL)
    assert rounds.cheap() == {probe}
    assert rounds.offered == [1]
    assert rounds.cheap() == set()
    world.submit(0, "b", 100, shape=HUGE)
    assert rounds.cheap() == set()
    assert rounds.offered == [1, 0, 0], "it is known that this shape fits nowhere"


def test_room_that_comes_free_goes_to_the_first_that_wait_for_it(rounds: Rounds) -> None:
    world = rounds.world
    world.nodes("c0", node("n0", cpu="4"))
    first = world.submit(0, "a", 300, shape=SMALL)
    assert rounds.full() == set(first[:4])
    late = world.submit(0, "a", 2, shape=SMALL)
    assert rounds.cheap() == set()
    rounds.finish(first[1])
    assert rounds.cheap() == {first[4]}
    assert rounds.offered[-1] <= 3
    world.step(0, CancelJobs(principal=CHIEF, job_ids=tuple(first[5:])))
    for job in first[:1] + first[2:5]:
        rounds.finish(job)
    assert rounds.cheap() == set(late), "those that came after the full round wait behind the others, not for ever"


def test_a_new_node_takes_what_waits(rounds: Rounds) -> None:
    world = rounds.world
    world.nodes("c0", node("n0", cpu="1"))
    ids = world.submit(0, "a", 10, shape=BIG)
    assert rounds.full() == set()
    world.nodes("c0", node("n0", cpu="1"), node("n1", cpu="7"))
    assert rounds.cheap() == set(ids[:2])


def test_jobs_that_only_a_limiter_kept_back_are_offered_again(rounds: Rounds) -> None:
    world = rounds.world
    world.nodes("c0", node("n0", cpu="40"))
    ids = world.submit(0, "a", 30, shape=SMALL)
    assert rounds.full(Limiter(tokens=5, burst=5)) == set(ids[:5])
    assert rounds.cheap() == set(ids[5:])
    assert rounds.cheap() == set()


def test_a_job_that_a_full_round_met_behind_its_look_back_is_offered_once_by_the_next_cheap_one() -> None:
    rounds = Rounds(lookback=100)
    world = rounds.world
    world.nodes("c0", node("n0", cpu="4"))
    world.submit(0, "a", 500, shape=HUGE)
    probes = world.submit(0, "a", 5, shape=SMALL)
    gang = world.submit(0, "a", 2, shape=BIG, gang=("g", 2))
    assert rounds.full() == set(), "they stand behind 500 others"
    assert rounds.cheap() == set(probes[:4])
    assert rounds.offered == [7], "those of the shape that fits nowhere are not even looked at"
    assert rounds.cheap() == set()
    assert rounds.offered == [7, 0]
    for job in probes[:4]:
        rounds.finish(job)
    world.nodes("c0", node("n0", cpu="4"), node("n1", cpu="4"))
    assert rounds.cheap() == {probes[4], *gang}


def test_jobs_that_limits_kept_back_and_that_find_no_node_then_are_offered_once(rounds: Rounds) -> None:
    world = rounds.world
    world.nodes("c0", node("n0", cpu="10"))
    ids = world.submit(0, "a", 30, shape=SMALL)
    assert rounds.full(Limiter(tokens=5, burst=5)) == set(ids[:5])
    assert rounds.cheap() == set(ids[5:10])
    assert rounds.cheap() == set()
    assert rounds.offered == [25, 0]


def test_a_gang_is_offered_when_its_last_member_comes(rounds: Rounds) -> None:
    world = rounds.world
    world.nodes("c0", node("n0", cpu="4"))
    first = world.submit(0, "a", 2, shape=SMALL, gang=("g", 3))
    assert rounds.full() == set()
    rest = world.submit(0, "a", 1, shape=SMALL, gang=("g", 3))
    assert rounds.cheap() == {*first, *rest}


def test_a_gang_that_waits_is_offered_when_room_comes_free(rounds: Rounds) -> None:
    world = rounds.world
    world.nodes("c0", node("n0", cpu="4"))
    held = world.submit(0, "a", 3, shape=SMALL)
    assert rounds.full() == set(held)
    blocked = world.submit(0, "b", 1, shape=BIG)
    gang = world.submit(0, "a", 3, shape=SMALL, gang=("g", 3))
    assert rounds.full() == set()
    rounds.finish(held[0])
    rounds.finish(held[1])
    assert rounds.cheap() in ({*gang}, {*blocked})


@pytest.mark.parametrize("seed", range(8))
def test_jobs_of_one_shape_are_placed_as_full_rounds_would(seed: int) -> None:
    """The same life of two worlds, with cheap rounds in one and full rounds in the other."""
    generator = random.Random(seed)
    cheap, full = Rounds(), Rounds()
    for each in (cheap, full):
        each.world.nodes("c0", node("n0", cpu="6"), node("n1", cpu="5"))
        each.full()
    alive: list[bytes] = []
    for _ in range(30):
        step(generator, (cheap, full), alive, (SMALL,))
        placed = cheap.cheap()
        assert placed == full.full()
        alive.extend(sorted(placed))
    assert np.sum(cheap.offered) > 0


@pytest.mark.parametrize("seed", range(8))
def test_a_cheap_round_leaves_nothing_that_fits(seed: int) -> None:
    """A job that fits nowhere holds back its queue in a full round, and does not here; so who goes first may differ."""
    generator = random.Random(seed)
    rounds = Rounds()
    rounds.world.nodes("c0", node("n0", cpu="6"), node("n1", cpu="5"))
    rounds.full()
    alive: list[bytes] = []
    for _ in range(30):
        step(generator, (rounds,), alive, (SMALL, SMALL, BIG, HUGE))
        alive.extend(sorted(rounds.cheap()))
        assert len(schedule(rounds.world.prepare().round).scheduled) == 0


def step(generator: random.Random, worlds: tuple[Rounds, ...], alive: list[bytes], kinds: tuple[Shape, ...]) -> None:
    """Some jobs come, or one is done."""
    if generator.random() < 0.6 or not alive:
        name, count, kind = generator.choice("ab"), generator.randrange(1, 5), generator.choice(kinds)
        for each in worlds:
            each.world.submit(0, name, count, shape=kind)
    else:
        job = alive.pop(generator.randrange(len(alive)))
        for each in worlds:
            each.finish(job)
