"""How many jobs a filter matches: at once where counters know it, else counted up to a limit.

Inputs: Database, filter. Output: a number. Reads history_job_sets, history_jobs.
"""

from app.db.database import Database
from app.db.queries.job_filter import JobFilter, conditions
from app.db.queries.job_sets import COUNT_COLUMNS
from app.domain.lifecycle import STATES

COUNT_MAX = 10_000

# Jobs by state of the job sets that a filter matches.
SET_COUNTS = "SELECT {sums} FROM history_job_sets WHERE {where}"
# Matching jobs, no more than a limit.
UP_TO = "SELECT count(*) FROM (SELECT 1 FROM history_jobs WHERE {where} LIMIT {limit}) AS j"


async def count_estimate(database: Database, wanted: JobFilter) -> int | None:
    """How many jobs match a filter of queues, job sets and states; None for other filters, which would have to be
    counted."""
    if wanted != JobFilter(queues=wanted.queues, job_set=wanted.job_set, states=wanted.states):
        return None
    async with database.snapshot() as connection:
        where = await conditions(connection, JobFilter(queues=wanted.queues, job_set=wanted.job_set))
        if where is None:
            return 0
        statement = SET_COUNTS.format(
            sums=", ".join(f"sum({column})" for column in COUNT_COLUMNS), where=where.sql.replace("job_set_id", "id")
        )
        row = await connection.fetchrow(statement, *where.arguments)
    counts = dict(zip(STATES, row or (), strict=False))
    return sum(int(counts.get(state) or 0) for state in wanted.states or STATES)


async def count_up_to(database: Database, wanted: JobFilter, limit: int) -> int:
    """How many jobs match, at most `limit`. Raises ValueError, Unavailable, QueryTimeout."""
    if not 1 <= limit <= COUNT_MAX:
        raise ValueError(f"up to 1 to {COUNT_MAX:,} jobs are counted, not {limit}")
    estimate = await count_estimate(database, wanted)
    if estimate is not None:
        return min(estimate, limit)
    async with database.snapshot() as connection:
        where = await conditions(connection, wanted)
        if where is None:
            return 0
        return int(await connection.fetchval(UP_TO.format(where=where.sql, limit=limit), *where.arguments))
