"""Changed jobs: each change once and only when the history shows it, over lags, restarts and slow clients."""

import asyncio
from collections import defaultdict
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.coordinates import NOWHERE
from app.api.errors import ApiError
from app.api.service import changed_events
from app.api.service.job_changes import ChangesStep, JobChangesService
from app.api.tail.tail import Tail
from app.db.queries.job_filter import JobFilter
from app.domain.errors import ErrorCode
from app.domain.lifecycle import EventKind, JobState
from tests.unit.api.changing import COORDINATES, QUEUES, ChangingJobs, job_id_of
from tests.unit.api.memory_log import PARTITIONS, MemoryLog
from tests.unit.api.streaming import make_tail
from tests.unit.api.test_streams import running_tail

EVERYTHING = JobFilter()
RUNNING = JobFilter(states=(JobState.RUNNING,))


class Watcher:
    """A client: what it was told, and the rows as it sees them."""

    def __init__(self, jobs: ChangingJobs, wanted: JobFilter) -> None:
        self.wanted = wanted
        self.told: list[tuple[bytes, int, int]] = []
        self.seen: dict[bytes, JobState] = {}
        self.cursor: str | None = COORDINATES.changes_cursor([NOWHERE] * PARTITIONS)
        self.beats = 0
        self._jobs = jobs

    def take(self, step: ChangesStep) -> None:
        for row in step.changed:
            self.told.append((row.job_id, row.position.offset, row.position.ordinal))
            self.seen[row.job_id] = row.state
            assert self._jobs.rows[row.job_id].position >= row.position, "told before the history showed it"
        for row in step.left:
            self.seen.pop(row.job_id, None)
        self.cursor = COORDINATES.changes_cursor(step.places)
        self.beats += step.is_empty

    def go_on(self, error: ApiError) -> None:
        """After a stream that ended because the client was too slow."""
        if error.code is not ErrorCode.CONSUMER_TOO_SLOW:
            raise error
        self.cursor = str(error.details["cursor"])

    def is_right(self) -> bool:
        """It sees what a list would show."""
        rows = self._jobs.rows.values()
        right = {row.job_id: row.state for row in rows if not self.wanted.states or row.state in self.wanted.states}
        return self.seen == right

    async def watch(self, service: JobChangesService, until: "asyncio.Event | None" = None) -> None:
        """Takes steps until it sees everything, or until it is told to go."""
        async with asyncio.timeout(5), aclosing(service.changes(self.wanted, self.cursor)) as steps:
            async for step in steps:
                self.take(step)
                if until.is_set() if until is not None else step.caught_up and self.is_right():
                    return


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"),
            st.integers(0, 1),
            st.lists(st.integers(0, 2), max_size=3, unique=True),
            st.integers(1, 3),
            st.sampled_from([EventKind.RUNNING, EventKind.RUNNING, EventKind.CANCELLING]),
        ),
        st.tuples(st.just("show"), st.integers(0, 1), st.integers(1, 2)),
        st.just(("rest",)),
        st.just(("again",)),
        st.just(("restart",)),
    ),
    min_size=10,
    max_size=60,
)


@given(
    actions=ACTIONS,
    wanted=st.sampled_from([EVERYTHING, RUNNING]),
    small=st.booleans(),
    turns=st.sampled_from([1, 4, 12]),
)
@settings(max_examples=120, deadline=None)
def test_each_change_is_told_once_over_lags_lost_connections_and_restarts(
    actions: list[tuple[object, ...]], wanted: JobFilter, small: bool, turns: int
) -> None:
    asyncio.run(_drive(actions, wanted, small, turns))


async def _drive(actions: list[tuple[object, ...]], wanted: JobFilter, small: bool, turns: int) -> None:
    """A client follows; connection and API process are lost when the actions say so."""
    log = MemoryLog()
    jobs = ChangingJobs(log, turns=turns)
    watcher = Watcher(jobs, wanted)
    left = list(actions)
    while True:
        tail = make_tail(log, buffer_bytes_max=2_000 if small else 64 << 20)
        async with running_tail(tail):
            service = jobs.service(tail, interval_s=0)
            while left and left[0][0] != "restart":
                await _run(left, watcher, jobs, service)
            if left:
                del left[0]
                continue
            jobs.show_all()
            try:
                await watcher.watch(service)
            except ApiError as error:
                # A buffer of a few records loses who stood still: that is said, and never skipped.
                if not small:
                    raise
                watcher.go_on(error)
                continue
            break
    assert len(set(watcher.told)) == len(watcher.told), "a change was told twice"
    of_job: defaultdict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for job_id, *position in watcher.told:
        of_job[job_id].append((position[0], position[1]))
    assert all(positions == sorted(positions) for positions in of_job.values()), "a job went back"


