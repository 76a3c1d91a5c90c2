"""What became of jobs that changed: their rows, and whether a filter still takes them.

Input: Database, filter, ids. Output: ChangedJobs. Reads history_jobs by id.
"""

from collections.abc import Sequence

from msgspec import Struct

from app.db.database import Database
from app.db.queries.job_filter import Conditions, JobFilter, add_conditions, changing, lasting
from app.db.queries.job_records import COLUMNS, JobRecord, job_records
from app.db.queries.job_sets import HISTORY
from app.db.queries.reached import Reached, reached

# Jobs by id that meet what never changes of a filter, and whether they meet the rest of it.
CHANGED = """
SELECT {columns}, coalesce({matches}, false) AS matches FROM history_jobs
WHERE job_id = ANY({ids}::uuid[]) AND {where}
"""


class ChangedJobs(Struct, frozen=True, kw_only=True):
    """matching: jobs that the filter takes. others: jobs that it would take in another state, on another node, with
    another priority and the like."""

    matching: tuple[JobRecord, ...]
    others: tuple[JobRecord, ...]


async def changed_jobs(database: Database, wanted: JobFilter, ids: Sequence[bytes]) -> ChangedJobs:
    """The rows of these jobs as they are now, in order of their ids. Raises TooMuchMatched, Unavailable,
    QueryTimeout."""
    async with database.snapshot() as connection:
        where = Conditions()
        place = where.place(list(ids))
        if not await add_conditions(connection, where, lasting(wanted)):
            return ChangedJobs(matching=(), others=())
        matches = where.beside()
        can_match = await add_conditions(connection, matches, changing(wanted))
        statement = CHANGED.format(
            columns=COLUMNS, matches=matches.sql if can_match else "false", ids=place, where=where.sql
        )
        rows = await connection.fetch(statement, *where.arguments)
        rows.sort(key=lambda row: row["job_id"])
        jobs = await job_records(connection, database.names, rows)
    pairs = list(zip(jobs, rows, strict=True))
    return ChangedJobs(
        matching=tuple(job for job, row in pairs if row["matches"]),
        others=tuple(job for job, row in pairs if not row["matches"]),
    )


async def history_stands(database: Database) -> dict[int, Reached]:
    """How far the history has come in each partition. Raises Unavailable, QueryTimeout."""
    async with database.snapshot() as connection:
        return await reached(connection, HISTORY)
