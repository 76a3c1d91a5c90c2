"""What a session keeps between requests: reports, full requests, times to look again; and the lock of the cluster."""

import pytest

from app.executor.exits import ExecutorExit, ExitCode
from app.executor.held_runs import FullSchedule
from app.executor.kubernetes import ClusterUnavailableError, LockHeldError
from app.executor.lock import Lock, LockTimings
from app.executor.protocol import Report, ReportState
from app.executor.report_buffer import ReportBuffer
from app.executor.timings import Timings
from app.executor.wakes import Wakes
from tests.unit.executor.builders import an_id

TIME = "2026-11-24T07:00:00.000Z"


def a_report(run: int, state: ReportState = ReportState.RUNNING) -> Report:
    return Report(run_id=an_id(run), job_id=an_id(run), attempt=0, state=state, time=TIME)


def test_reports_are_kept_in_order_until_they_are_acknowledged() -> None:
    buffer = ReportBuffer()
    buffer.add([a_report(1, ReportState.PENDING), a_report(2), a_report(1)])
    batch = buffer.batch(2)
    assert [(report.run_id, report.state) for report in batch] == [(an_id(1), "PENDING"), (an_id(2), "RUNNING")]
    buffer.add([a_report(3)])
    assert buffer.batch(2) == batch
    buffer.drop(batch)
    assert [report.run_id for report in buffer.batch()] == [an_id(1), an_id(3)]


def test_beyond_its_bound_only_the_latest_report_of_each_run_is_kept() -> None:
    buffer = ReportBuffer(reports_max=4)
    buffer.add([a_report(1, ReportState.PENDING), a_report(2, ReportState.PENDING)])
    batch = buffer.batch(2)
    buffer.add([a_report(1), a_report(2), a_report(3)])
    assert [(report.run_id, report.state.value) for report in buffer.batch()] == [
        (an_id(1), "RUNNING"),
        (an_id(2), "RUNNING"),
        (an_id(3), "RUNNING"),
    ]
    assert buffer.superseded == 2
    buffer.drop(batch)
    assert len(buffer) == 3


def test_full_requests_are_due_at_start_on_need_and_every_so_often() -> None:
    schedule = FullSchedule(Timings(full_every_ms=1_000, full_retry_ms=100))
    assert schedule.is_due(0, needs_full=False)
    schedule.sent(0)
    assert not schedule.is_due(99, needs_full=True)
    assert schedule.is_due(100, needs_full=False)
    schedule.sent(100)
    schedule.answered(110)
    assert not schedule.is_due(1_109, needs_full=False)
    assert schedule.is_due(1_110, needs_full=False)
    assert schedule.is_due(200, needs_full=True)


def test_wakes_come_in_order_and_once() -> None:
    wakes = Wakes()
    wakes.add({"a": 30, "b": 10, "c": 20})
    wakes.add({"a": 5, "b": 40})
    wakes.drop(["c"])
    assert wakes.next_ms() == 5
    assert wakes.due(10) == {"a", "b"}
    assert wakes.next_ms() is None
    assert wakes.due(100) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"last_words_ms": -1},
        {"finished_keep_ms": 10, "last_words_ms": 20, "create_timeout_ms": 5},
        {"create_timeout_ms": 30_000},
    ],
)
def test_timings_that_break_a_rule_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        Timings(**wrong)


class OtherHolder:
    """A cluster whose lock somebody else holds, or that is away."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def hold_lock(self, holder: str, duration_ms: int) -> None:
        if self.error is not None:
            raise self.error

    async def release_lock(self, holder: str) -> None:
        if self.error is not None:
            raise self.error


class Ticks:
    """Monotonic time that advances with every look."""

    def __init__(self, step_ms: int = 0) -> None:
        self.now_ms = 0
        self.step_ms = step_ms

    def __call__(self) -> int:
        self.now_ms += self.step_ms
        return self.now_ms


LOCK = LockTimings(duration_ms=1_000, renew_every_ms=1, margin_ms=300, wait_ms=50)


def valid(lock: Lock) -> bool:
    """As it is now: a type checker takes a property for constant."""
    return lock.is_valid


async def test_a_lock_is_valid_until_its_margin_begins() -> None:
    clock = Ticks()
    lock = Lock(OtherHolder(), "me", LOCK, clock)  # type: ignore[arg-type]
    assert not valid(lock)
    await lock.acquire()
    clock.now_ms = 699
    assert valid(lock)
    clock.now_ms = 700
    assert not valid(lock)


async def test_a_second_executor_of_a_cluster_is_refused_clearly() -> None:
    lock = Lock(OtherHolder(LockHeldError("held by other")), "me", LOCK, Ticks(step_ms=10))  # type: ignore[arg-type]
    with pytest.raises(
        ExecutorExit, match="another executor runs for this cluster: its lock is held by other"
    ) as caught:
        await lock.acquire()
    assert caught.value.code is ExitCode.LOCK_HELD


async def test_an_executor_that_loses_the_lock_leaves() -> None:
    cluster = OtherHolder()
    lock = Lock(cluster, "me", LOCK, Ticks())  # type: ignore[arg-type]
    await lock.acquire()
    cluster.error = LockHeldError("held by other")
    with pytest.raises(ExecutorExit, match="was lost"):
        await lock.keep()
    assert not lock.is_valid


async def test_a_lock_that_cannot_be_given_back_runs_out() -> None:
    cluster = OtherHolder()
    lock = Lock(cluster, "me", LOCK, Ticks())  # type: ignore[arg-type]
    await lock.acquire()
    cluster.error = ClusterUnavailableError("away")
    await lock.release()
    assert not lock.is_valid


def test_a_lock_must_be_renewed_before_its_margin() -> None:
    with pytest.raises(ValueError, match="renewed"):
        LockTimings(duration_ms=1_000, renew_every_ms=800, margin_ms=300)
