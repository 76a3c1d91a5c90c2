"""What queries for pages answer over the history of a domain-made log: filters, groups, events of a job, series."""

from collections import Counter
from collections.abc import Callable

import pytest

from agents.views.history import VIEW as HISTORY
from agents.views.throughput import VIEW as THROUGHPUT
from app.db.database import Database
from app.db.queries.job_events import events_of_job
from app.db.queries.job_filter import JobFilter, NumberRange, TextFilter, TimeRange
from app.db.queries.job_groups import job_groups
from app.db.queries.job_order import JobOrder, PageRequest
from app.db.queries.job_records import JobRecord
from app.db.queries.jobs import jobs_page
from app.db.queries.node_usage import node_usage
from app.db.queries.throughput import throughput
from app.domain.lifecycle import ACTIVE, JobState
from app.log.codec import decode_events
from app.views.contract import prepared, write
from tests.unit.views.event_log import START_MS, EventLog

pytestmark = pytest.mark.stack


@pytest.fixture
async def opened(database: str) -> Database:
    log = EventLog(seed=23, step_ms=2_000)
    log.run(300)
    url = await prepared(HISTORY, database)
    await prepared(THROUGHPUT, url)
    await write(HISTORY, url, [log.events])
    await write(THROUGHPUT, url, [log.events])
    return await Database.open(url, connections_max=2)


async def every_job(database: Database, wanted: JobFilter) -> list[JobRecord]:
    page = await jobs_page(database, wanted, JobOrder(), PageRequest(limit=200))
    return list(page.jobs)


Check = Callable[[JobRecord], bool]


async def test_filters_find_exactly_the_jobs_that_match(opened: Database) -> None:
    jobs = await every_job(opened, JobFilter())
    some = next(job for job in jobs if job.node is not None and job.state is not JobState.QUEUED)
    middle = sorted(job.submitted_ms for job in jobs)[len(jobs) // 2]
    cases: list[tuple[JobFilter, Check]] = [
        (JobFilter(owner=TextFilter(any_of=(some.owner,))), lambda job: job.owner == some.owner),
        (JobFilter(node=TextFilter(any_of=(some.node or "",))), lambda job: job.node == some.node),
        (JobFilter(cluster=TextFilter(starts_with="c")), lambda job: job.cluster is not None),
        (JobFilter(cpu_milli=NumberRange(at_least=some.cpu_milli)), lambda job: job.cpu_milli >= some.cpu_milli),
        (JobFilter(priority=NumberRange(below=5)), lambda job: job.priority < 5),
        (JobFilter(exit_code=NumberRange(any_of=(1,))), lambda job: job.exit_code == 1),
        (JobFilter(submitted=TimeRange(after_ms=middle)), lambda job: job.submitted_ms >= middle),
        (JobFilter(submitted=TimeRange(before_ms=middle)), lambda job: job.submitted_ms < middle),
        (JobFilter(namespace=TextFilter(any_of=("nowhere",))), lambda job: False),
    ]
    for wanted, matches in cases:
        found = {job.job_id for job in await every_job(opened, wanted)}
        expected = {job.job_id for job in jobs if matches(job)}
        assert found >= expected, wanted
        assert all(matches(job) for job in await every_job(opened, wanted)), wanted
    await opened.close()


async def test_groups_count_what_lists_show(opened: Database) -> None:
    everything = await job_groups(opened, JobFilter(), ["queue", "jobSet"], limit=200)
    by_state = await job_groups(opened, JobFilter(), ["state"], limit=200)
    assert everything.complete
    assert by_state.complete
    totals: Counter[JobState] = Counter()
    for group in everything.groups:
        totals.update(group.counts)
    assert {group.values[0]: group.total for group in by_state.groups} == {
        state.value: number for state, number in totals.items() if number
    }
    failed = JobFilter(states=(JobState.FAILED,))
    codes = await job_groups(opened, failed, ["exitCode", "reasonCode"], limit=200)
    assert sum(group.total for group in codes.groups) == totals[JobState.FAILED]
    with pytest.raises(ValueError, match="colour"):
        await job_groups(opened, JobFilter(), ["colour"])
    await opened.close()


async def test_the_events_of_a_job_are_all_its_events_in_order(opened: Database) -> None:
    job = next(job for job in await every_job(opened, JobFilter(states=(JobState.SUCCEEDED,))))
    found = await events_of_job(opened, job.job_id)
    assert found is not None
    assert found.complete
    kinds = [
        event.kind.value for block in found.blocks for event in decode_events(block.body) if event.job_id == job.job_id
    ]
    assert (kinds[0], kinds[-1]) == ("SUBMITTED", "SUCCEEDED")
    assert await events_of_job(opened, bytes(16)) is None
    await opened.close()


async def test_a_series_ends_with_what_stands_now_and_sums_to_what_happened(opened: Database) -> None:
    everything = await job_groups(opened, JobFilter(), ["queue"], limit=200)
    states: Counter[JobState] = Counter()
    for group in everything.groups:
        states.update(group.counts)
    points = await throughput(opened, begin_ms=START_MS - 3_600_000, end_ms=START_MS + 3 * 3_600_000, bucket_ms=60_000)
    assert sum(point.submitted for point in points) == sum(states.values())
    assert sum(point.succeeded for point in points) == states[JobState.SUCCEEDED]
    assert sum(point.failed for point in points) >= states[JobState.FAILED]
    assert (points[-1].queued, points[-1].running) == (states[JobState.QUEUED], states[JobState.RUNNING])
    assert points[0].queued == 0
    held = await node_usage(opened)
    assert sum(usage.jobs for usage in held.values()) == sum(states[state] for state in ACTIVE)
    await opened.close()
