"""Job sets: how many jobs stand in which state, with the cursor from the same snapshot.

Inputs: Database, queue, name. Output: JobSetRecord. Reads history_job_sets and the position of view history.
"""

from asyncpg import Record
from msgspec import Struct

from app.db import names
from app.db.database import Database
from app.db.queries.reached import reached
from app.domain.lifecycle import STATES, JobState
from app.domain.positions import NOWHERE, Position

HISTORY = "history"

# A job set by name: that of the queue's youngest incarnation.
BY_NAME = "SELECT * FROM history_job_sets WHERE queue_id = $1 AND name = $2 ORDER BY incarnation DESC LIMIT 1"
# Jobs by state of some queues' youngest incarnations.
QUEUE_COUNTS = """
SELECT s.queue_id, sum(n_queued), sum(n_leased), sum(n_pending), sum(n_running), sum(n_succeeded), sum(n_failed),
sum(n_cancelled),
  sum(n_preempted), sum(n_rejected)
FROM history_job_sets s WHERE queue_id = ANY($1::bigint[])
  AND incarnation = (SELECT max(incarnation) FROM history_job_sets m WHERE m.queue_id = s.queue_id)
GROUP BY 1
"""
# How many jobs of a set ended since a time.
ENDS = """
SELECT count(*) FROM (
  SELECT 1 FROM history_jobs WHERE job_set_id = $1 AND state IN (4, 5, 6, 7, 8) AND last_transition > $2 LIMIT $3
) AS e
"""
ENDS_MAX = 100_000

COUNT_COLUMNS = tuple(f"n_{state.value.lower()}" for state in STATES)


class JobSetRecord(Struct, frozen=True, kw_only=True):
    """A job set. reached: the last event that the counts include, so a subscription after it gives exactly what they
    lack."""

    job_set_id: int
    queue: str
    incarnation: int
    name: str
    partition: int
    counts: dict[JobState, int]
    first_submitted_ms: int | None
    last_transition_ms: int | None
    reached: Position

    @property
    def total(self) -> int:
        return sum(self.counts.values())


async def job_set(database: Database, queue: str, name: str) -> JobSetRecord | None:
    """The job set, or None when the history knows no job of it. Raises Unavailable, QueryTimeout."""
    async with database.snapshot() as connection:
        row = await connection.fetchrow(BY_NAME, names.name_id(names.QUEUE, queue), name)
        if row is None:
            return None
        stands = (await reached(connection, HISTORY)).get(row["partition"])
    return _record(row, queue, stands.exact if stands is not None else NOWHERE)


async def recent_ends(database: Database, job_set_id: int, since_ms: int) -> int:
    """How many of its jobs ended since then, at most ENDS_MAX. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        return int(await connection.fetchval(ENDS, job_set_id, since_ms, ENDS_MAX))


async def queue_counts(database: Database, queues: list[str]) -> dict[str, dict[JobState, int]]:
    """Queue -> jobs by state; a queue that never had a job is missing. Raises Unavailable, QueryTimeout."""
    numbers = {names.name_id(names.QUEUE, queue): queue for queue in queues}
    async with database.reading() as connection:
        rows = await connection.fetch(QUEUE_COUNTS, list(numbers))
    return {numbers[row[0]]: _counts(tuple(row)[1:]) for row in rows}


def _record(row: Record, queue: str, position: Position) -> JobSetRecord:
    return JobSetRecord(
        job_set_id=row["id"],
        queue=queue,
        incarnation=row["incarnation"],
        name=row["name"],
        partition=row["partition"],
        counts=_counts(tuple(row[column] for column in COUNT_COLUMNS)),
        first_submitted_ms=row["first_submitted"],
        last_transition_ms=row["last_transition"],
        reached=position,
    )


def _counts(numbers: tuple[int | None, ...]) -> dict[JobState, int]:
    return {state: number or 0 for state, number in zip(STATES, numbers, strict=True)}
