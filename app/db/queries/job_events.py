"""Every event of one job. Inputs: Database, job id. Output: JobEventsFound. Reads view history.

Events stand in one packed row per command and job set, so the rows of the job's set between its submission and its last
transition are looked through, oldest and newest first; a job of a very busy set that lived long may have more of them
than are looked at, and the answer says so.
"""

from msgspec import Struct

from app.db import names
from app.db.codecs import unpacked_body
from app.db.database import Database
from app.db.queries.job_records import ORDINAL_BITS, ORDINAL_MASK, JobRecord, job_records
from app.db.queries.job_set_events import EventsBlock
from app.db.queries.jobs import BY_ID
from app.domain.ids import partition_of_job, time_ms_of

ROWS_MAX = 2_000
BEFORE_MS = 60_000
"""an id's time is the API's clock, rows have the broker's"""

# Rows of a job set in a range of time, from one end.
BETWEEN = """
SELECT position, at, count, body FROM history_job_set_events
WHERE job_set_id = $1 AND at BETWEEN $2 AND $3 ORDER BY position {way} LIMIT $4
"""


class JobEventsFound(Struct, frozen=True, kw_only=True):
    """Rows in order; they hold events of other jobs of the set too. complete: none was left out."""

    job: JobRecord
    partition: int
    blocks: tuple[EventsBlock, ...]
    complete: bool


async def events_of_job(database: Database, job_id: bytes) -> JobEventsFound | None:
    """None when the history does not know the job. Raises Unavailable, QueryTimeout."""
    async with database.snapshot() as connection:
        rows = await connection.fetch(BY_ID, job_id)
        if not rows:
            return None
        (job,) = await job_records(connection, database.names, rows)
        job_set = names.job_set_id(job.queue, job.incarnation, job.job_set)
        begin, end = time_ms_of(job_id) - BEFORE_MS, job.last_transition_ms + BEFORE_MS
        found = await connection.fetch(BETWEEN.format(way="ASC"), job_set, begin, end, ROWS_MAX)
        if len(found) == ROWS_MAX:
            last = await connection.fetch(BETWEEN.format(way="DESC"), job_set, begin, end, ROWS_MAX)
            seen = found[-1]["position"]
            rest = [row for row in reversed(last) if row["position"] > seen]
            complete = len(rest) < ROWS_MAX
            found = [*found, *rest]
        else:
            complete = True
    blocks = tuple(
        EventsBlock(
            offset=row["position"] >> ORDINAL_BITS,
            first_ordinal=row["position"] & ORDINAL_MASK,
            count=row["count"],
            log_time_ms=row["at"],
            body=unpacked_body(row["body"]),
        )
        for row in found
    )
    return JobEventsFound(job=job, partition=partition_of_job(job_id), blocks=blocks, complete=complete)