async def _run(
    left: list[tuple[object, ...]], watcher: Watcher, jobs: ChangingJobs, service: JobChangesService
) -> None:
    """The actions up to the next lost connection, while the client watches."""
    gone = asyncio.Event()
    watching = asyncio.create_task(watcher.watch(service, gone))
    await asyncio.sleep(0)
    while left and left[0][0] not in ("restart", "again"):
        kind, *arguments = left.pop(0)
        if kind == "write":
            partition, numbers, records, event = arguments
            jobs.write(partition, numbers, records=records, kind=event)  # type: ignore[arg-type]
        elif kind == "show":
            jobs.show(*arguments)  # type: ignore[arg-type]
        for _ in range(40 if kind == "rest" else 6):
            await asyncio.sleep(0)
    if left and left[0][0] == "again":
        del left[0]
    watching.cancel()
    try:
        await watching
    except asyncio.CancelledError:
        pass
    except ApiError as error:
        watcher.go_on(error)


async def started(jobs: ChangingJobs, service: JobChangesService, wanted: JobFilter = EVERYTHING) -> Watcher:
    """A client that has taken the first step."""
    watcher = Watcher(jobs, wanted)
    async with aclosing(service.changes(wanted, None)) as steps:
        watcher.take(await anext(steps))
    return watcher


async def test_nothing_is_told_before_the_history_shows_it() -> None:
    log = MemoryLog()
    jobs = ChangingJobs(log)
    async with running_tail(make_tail(log)) as tail:
        service = jobs.service(tail, heartbeat_interval_s=0.01)
        async with asyncio.timeout(5), aclosing(service.changes(EVERYTHING, None)) as steps:
            assert (await anext(steps)).is_empty
            jobs.write(0, [1, 2])
            waiting = [await anext(steps) for _ in range(3)]
            assert all(step.is_empty for step in waiting)
            assert waiting[-1].lag_s is not None
            assert waiting[-1].lag_s > 0
            jobs.show(0)
            step = await anext(steps)
            while step.is_empty:
                step = await anext(steps)
            assert [row.job_id for row in step.changed] == [job_id_of(0, 1), job_id_of(0, 2)]
            assert step.lag_s == 0


async def test_a_job_that_leaves_the_filter_is_named_once() -> None:
    log = MemoryLog()
    jobs = ChangingJobs(log)
    for _ in range(3):
        jobs.write(1, [])
    jobs.write(1, [7])  # RUNNING, since it is the fourth command
    jobs.show_all()
    async with running_tail(make_tail(log)) as tail:
        service = jobs.service(tail)
        async with asyncio.timeout(5), aclosing(service.changes(RUNNING, None)) as steps:
            await anext(steps)
            jobs.write(1, [7])
            jobs.show(1)
            step = await anext(steps)
            assert (step.changed, [row.job_id for row in step.left]) == ([], [job_id_of(1, 7)])


async def test_many_who_want_alike_cost_one_query_a_step() -> None:
    log = MemoryLog()
    jobs = ChangingJobs(log)
    async with running_tail(make_tail(log)) as tail:
        service = jobs.service(tail, interval_s=0.02)
        streams = [service.changes(EVERYTHING, None) for _ in range(50)]
        for stream in streams:
            await anext(stream)
        jobs.write(2, [1, 2, 3])
        jobs.show(2)
        async with asyncio.timeout(5):
            steps = await asyncio.gather(*(anext(stream) for stream in streams))
        assert len(steps[0].changed) == 3
        assert all(step is steps[0] for step in steps)
        assert jobs.queries == 1
        for stream in streams:
            await stream.aclose()
        assert service.active == 0


async def test_a_filter_by_queue_asks_nothing_about_other_queues() -> None:
    log = MemoryLog()
    jobs = ChangingJobs(log)
    async with running_tail(make_tail(log)) as tail:
        service = jobs.service(tail, heartbeat_interval_s=0.01)
        async with asyncio.timeout(5), aclosing(service.changes(JobFilter(queues=(QUEUES[3],)), None)) as steps:
            before = await anext(steps)
            jobs.write(0, [1])
            jobs.show(0)
            step = await anext(steps)
            while step.places == before.places:
                step = await anext(steps)
        assert step.is_empty
        assert jobs.queries == 0


async def test_a_large_backlog_comes_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_events, "WINDOW_JOBS_MAX", 10)
    log = MemoryLog()
    jobs = ChangingJobs(log)
    async with running_tail(make_tail(log)) as tail:
        service = jobs.service(tail)
        watcher = await started(jobs, service)
        for at in range(20):
            jobs.write(at % PARTITIONS, [at * 8 + number for number in range(8)])
        jobs.show_all()
        sizes = []
        async with asyncio.timeout(5), aclosing(service.changes(EVERYTHING, watcher.cursor)) as steps:
            while not watcher.is_right():
                step = await anext(steps)
                sizes.append(len(step.changed))
                watcher.take(step)
        assert max(sizes) <= 10 + 8
        assert sum(sizes) == 160


