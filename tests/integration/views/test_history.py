"""What the history answers equals a plain fold of the events, for jobs, runs, errors, job sets, pages and streams."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

import pytest

from agents.views.history import VIEW
from agents.views.leases import VIEW as LEASES
from app.db.database import Database
from app.db.errors import TooMuchMatched
from app.db.names import job_set_id
from app.db.queries.job_count import count_estimate
from app.db.queries.job_filter import JOB_SETS_MATCHED_MAX, JobFilter, TextFilter
from app.db.queries.job_order import JobKey, JobOrder, JobOrderField, PageRequest, key_of
from app.db.queries.job_set_events import job_set_events
from app.db.queries.job_sets import job_set, queue_counts
from app.db.queries.jobs import job_by_id, jobs_page
from app.domain.lifecycle import STATES, JobState
from app.domain.positions import Position
from app.domain.rows import incarnation_of
from app.log.codec import decode_events
from app.views.contract import prepared, write
from tests.unit.views.event_log import SPECS, EventLog
from tests.unit.views.history_fold import fold

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def filled(database_factory: Callable[[], str]) -> tuple[EventLog, str]:
    log, url = EventLog(seed=21), database_factory()
    head = log.events
    raw = log.run(700)

    async def fill() -> None:
        for view in (VIEW, LEASES):
            await prepared(view, url)
            await write(view, url, [head, raw[:300], raw[300:301], raw[301:]])

    asyncio.run(fill())
    return log, url


@pytest.fixture
async def log_and_database(filled: tuple[EventLog, str]) -> AsyncIterator[tuple[EventLog, Database]]:
    opened = await Database.open(filled[1], connections_max=2)
    yield filled[0], opened
    await opened.close()


async def test_every_job_stands_as_its_events_say(log_and_database: tuple[EventLog, Database]) -> None:
    log, database = log_and_database
    seen = 0
    for part in log.partitions:
        for job_id, want in fold(part).items():
            detail = await job_by_id(database, job_id)
            assert detail is not None
            job = detail.job
            assert (job.queue, job.job_set, job.state, job.attempt) == (
                want.queue,
                want.job_set,
                want.state,
                want.attempt,
            )
            assert (job.last_transition_ms, job.node, job.exit_code) == (want.changed_ms, want.node, want.exit_code)
            assert job.requestor == (want.requestor if want.state is JobState.CANCELLED else None)
            assert [run.run_id for run in detail.runs] == want.runs
            assert {run.run_id: run.outcome for run in detail.runs if run.run_id in want.outcomes} == want.outcomes
            if detail.runs and detail.runs[-1].run_id not in want.outcomes:
                run = detail.runs[-1]
                found = {"leased": run.leased_ms, "pending": run.pending_ms, "running": run.started_ms}
                assert {name: at for name, at in found.items() if at is not None} == want.times
            assert len(detail.errors) == want.errors
            assert job.annotations["example.com/text"] == "x="
            assert job.labels == {"app": "trainer", "note": ""}
            assert detail.spec in {spec.body for spec in SPECS}
            seen += 1
    assert seen > 500


async def test_a_job_that_is_not_there_is_none(log_and_database: tuple[EventLog, Database]) -> None:
    assert await job_by_id(log_and_database[1], bytes(16)) is None


async def test_job_sets_count_their_jobs(log_and_database: tuple[EventLog, Database]) -> None:
    log, database = log_and_database
    counts: dict[tuple[str, str], dict[JobState, int]] = defaultdict(lambda: dict.fromkeys(STATES, 0))
    for part in log.partitions:
        for job in fold(part).values():
            counts[job.queue, job.job_set][job.state] += 1
    for (queue, name), want in counts.items():
        found = await job_set(database, queue, name)
        assert found is not None
        assert found.counts == want
        assert found.total == sum(want.values())
        part = log.partitions[found.partition]
        assert found.reached[:2] == (found.partition, part.offset)
        assert (
            await count_estimate(
                database, JobFilter(queues=(queue,), job_set=TextFilter(any_of=(name,)), states=(JobState.FAILED,))
            )
            == want[JobState.FAILED]
        )
    by_queue = await queue_counts(database, ["queue-0-a", "nobody"])
    assert set(by_queue) == {"queue-0-a"}
    assert sum(by_queue["queue-0-a"].values()) == sum(
        sum(want.values()) for (queue, _), want in counts.items() if queue == "queue-0-a"
    )
    assert await job_set(database, "queue-0-a", "nothing") is None


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("field", [JobOrderField.ID, JobOrderField.SUBMITTED, JobOrderField.LAST_TRANSITION])
async def test_pages_give_every_job_once_both_ways(
    log_and_database: tuple[EventLog, Database], field: JobOrderField, descending: bool
) -> None:
    log, database = log_and_database
    jobs = {job_id: job for part in log.partitions for job_id, job in fold(part).items()}
    ended = [JobState.SUCCEEDED, JobState.FAILED]
    cases = [
        (JobFilter(), set(jobs)),
        (JobFilter(queues=("queue-1-a",)), {i for i, job in jobs.items() if job.queue == "queue-1-a"}),
        (JobFilter(states=tuple(ended)), {i for i, job in jobs.items() if job.state in ended}),
        (
            JobFilter(queues=("queue-1-a", "queue-2-b"), job_set=TextFilter(starts_with="set-1")),
            {
                i
                for i, job in jobs.items()
                if job.queue in ("queue-1-a", "queue-2-b") and job.job_set.startswith("set-1")
            },
        ),
        (JobFilter(job_set=TextFilter(any_of=("none",))), set()),
    ]
    order = JobOrder(field=field, descending=descending)
    for wanted, want in cases:
        by_time = field is JobOrderField.LAST_TRANSITION
        sorted_ids = sorted(want, key=lambda i: (jobs[i].changed_ms, i) if by_time else (0, i), reverse=descending)
        for backwards in (False, True):
            found: list[bytes] = []
            key: JobKey | None = None
            more = True
            while more:
                request = PageRequest(limit=37, key=key, backwards=backwards)
                page = await jobs_page(database, wanted, order, request)
                ids = [job.job_id for job in page.jobs]
                found = ids + found if backwards else found + ids
                more = page.more
                if page.jobs:
                    key = key_of(order, request, page.jobs[0] if backwards else page.jobs[-1])
            assert found == sorted_ids


async def test_a_page_has_a_limit(log_and_database: tuple[EventLog, Database]) -> None:
    with pytest.raises(ValueError, match="1 to 200"):
        await jobs_page(log_and_database[1], JobFilter(), JobOrder(), PageRequest(limit=201))


async def test_the_events_of_a_job_set_are_those_of_the_log_from_any_position(
    log_and_database: tuple[EventLog, Database],
) -> None:
    log, database = log_and_database
    part = log.partitions[1]
    incarnation = incarnation_of(0, 1)
    want = [
        (offset, event) for offset, _, queue, name, event in part.decided if (queue, name) == ("queue-1-b", "set-2")
    ]
    number = job_set_id("queue-1-b", incarnation, "set-2")
    assert len(want) > 50
    for start in (None, 0, len(want) // 2, len(want) - 1):
        after = None if start is None else Position(1, want[start][0], want[start][1].ordinal)
        found = []
        while True:
            page = await job_set_events(database, number, 1, after, limit=5)
            for block in page.blocks:
                for event in decode_events(block.body):
                    if after is None or (block.offset, event.ordinal) > after[1:]:
                        found.append((block.offset, event))
            if not page.more:
                break
            last = found[-1]
            after = Position(1, last[0], last[1].ordinal)
        assert found == want[(-1 if start is None else start) + 1 :]
        assert page.reached is not None
        assert page.reached.position == part.offset
        assert page.reached.source_offset == part.events[-1].offset


async def test_a_filter_that_matches_too_many_job_sets_is_refused_and_not_cut(database: str) -> None:
    url = await prepared(VIEW, database)
    opened = await Database.open(url, connections_max=1)
    rows = (
        "INSERT INTO history_job_sets (id, queue_id, incarnation, partition, name) "
        "SELECT n, n % 2, 0, 0, 'set-' || n FROM generate_series(1, $1::int) n"
    )
    async with opened.reading() as connection:
        await connection.execute(rows, JOB_SETS_MATCHED_MAX + 1)
    with pytest.raises(TooMuchMatched, match="more than 10,000 job sets"):
        await jobs_page(opened, JobFilter(job_set=TextFilter(starts_with="set-")), JobOrder(), PageRequest(limit=1))
    fewer = JobFilter(job_set=TextFilter(starts_with="set-1"))
    assert (await jobs_page(opened, fewer, JobOrder(), PageRequest(limit=1))).jobs == ()
    await opened.close()
