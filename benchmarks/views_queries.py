"""The queries of the pages over a full history: part of `make bench-views`.

Every filter of the query box in every order, both directions, at the beginning, in the middle and backwards; every
grouping; the single queries. Input: a database that the views' writer has filled. Output: p50 and p95 of each, and what
plans read: none may look at most of the queued, the running or the finished jobs.
"""

import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from app.db.database import Database
from app.db.engine import Connection
from app.db.queries.job_count import COUNT_MAX, count_up_to
from app.db.queries.job_events import events_of_job
from app.db.queries.job_filter import AnnotationFilter, JobFilter, NumberRange, TextFilter, TimeRange
from app.db.queries.job_groups import SAMPLE_MAX, GroupBy, job_groups
from app.db.queries.job_order import JobKey, JobOrder, JobOrderField, PageRequest, key_of
from app.db.queries.job_records import JobRecord
from app.db.queries.job_sets import job_set, queue_counts
from app.db.queries.jobs import job_by_id, jobs_page
from app.db.queries.node_usage import node_usage
from app.domain.lifecycle import ENDED, STATES, JobState
from benchmarks.outcome import percentile

PAGE_ROWS = 100
SAMPLES = 3
"""of each page; a figure stands on those of both directions and three places"""
READ_SHARE_MAX = 0.5
"""a plan that reads more of a table than this scans it"""
SMALL_TABLE_ROWS = 3_000
ORDERS = tuple(order for order in JobOrderField if order is not JobOrderField.SUBMITTED)

Asked = Callable[[Database], Awaitable[object]]


@dataclass(slots=True)
class PlanReads:
    """Rows that a statement's plan has looked at, by the tables that lists stand on."""

    rows: dict[str, float] = field(default_factory=dict)

    def add(self, node: dict[str, Any]) -> None:
        """A node of EXPLAIN's JSON, with all below it."""
        relation = node.get("Relation Name", "")
        if relation.startswith("history_v1_jobs_") and node.get("Node Type") != "Bitmap Index Scan":
            part = relation.removeprefix("history_v1_jobs_").split("_")[0]
            looked_at = sum(
                node.get(key, 0) for key in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
            )
            self.rows[part] = self.rows.get(part, 0) + looked_at * node.get("Actual Loops", 1)
        for below in node.get("Plans", ()):
            self.add(below)


class ExplainingDatabase(Database):
    """Runs each statement once more with EXPLAIN ANALYZE, and keeps what was read."""

    reads: list[tuple[str, PlanReads]]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        async with super().reading() as connection:
            yield _Explaining(connection, self.reads)  # type: ignore[misc]