async def test_who_fell_out_of_the_buffer_is_told_so_with_his_cursor() -> None:
    log = MemoryLog()
    jobs = ChangingJobs(log)
    async with running_tail(make_tail(log, buffer_bytes_max=4_000)) as tail:
        service = jobs.service(tail)
        async with asyncio.timeout(5), aclosing(service.changes(EVERYTHING, None)) as steps:
            first = await anext(steps)
            for _ in range(30):
                jobs.write(0, [1, 2])
            jobs.show_all()
            while tail.records_read < 30:
                await asyncio.sleep(0)
            with pytest.raises(ApiError) as failed:
                await anext(steps)
        assert failed.value.code is ErrorCode.CONSUMER_TOO_SLOW
        assert failed.value.details["cursor"] == COORDINATES.changes_cursor(first.places)


async def test_a_cursor_too_far_behind_is_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_events, "BACKLOG_BYTES_MAX", 10_000)
    log = MemoryLog()
    jobs = ChangingJobs(log)
    async with running_tail(make_tail(log, buffer_bytes_max=4_000)) as tail:
        watcher = await started(jobs, jobs.service(tail))
        for _ in range(60):
            jobs.write(0, [1, 2])
        jobs.show_all()
        while tail.records_read < 60:
            await asyncio.sleep(0)
        await refused(jobs, tail, watcher.cursor, ErrorCode.CURSOR_EXPIRED)


async def test_a_cursor_whose_events_are_gone_is_expired() -> None:
    log = MemoryLog()
    jobs = ChangingJobs(log)
    async with running_tail(make_tail(log)) as tail:
        watcher = await started(jobs, jobs.service(tail))
    for _ in range(600):
        jobs.write(0, [1])
    jobs.show_all()
    del log.records["argosy.events", 0][:20]
    async with running_tail(make_tail(log, buffer_bytes_max=4_000)) as tail:
        await refused(jobs, tail, watcher.cursor, ErrorCode.CURSOR_EXPIRED)


async def test_wrong_cursors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.service.job_changes.AHEAD_WAIT_S", 0.05)
    log = MemoryLog()
    jobs = ChangingJobs(log)
    jobs.write(0, [1])
    async with running_tail(make_tail(log)) as tail:
        first = await started(jobs, jobs.service(tail))
        assert first.cursor is not None
        places = COORDINATES.parse_changes_cursor(first.cursor, PARTITIONS, path="after")
        future = [places[0]._replace(reached=places[0].reached._replace(offset=1_000)), *places[1:]]
        for wrong in (
            "nonsense",
            first.cursor[:-4],
            COORDINATES.position({0: 1}),
            COORDINATES.changes_cursor(places[:2]),
            COORDINATES.changes_cursor(future),
        ):
            await refused(jobs, tail, wrong, ErrorCode.INVALID)


async def refused(jobs: ChangingJobs, tail: Tail, cursor: str | None, code: ErrorCode) -> None:
    with pytest.raises(ApiError) as failed:
        async with aclosing(jobs.service(tail).changes(EVERYTHING, cursor)) as steps:
            await anext(steps)
    assert failed.value.code is code, failed.value


async def test_no_more_streams_than_are_allowed() -> None:
    log = MemoryLog()
    jobs = ChangingJobs(log)
    async with running_tail(make_tail(log)) as tail:
        service = jobs.service(tail, streams_max=1)
        async with aclosing(service.changes(EVERYTHING, None)) as steps:
            await anext(steps)
            with pytest.raises(ApiError) as failed:
                await anext(service.changes(EVERYTHING, None))
        assert failed.value.code is ErrorCode.RATE_LIMITED
        assert service.active == 0


async def test_a_row_that_changes_while_it_is_read_is_told_by_its_later_event() -> None:
    log = MemoryLog()
    jobs = ChangingJobs(log, turns=200)
    async with running_tail(make_tail(log)) as tail:
        service = jobs.service(tail, interval_s=0)
        async with asyncio.timeout(5), aclosing(service.changes(EVERYTHING, None)) as steps:
            await anext(steps)
            jobs.write(0, [1, 2])
            jobs.show(0)
            reading = asyncio.ensure_future(anext(steps))
            while not jobs.queries:
                await asyncio.sleep(0)
            jobs.write(0, [1])
            jobs.show(0)
            told = [(row.job_id, row.position.offset) for row in (await reading).changed]
            told += [(row.job_id, row.position.offset) for row in (await anext(steps)).changed]
        assert told == [(job_id_of(0, 2), 0), (job_id_of(0, 1), 1)]
