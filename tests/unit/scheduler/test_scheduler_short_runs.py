"""Runs that ended soon after they began go on costing their queues for a while."""

import pytest
from msgspec.structs import replace

from app.domain.commands import (
    BeginInstance,
    CancelJobs,
    Preemption,
    PreemptReason,
    PreemptRuns,
    ReportState,
)
from app.scheduling.schedule import schedule
from app.settings.scheduler import PoolSettings, SchedulerSettings
from tests.unit.scheduler.partition import CHIEF, INSTANCE, begin, lease, leases, queues, report, run_id
from tests.unit.scheduler.world import SmallWorld, node, shape

CUTOFF_S = 60.0
BEGAN_MS = 2_000_000_000_000
TWO = shape(2000)


class Short:
    """A world with a cutoff in one of its pools, by the second."""

    def __init__(self, cutoff_s: float = CUTOFF_S) -> None:
        pools = {"default": PoolSettings(short_job_cutoff_s=cutoff_s), "other": PoolSettings()}
        self.world = SmallWorld(settings=SchedulerSettings(pools=pools))
        self.world.step(0, queues("a", "b"), begin(1), BeginInstance(cluster="c0", instance=INSTANCE))
        self.world.nodes("c0", node("n0", cpu="4"))
        self.world.add_shape(TWO)
        self.runs = 0

    def start(self, queue: str, at_s: int, *, pool: str = "default", running: bool = True) -> tuple[bytes, bytes]:
        """A job that runs since then; its id and its run's."""
        self.runs += 1
        (job,) = self.submit(queue, 1, at_s)
        self.at(at_s, leases(1, replace(lease(job, run_id(self.runs)), pool=pool)))
        if running:
            self.at(at_s, report(job, run_id(self.runs), ReportState.RUNNING))
        return job, run_id(self.runs)

    def submit(self, queue: str, count: int, at_s: int) -> list[bytes]:
        ids, command = self.world.partitions[0].submit(queue, count, shape=TWO, preemptible=True)
        self.at(at_s, command)
        return ids

    def finish(self, job: bytes, run: bytes, at_s: int) -> None:
        self.at(at_s, report(job, run, ReportState.SUCCEEDED))

    def at(self, at_s: int, *commands: object) -> None:
        self.world.step(0, *commands, log_time_ms=BEGAN_MS + 1000 * at_s)  # type: ignore[arg-type]

    def cpu(self, pool: str = "default") -> dict[str, int]:
        """Milli cpu that queues are charged for now."""
        round_ = self.world.prepare(pool).round
        return {queue.name: queue.penalty["cpu"] for queue in round_.queues if queue.penalty}


@pytest.fixture
def short() -> Short:
    return Short()


def test_a_run_that_ended_early_is_charged_until_the_cutoff_after_its_start(short: Short) -> None:
    first, second = short.start("a", 0), short.start("a", 30)
    short.finish(*first, at_s=2)
    assert short.cpu() == {"a": 2000}
    short.finish(*second, at_s=31)
    assert short.cpu() == {"a": 4000}
    short.at(61, queues("c"))
    assert short.cpu() == {"a": 2000}, "the first began more than a minute ago"
    short.at(91, queues("d"))
    assert short.cpu() == {}


def test_a_run_that_lasted_longer_is_not_charged(short: Short) -> None:
    job = short.start("a", 0)
    short.finish(*job, at_s=61)
    assert short.cpu() == {}


def test_preempted_runs_and_jobs_that_never_had_one_are_not_charged(short: Short) -> None:
    job, run = short.start("a", 0)
    preemption = Preemption(job_id=job, run_id=run, attempt=0, reason=PreemptReason.URGENCY)
    short.at(1, PreemptRuns(epoch=1, preemptions=(preemption,)))
    (queued,) = short.submit("b", 1, at_s=1)
    short.at(2, CancelJobs(principal=CHIEF, job_ids=(queued,)))
    assert short.world.state.jobs.slot(job) is None
    assert short.world.state.jobs.slot(queued) is None
    assert short.cpu() == {}


def test_a_cancelled_run_and_one_that_never_said_that_it_runs_are_charged(short: Short) -> None:
    job, _ = short.start("a", 0)
    short.at(1, CancelJobs(principal=CHIEF, job_ids=(job,)))
    assert short.cpu() == {"a": 2000}
    silent = short.start("b", 2, running=False)
    short.finish(*silent, at_s=3)
    assert short.cpu() == {"a": 2000, "b": 2000}


def test_pools_charge_for_their_own_runs_and_only_those_with_a_cutoff(short: Short) -> None:
    job = short.start("a", 0, pool="other")
    short.finish(*job, at_s=1)
    assert short.cpu() == {}
    assert short.cpu("other") == {}
    off = Short(cutoff_s=0.0)
    job = off.start("a", 0)
    off.finish(*job, at_s=1)
    assert off.cpu() == {}


def test_a_queue_of_short_jobs_waits_for_its_turn(short: Short) -> None:
    """Both want all of the node: the one that had two short runs just now gets its share only."""
    for at_s in (0, 1):
        short.finish(*short.start("a", at_s), at_s=at_s + 1)
    of_a, of_b = (short.submit(queue, 2, at_s=3) for queue in "ab")
    prepared = short.world.prepare()
    assert set(short.world.placed(prepared, schedule(prepared.round))) == set(of_b)
    short.at(70, queues("c"))
    assert set(short.world.round()) == {of_a[0], of_b[0]}
