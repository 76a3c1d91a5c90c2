"""Pages of jobs over the history of a log that the domain made: every order is exact both ways, also while jobs change,
and filters say the same wherever they are asked."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.views.history import VIEW as HISTORY
from app.db.database import Database
from app.db.queries import job_pages
from app.db.queries.job_changes import changed_jobs
from app.db.queries.job_count import count_estimate, count_up_to
from app.db.queries.job_filter import JobFilter, NumberRange, TextFilter, TimeRange
from app.db.queries.job_order import JobKey, JobOrder, JobOrderField, PageRequest, key_of, run_time_ms
from app.db.queries.job_records import JobRecord
from app.db.queries.jobs import jobs_page
from app.domain.lifecycle import STATE_CODES, STATES, JobState
from app.views.contract import prepared, write
from tests.unit.views.event_log import START_MS, EventLog

pytestmark = pytest.mark.stack

ORDERS = [JobOrder(field=each, descending=down) for each in JobOrderField for down in (True, False)]
NOW_MS = START_MS + 3_600_000
LIVE = tuple(STATES[:4])


@dataclass
class Stage:
    """A database, and the log that it is filled from."""

    database: Database
    log: EventLog
    url: str
    written: set[tuple[int, int]] = field(default_factory=set)

    async def go_on(self, commands: int) -> None:
        """So many commands more are decided and shown."""
        self.log.run(commands)
        new = [record for record in self.log.events if (record.partition, record.offset) not in self.written]
        await write(HISTORY, self.url, [new])
        self.written |= {(record.partition, record.offset) for record in new}


@pytest.fixture
async def stage(database: str) -> AsyncIterator[Stage]:
    made = Stage(await Database.open(database, connections_max=2), EventLog(seed=29, step_ms=2_000), database)
    await prepared(HISTORY, database)
    await made.go_on(220)
    yield made
    await made.database.close()


def sort_key(order: JobOrder, job: JobRecord) -> tuple[Any, ...]:
    """What a list is ordered by, said once more."""
    parts: dict[JobOrderField, tuple[Any, ...]] = {
        JobOrderField.ID: (),
        JobOrderField.SUBMITTED: (),
        JobOrderField.LAST_TRANSITION: (job.last_transition_ms,),
        JobOrderField.QUEUE: (job.queue,),
        JobOrderField.JOB_SET: key_of(JobOrder(field=JobOrderField.JOB_SET), PageRequest(), job).sort,
        JobOrderField.STATE: (STATE_CODES[job.state],),
        JobOrderField.PRIORITY: (job.priority,),
        JobOrderField.RUN_TIME: (run_time_ms(job, NOW_MS) or 0,),
    }
    return (*parts[order.field], job.job_id)


def in_order(order: JobOrder, jobs: list[JobRecord]) -> list[bytes]:
    found = sorted(jobs, key=lambda job: sort_key(order, job), reverse=order.descending)
    if order.field is JobOrderField.RUN_TIME:
        found.sort(key=lambda job: run_time_ms(job, NOW_MS) is None)
    return [job.job_id for job in found]


async def walked(
    stage: Stage, wanted: JobFilter, order: JobOrder, *, limit: int, backwards: bool = False, disturb: int = 0
) -> list[JobRecord]:
    """A whole list page by page, in the order of the list; `disturb`: commands that are written between pages."""
    pages: list[list[JobRecord]] = []
    key: JobKey | None = None
    while True:
        request = PageRequest(limit=limit, key=key, backwards=backwards, now_ms=NOW_MS)
        page = await jobs_page(stage.database, wanted, order, request)
        pages.append(list(page.jobs))
        if not page.more:
            break
        key = key_of(order, request, page.jobs[0 if backwards else -1])
        if disturb:
            await stage.go_on(disturb)
    return [job for page in (reversed(pages) if backwards else pages) for job in page]


@pytest.mark.parametrize("few", [0, job_pages.FEW], ids=["walking", "few"])
async def test_every_order_is_exact_in_both_directions_under_filters(
    stage: Stage, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_pages, "FEW", few)
    everything = await walked(stage, JobFilter(), JobOrder(), limit=200)
    assert len(everything) > 150
    some = next(job for job in everything if job.node is not None)
    cases = [
        (JobFilter(), everything),
        (JobFilter(queues=("nobody",)), []),
        (JobFilter(states=LIVE), [job for job in everything if job.state in LIVE]),
        (JobFilter(cluster=TextFilter(any_of=("c1",))), [job for job in everything if job.cluster == "c1"]),
        (
            JobFilter(queues=(some.queue,), states=(JobState.QUEUED, JobState.SUCCEEDED)),
            [
                job
                for job in everything
                if job.queue == some.queue and job.state in (JobState.QUEUED, JobState.SUCCEEDED)
            ],
        ),
        (
            JobFilter(job_set=TextFilter(any_of=(some.job_set,)), priority=NumberRange(at_least=0)),
            [job for job in everything if job.job_set == some.job_set and job.priority >= 0],
        ),
    ]
    for wanted, jobs in cases:
        for order in ORDERS:
            expected = in_order(order, jobs)
            for backwards in (False, True):
                found = await walked(stage, wanted, order, limit=31, backwards=backwards)
                assert [job.job_id for job in found] == expected, (wanted, order, backwards)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field}-{'down' if order.descending else 'up'}")
async def test_jobs_that_stay_where_they_are_come_once_while_others_move(stage: Stage, order: JobOrder) -> None:
    for backwards in (False, True):
        before = {job.job_id: job for job in await walked(stage, JobFilter(), JobOrder(), limit=200)}
        found = await walked(stage, JobFilter(), order, limit=17, backwards=backwards, disturb=2)
        after = {job.job_id: job for job in await walked(stage, JobFilter(), JobOrder(), limit=200)}
        times = Counter(job.job_id for job in found)
        still = [
            job_id
            for job_id, job in before.items()
            if sort_key(order, job) == sort_key(order, after[job_id])
            and (order.field is not JobOrderField.RUN_TIME or job.state is after[job_id].state)
        ]
        assert len(still) > 20
        assert [job_id for job_id in still if times[job_id] != 1] == []


async def test_a_filter_says_the_same_of_a_list_and_of_jobs_that_changed(stage: Stage) -> None:
    everything = await walked(stage, JobFilter(), JobOrder(), limit=200)
    some = next(job for job in everything if job.state is JobState.FAILED and job.node is not None)
    lasting = [JobFilter(queues=(some.queue,)), JobFilter(owner=TextFilter(any_of=(some.owner,))), JobFilter()]
    changing: list[dict[str, Any]] = [
        {"states": LIVE},
        {"states": (JobState.FAILED,), "exit_code": NumberRange(above=0)},
        {"exit_code": NumberRange(at_most=0)},
        {"cluster": TextFilter(any_of=(some.cluster or "",))},
        {"node": TextFilter(starts_with=(some.node or "")[:2])},
        {"priority": NumberRange(below=5)},
        {"last_transition": TimeRange(after_ms=some.last_transition_ms)},
        {"pool": TextFilter(any_of=("nowhere",))},
        {},
    ]
    ids = [job.job_id for job in everything]
    for first in lasting:
        in_scope = {job.job_id for job in await walked(stage, first, JobOrder(), limit=200)}
        for rest in changing:
            wanted = JobFilter(**{name: getattr(first, name) for name in ("queues", "owner")}, **rest)
            listed = {job.job_id for job in await walked(stage, wanted, JobOrder(), limit=200)}
            found = await changed_jobs(stage.database, wanted, ids)
            assert {job.job_id for job in found.matching} == listed, wanted
            assert {job.job_id for job in found.others} == in_scope - listed, wanted
            assert await count_up_to(stage.database, wanted, 10_000) == len(listed)
            assert await count_up_to(stage.database, wanted, 3) == min(3, len(listed))
            estimate = await count_estimate(stage.database, wanted)
            assert estimate in (None, len(listed))
