"""Jobs that a filter matches, for calls that change them: their ids from the newest on, and how many there are of which
kind.

Inputs: Database, filter. Outputs: MatchingPage, MatchingCounts. Reads history_jobs.
"""

from msgspec import Struct

from app.db.database import Database
from app.db.queries.job_filter import Conditions, JobFilter, conditions
from app.domain.lifecycle import STATES, JobState

COUNTED_MAX = 100_000
PAGE_IDS_MAX = 10_000

# Ids of matching jobs, newest first.
PAGE = "SELECT job_id, queue_id FROM history_jobs WHERE {where} ORDER BY job_id DESC LIMIT {limit}"
# The newest matching jobs, counted by queue, state and whether they may be preempted.
COUNTS = """
SELECT queue_id, state, preemptible, count(*) AS jobs
FROM (SELECT queue_id, state, preemptible FROM history_jobs WHERE {where} ORDER BY job_id DESC LIMIT {limit}) AS j
GROUP BY 1, 2, 3
"""


class MatchingPage(Struct, frozen=True, kw_only=True):
    """Ids and names of queues, newest job first. more: there are older ones."""

    jobs: tuple[tuple[bytes, str], ...]
    more: bool


class MatchingCounts(Struct, frozen=True, kw_only=True):
    """(queue, state, preemptible) -> jobs. complete: all were counted, not only the newest COUNTED_MAX."""

    jobs: dict[tuple[str, JobState, bool], int]
    complete: bool


async def matching_page(
    database: Database, wanted: JobFilter, *, limit: int, after: bytes | None, preemptible: bool
) -> MatchingPage:
    """Up to `limit` (1 to 10,000) jobs older than `after`. preemptible: only those that may be preempted. Raises
    ValueError, TooMuchMatched, Unavailable, QueryTimeout."""
    if not 1 <= limit <= PAGE_IDS_MAX:
        raise ValueError(f"a page has 1 to {PAGE_IDS_MAX} ids, {limit} were asked for")
    async with database.snapshot() as connection:
        where = await conditions(connection, wanted)
        if where is None:
            return MatchingPage(jobs=(), more=False)
        _add(where, after, preemptible)
        rows = await connection.fetch(PAGE.format(where=where.sql, limit=limit + 1), *where.arguments)
        queues = await database.names.fetch(connection, (row["queue_id"] for row in rows))
    jobs = tuple((row["job_id"], queues.get(row["queue_id"], "")) for row in rows[:limit])
    return MatchingPage(jobs=jobs, more=len(rows) > limit)


async def matching_counts(database: Database, wanted: JobFilter) -> MatchingCounts:
    """Raises TooMuchMatched, Unavailable, QueryTimeout."""
    async with database.snapshot() as connection:
        where = await conditions(connection, wanted)
        if where is None:
            return MatchingCounts(jobs={}, complete=True)
        rows = await connection.fetch(COUNTS.format(where=where.sql, limit=COUNTED_MAX + 1), *where.arguments)
        queues = await database.names.fetch(connection, (row["queue_id"] for row in rows))
    jobs: dict[tuple[str, JobState, bool], int] = {}
    for row in rows:
        key = queues.get(row["queue_id"], ""), STATES[row["state"]], row["preemptible"]
        jobs[key] = jobs.get(key, 0) + row["jobs"]
    return MatchingCounts(jobs=jobs, complete=sum(jobs.values()) <= COUNTED_MAX)


def _add(where: Conditions, after: bytes | None, preemptible: bool) -> None:
    if after is not None:
        where.add("job_id < {}::uuid", after)
    if preemptible:
        where.add("preemptible")
