"""Jobs: one by id with everything known of it, and pages of a list both ways by key.

Inputs: Database, filter, order, page. Output: JobDetail, JobPage. Reads history_jobs, history_runs, history_errors,
leases_specs.
"""

from msgspec import Struct

from app.db.database import Database
from app.db.engine import Connection
from app.db.queries.job_filter import JobFilter
from app.db.queries.job_order import PAGE_ROWS_MAX, JobOrder, PageRequest
from app.db.queries.job_pages import page_rows
from app.db.queries.job_records import (
    COLUMNS,
    ErrorRecord,
    JobRecord,
    RunRecord,
    earlier_run,
    job_records,
    last_run,
)
from app.db.queries.job_sets import HISTORY
from app.db.queries.reached import Reached, reached

ERRORS_MAX = 100
RUNS_MAX = 300

# A job by its id: one probe of each table that may hold it.
BY_ID = f"SELECT {COLUMNS} FROM history_jobs WHERE job_id = $1"
# Runs of a job that ended before its last one began, oldest first.
EARLIER_RUNS = "SELECT * FROM history_runs WHERE job_id = $1 ORDER BY attempt, finished LIMIT $2"
# What went wrong with a job, oldest first.
ERRORS = """
SELECT attempt, at, kind, code, message, containers FROM history_errors WHERE job_id = $1 ORDER BY position LIMIT $2
"""
# The pod spec of a job (zstd of canonical JSON); the same spec stands once in each week.
SPEC = "SELECT body FROM leases_specs WHERE spec_id = $1 LIMIT 1"


class JobDetail(Struct, frozen=True, kw_only=True):
    """A job, its runs (oldest first, the current one last) and errors. spec: zstd of its pod spec's JSON; None while
    view leases lags."""

    job: JobRecord
    runs: tuple[RunRecord, ...]
    errors: tuple[ErrorRecord, ...]
    spec: bytes | None


class JobPage(Struct, frozen=True, kw_only=True):
    """Jobs in the order asked for (also when read backwards). more: there are others in the direction of reading.

    reached: how far the history stood in each partition, of the same snapshot: what changes after it the page lacks."""

    jobs: tuple[JobRecord, ...]
    more: bool
    reached: dict[int, Reached]


async def job_by_id(database: Database, job_id: bytes) -> JobDetail | None:
    """Everything known of a job. Raises Unavailable, QueryTimeout."""
    async with database.snapshot() as connection:
        rows = await connection.fetch(BY_ID, job_id)
        if not rows:
            return None
        (job,) = await job_records(connection, database.names, rows)
        return JobDetail(
            job=job,
            runs=await _runs(connection, database, job),
            errors=await _errors(connection, job_id),
            spec=await connection.fetchval(SPEC, job.spec_id),
        )


async def jobs_page(database: Database, wanted: JobFilter, order: JobOrder, page: PageRequest) -> JobPage:
    """One page. Raises ValueError for a limit outside 1 to 200, Unavailable, QueryTimeout."""
    if not 1 <= page.limit <= PAGE_ROWS_MAX:
        raise ValueError(f"a page has 1 to {PAGE_ROWS_MAX} rows, {page.limit} were asked for")
    async with database.snapshot() as connection:
        stands = await reached(connection, HISTORY)
        rows = await page_rows(connection, wanted, order, page)
        jobs = await job_records(connection, database.names, rows[: page.limit])
    return JobPage(jobs=tuple(reversed(jobs) if page.backwards else jobs), more=len(rows) > page.limit, reached=stands)


async def _runs(connection: Connection, database: Database, job: JobRecord) -> tuple[RunRecord, ...]:
    rows = await connection.fetch(EARLIER_RUNS, job.job_id, RUNS_MAX)
    columns = ("cluster_id", "node_id", "pool_id", "category_id", "code_id")
    known = await database.names.fetch(connection, (row[column] for row in rows for column in columns))
    runs = [earlier_run(row, known) for row in rows]
    current = last_run(job)
    if current is not None and all(run.run_id != current.run_id for run in runs):
        runs.append(current)
    return tuple(runs)


async def _errors(connection: Connection, job_id: bytes) -> tuple[ErrorRecord, ...]:
    rows = await connection.fetch(ERRORS, job_id, ERRORS_MAX)
    return tuple(
        ErrorRecord(
            attempt=row["attempt"],
            at_ms=row["at"],
            kind=row["kind"],
            code=row["code"] or "",
            message=row["message"] or "",
            containers=row["containers"] or "",
        )
        for row in rows
    )
