"""What the latest rounds said of a job that waits. Inputs: Database, the job's record, its shape's hash. Output:
WaitingFound. Reads views rounds and history.
"""

import msgspec
from msgspec import Struct

from app.db import names
from app.db.codecs import unpacked_body
from app.db.database import Database
from app.db.queries.job_records import JobRecord
from app.domain.rounds import Blocked, RoundRecord

ROUNDS_MAX = 20
AHEAD_MAX = 50_000
"""jobs of the queue that are looked at"""

# The latest rounds that left jobs without a place.
LATEST = """
SELECT body FROM rounds WHERE ($1::text[] IS NULL OR pool = ANY($1)) AND blocked > 0 AND started <= $2
ORDER BY started DESC LIMIT $3
"""
# Jobs of the queue that stand before a job: lower priority numbers first, then the older.
AHEAD = """
SELECT count(*) FILTER (WHERE (priority, job_id) < ($2::bigint, $3::uuid)) AS ahead, count(*) AS seen FROM (
  SELECT priority, job_id FROM history_jobs WHERE state = 0 AND queue_id = $1 ORDER BY job_id LIMIT $4) AS q
"""


class BlockedAt(Struct, frozen=True, kw_only=True):
    """The words of a round for jobs of this queue and shape."""

    round_id: bytes
    pool: str
    at_ms: int
    epoch: int
    blocked: Blocked


class WaitingFound(Struct, frozen=True, kw_only=True):
    """blocked: newest first. ahead: jobs of the queue before it, among the `seen` oldest; ahead_complete: all were
    seen."""

    blocked: tuple[BlockedAt, ...]
    ahead: int
    ahead_complete: bool


_ROUNDS = msgspec.msgpack.Decoder(RoundRecord)


async def waiting(database: Database, job: JobRecord, shape_hash: bytes | None, at_ms: int) -> WaitingFound:
    """Raises Unavailable, QueryTimeout."""
    queue_id = names.name_id(names.QUEUE, job.queue)
    async with database.reading() as connection:
        rows = await connection.fetch(LATEST, list(job.pools) or None, at_ms, ROUNDS_MAX)
        counted = await connection.fetchrow(AHEAD, queue_id, job.priority, job.job_id, AHEAD_MAX)
    found = []
    for row in rows:
        record = _ROUNDS.decode(unpacked_body(row["body"]))
        for blocked in (*record.quarantined, *record.blocked):
            is_its_own = blocked.example == job.job_id
            if blocked.queue == job.queue and (is_its_own or blocked.shape_hash == shape_hash):
                found.append(
                    BlockedAt(
                        round_id=record.round_id,
                        pool=record.pool,
                        at_ms=record.started_ms,
                        epoch=record.epoch,
                        blocked=blocked,
                    )
                )
    ahead, seen = (counted["ahead"], counted["seen"]) if counted is not None else (0, 0)
    return WaitingFound(blocked=tuple(found), ahead=ahead, ahead_complete=seen < AHEAD_MAX)