class _Explaining:
    """A connection that explains."""

    def __init__(self, connection: Connection, reads: list[tuple[str, PlanReads]]) -> None:
        self._connection = connection
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def _explain(self, statement: str, arguments: tuple[object, ...]) -> None:
        if "history_jobs" not in statement:
            return
        plan = await self._connection.fetchval("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement, *arguments)
        found = PlanReads()
        found.add(json.loads(plan)[0]["Plan"])
        self._reads.append((statement, found))

    async def fetch(self, statement: str, *arguments: object) -> Any:
        await self._explain(statement, arguments)
        return await self._connection.fetch(statement, *arguments)

    async def fetchrow(self, statement: str, *arguments: object) -> Any:
        await self._explain(statement, arguments)
        return await self._connection.fetchrow(statement, *arguments)

    async def fetchval(self, statement: str, *arguments: object) -> Any:
        await self._explain(statement, arguments)
        return await self._connection.fetchval(statement, *arguments)


@dataclass(frozen=True, slots=True)
class Sample:
    """Values that occur in the database that is measured."""

    usual: JobRecord
    """of the largest queue"""
    failed: JobRecord
    now_ms: int


def _is(*values: str) -> TextFilter:
    return TextFilter(any_of=values)


def filters_of(sample: Sample) -> dict[str, JobFilter]:
    """What the query box can ask, alone and in the combinations that pages link to."""
    one, hour = sample.usual, 3_600_000
    trace = next(value for key, value in one.annotations.items() if key.endswith("trace-id"))
    experiment = one.annotations["example.com/experiment"]
    live = tuple(STATES[:4])
    named = {
        "everything": JobFilter(),
        "queue": JobFilter(queues=(one.queue,)),
        "queues_3": JobFilter(queues=(one.queue, "team-07-batch", "team-09-batch")),
        "queue_unknown": JobFilter(queues=("nobody",)),
        "set": JobFilter(queues=(one.queue,), job_set=_is(one.job_set)),
        "set_in_all_queues": JobFilter(job_set=_is(one.job_set)),
        "set_prefix": JobFilter(job_set=TextFilter(starts_with="nightly-2026-11-0")),
        "set_part": JobFilter(job_set=TextFilter(contains="-11-1")),
        "live": JobFilter(states=live),
        "ended": JobFilter(states=tuple(ENDED)),
        "queue_live": JobFilter(queues=(one.queue,), states=live),
        "queue_failed": JobFilter(queues=(one.queue,), states=(JobState.FAILED,)),
        "set_failed": JobFilter(queues=(one.queue,), job_set=_is(one.job_set), states=(JobState.FAILED,)),
        "set_running": JobFilter(queues=(one.queue,), job_set=_is(one.job_set), states=(JobState.RUNNING,)),
        "owner": JobFilter(owner=_is(one.owner)),
        "owner_running": JobFilter(owner=_is(one.owner), states=(JobState.RUNNING,)),
        "owner_part": JobFilter(owner=TextFilter(contains="user00")),
        "namespace": JobFilter(namespace=_is(one.namespace)),
        "namespace_rare": JobFilter(namespace=_is("rare")),
        "class": JobFilter(priority_class=_is("argosy-high")),
        "class_rare": JobFilter(priority_class=_is("argosy-urgent")),
        "pool": JobFilter(pool=_is("gpu")),
        "pool_rare": JobFilter(pool=_is("spot")),
        "cluster": JobFilter(cluster=_is(one.cluster or "")),
        "cluster_running": JobFilter(cluster=_is(one.cluster or ""), states=(JobState.RUNNING,)),
        "node": JobFilter(cluster=_is(one.cluster or ""), node=_is(one.node or "")),
        "node_live": JobFilter(cluster=_is(one.cluster or ""), node=_is(one.node or ""), states=live),
        "cpu_large": JobFilter(cpu_milli=NumberRange(at_least=16_000)),
        "cpu_none": JobFilter(cpu_milli=NumberRange(above=64_000)),
        "memory": JobFilter(memory_bytes=NumberRange(at_least=32 << 30)),
        "gpu": JobFilter(gpus=NumberRange(above=0)),
        "gpu_failed": JobFilter(gpus=NumberRange(at_least=4), states=(JobState.FAILED,)),
        "disk_rare": JobFilter(storage_bytes=NumberRange(above=100 << 30)),
        "priority": JobFilter(priority=NumberRange(above=3)),
        "priority_rare": JobFilter(priority=NumberRange(above=100)),
        "priority_none": JobFilter(priority=NumberRange(above=1_000_000)),
        "exit": JobFilter(exit_code=NumberRange(any_of=(137,))),
        "exit_none": JobFilter(exit_code=NumberRange(any_of=(99,))),
        "category": JobFilter(failure_category=_is("infrastructure")),
        "reason": JobFilter(reason_code=_is("DeadlineExceeded")),
        "submitted_hour": JobFilter(submitted=TimeRange(after_ms=sample.now_ms - hour)),
        "submitted_day": JobFilter(submitted=TimeRange(after_ms=sample.now_ms - 24 * hour)),
        "changed_hour": JobFilter(last_transition=TimeRange(after_ms=sample.now_ms - hour)),
        "changed_day": JobFilter(last_transition=TimeRange(after_ms=sample.now_ms - 24 * hour)),
        "failed_day": JobFilter(
            states=(JobState.FAILED,), last_transition=TimeRange(after_ms=sample.now_ms - 24 * hour)
        ),
        "failed_exit": JobFilter(states=(JobState.FAILED,), exit_code=NumberRange(any_of=(137,))),
        "annotation_one": JobFilter(annotations=(AnnotationFilter(key="example.com/trace-id", any_of=(trace,)),)),
        "annotation_some": JobFilter(
            annotations=(AnnotationFilter(key="example.com/experiment", any_of=(experiment,)),)
        ),
        "annotation_prefix": JobFilter(
            annotations=(AnnotationFilter(key="example.com/experiment", starts_with=experiment[:9]),)
        ),
        "annotation_usual": JobFilter(annotations=(AnnotationFilter(key="example.com/stage", any_of=("train",)),)),
        "annotation_none": JobFilter(annotations=(AnnotationFilter(key="example.com/nothing"),)),
        "ids": JobFilter(ids=(one.job_id, sample.failed.job_id)),
    }
    for state in STATES:
        named[f"state_{state.value.lower()}"] = JobFilter(states=(state,))
    return named


GROUPINGS: tuple[tuple[str, ...], ...] = (
    *((by.value,) for by in GroupBy),
    ("queue", "state"),
    ("reasonCode", "exitCode"),
    ("annotation:example.com/stage",),
)
GROUPED = ("everything", "queue", "set", "live", "state_failed", "owner", "cluster_running", "submitted_day")
"""filters that groupings are measured with"""


async def sample_of(database: Database) -> Sample:
    """What filters are made of. Raises IndexError when the database has no such jobs."""
    page = PageRequest(limit=200)
    newest = JobOrder(field=JobOrderField.LAST_TRANSITION)
    wanted = JobFilter(queues=("team-00-batch",), states=(JobState.RUNNING,))
    usual = (await jobs_page(database, wanted, newest, page)).jobs[0]
    failed = (await jobs_page(database, JobFilter(states=(JobState.FAILED,)), newest, page)).jobs[0]
    return Sample(usual, failed, usual.last_transition_ms)


async def pages_of(database: Database, wanted: JobFilter, field: JobOrderField, now_ms: int) -> list[Asked]:
    """The pages of a list that are measured: both directions, at the beginning, behind the tenth page, back again."""
    asked: list[Asked] = []
    for descending in (True, False):
        order = JobOrder(field=field, descending=descending)
        keys: list[JobKey] = []
        request = PageRequest(limit=PAGE_ROWS * 2, now_ms=now_ms)
        for _ in range(5):
            page = await jobs_page(database, wanted, order, request)
            if not page.jobs:
                break
            keys.append(key_of(order, request, page.jobs[-1]))
            if not page.more:
                break
            request = PageRequest(limit=PAGE_ROWS * 2, key=keys[-1], now_ms=now_ms)
        asked.append(_page(wanted, order, PageRequest(limit=PAGE_ROWS, now_ms=now_ms)))
        if keys:
            asked.append(_page(wanted, order, PageRequest(limit=PAGE_ROWS, key=keys[-1], now_ms=now_ms)))
            asked.append(_page(wanted, order, PageRequest(limit=PAGE_ROWS, key=keys[-1], backwards=True)))
    return asked


def _page(wanted: JobFilter, order: JobOrder, request: PageRequest) -> Asked:
    return lambda database: jobs_page(database, wanted, order, request)


def _groups(wanted: JobFilter, by: tuple[str, ...]) -> Asked:
    return lambda database: job_groups(database, wanted, list(by), limit=200)


def singles_of(sample: Sample, filters: dict[str, JobFilter]) -> Iterator[tuple[str, Asked]]:
    """Everything else that pages ask of the history."""
    one = sample.usual
    yield "job", lambda database: job_by_id(database, one.job_id)
    yield "job_events", lambda database: events_of_job(database, one.job_id)
    yield "job_set", lambda database: job_set(database, one.queue, one.job_set)
    yield "queue_counts", lambda database: queue_counts(database, [f"team-{number:02d}-batch" for number in range(10)])
    yield "node_usage_all", lambda database: node_usage(database)
    yield "node_usage_one", lambda database: node_usage(database, one.cluster or "", one.node or "")
    for name, wanted in filters.items():
        yield f"count_{name}", _count(wanted)


def _count(wanted: JobFilter) -> Asked:
    return lambda database: count_up_to(database, wanted, COUNT_MAX)


async def cases_of(database: Database, only: str) -> AsyncIterator[tuple[str, list[Asked]]]:
    """Name and questions of each figure whose name matches."""
    sample = await sample_of(database)
    filters = filters_of(sample)
    for name, wanted in filters.items():
        for order in ORDERS:
            figure = f"jobs_{name}_by_{order.value.lower()}"
            if re.search(only, figure):
                yield figure, await pages_of(database, wanted, order, sample.now_ms)
    for name in GROUPED:
        for by in GROUPINGS:
            figure = f"groups_{name}_by_{'_'.join(key.rsplit('/', 1)[-1] for key in by)}"
            if re.search(only, figure):
                yield figure, [_groups(filters[name], by)]
    for figure, asked in singles_of(sample, filters):
        if re.search(only, figure):
            yield figure, [asked]


async def scans_of(explaining: ExplainingDatabase, asked: Asked, sizes: dict[str, int]) -> list[str]:
    """What of a question's plans reads most of a table."""
    explaining.reads = []
    await asked(explaining)
    return [
        f"{rows:,.0f} of {sizes[part]:,} rows of {part}: {' '.join(statement.split())[:300]}"
        for statement, reads in explaining.reads
        for part, rows in reads.rows.items()
        if sizes.get(part, 0) > SMALL_TABLE_ROWS
        and rows > READ_SHARE_MAX * sizes[part]
        # Groups without counters look at so many of the newest jobs, and say so.
        and not (" AS k0" in statement and sum(reads.rows.values()) <= SAMPLE_MAX)
    ]


async def sizes_of(database: Database) -> dict[str, int]:
    """Rows of the tables of queued, running and finished jobs; what starts is few and has no indexes."""
    async with database.reading() as connection:
        return {
            part: int(await connection.fetchval(f"SELECT count(*) FROM history_jobs WHERE state IN ({codes})"))
            for part, codes in (("queued", "0"), ("running", "3"), ("done", "4, 5, 6, 7, 8"))
        }


async def measure_queries(url: str, say: Callable[[str], None], *, only: str = "") -> dict[str, float]:
    """p50 and p95 of every question in ms, the worst of them, and how many scan. only: what their names must match."""
    database = await Database.open(url, name="bench-queries", connections_max=1)
    explaining = await ExplainingDatabase.open(url, name="bench-plans", connections_max=1, statement_timeout_ms=60_000)
    assert isinstance(explaining, ExplainingDatabase), "opened as it was asked"
    figures: dict[str, float] = {}
    scans = 0
    try:
        sizes = await sizes_of(database)
        say(f"queries over {sizes}")
        async for name, questions in cases_of(database, only):
            spent_ms: list[float] = []
            for asked in questions:
                found = await scans_of(explaining, asked, sizes)
                scans += len(found)
                for text in found:
                    say(f"SCAN {name}: {text}")
                for _ in range(SAMPLES if len(questions) > 1 else 4 * SAMPLES):
                    began = time.perf_counter()
                    await asked(database)
                    spent_ms.append((time.perf_counter() - began) * 1e3)
            figures[f"{name}_p50_ms"] = percentile(spent_ms, 0.5)
            figures[f"{name}_p95_ms"] = percentile(spent_ms, 0.95)
            say(f"{name}: p50 {figures[f'{name}_p50_ms']:.1f} ms, p95 {figures[f'{name}_p95_ms']:.1f} ms")
    finally:
        await database.close()
        await explaining.close()
    p95 = [value for name, value in figures.items() if name.endswith("_p95_ms")]
    return {**figures, "query_worst_p95_ms": max(p95), "query_plans_that_scan": float(scans)}
