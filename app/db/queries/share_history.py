"""Shares of queues in a pool over time. Inputs: Database, pool, begin. Output: SharePoint. Reads view share_history."""

from msgspec import Struct

from app.db.database import Database

ROWS_MAX = 20_000

# What was reported since, and for each queue the last report before.
SINCE = """
(SELECT DISTINCT ON (queue) bucket, queue, fair, adjusted, demand, actual FROM share_history
  WHERE pool = $1 AND bucket < $2 AND bucket >= $2 - interval '1 day' ORDER BY queue, bucket DESC)
UNION ALL
(SELECT bucket, queue, fair, adjusted, demand, actual FROM share_history
  WHERE pool = $1 AND bucket >= $2 AND ($3::text IS NULL OR queue = $3) ORDER BY bucket DESC LIMIT $4)
ORDER BY bucket, queue
"""


class SharePoint(Struct, frozen=True, kw_only=True):
    """From at_ms on, until the queue's next point. Fractions of the pool."""

    at_ms: int
    queue: str
    fair: float
    adjusted: float
    demand: float
    actual: float


async def share_history(
    database: Database, pool: str, *, begin_ms: int, queue: str | None = None
) -> tuple[SharePoint, ...]:
    """In order of time; the first point of a queue may be older than begin. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        rows = await connection.fetch(SINCE, pool, begin_ms, queue, ROWS_MAX)
    return tuple(
        SharePoint(
            at_ms=row["bucket"],
            queue=row["queue"],
            fair=row["fair"],
            adjusted=row["adjusted"],
            demand=row["demand"],
            actual=row["actual"],
        )
        for row in rows
        if queue is None or row["queue"] == queue
    )
