"""The events of a job set after a position, as they stand in argosy.events, with the view's position from the same
snapshot.

Inputs: Database, the job set's number (app.db.names.job_set_id), its partition, the position of the last event that
the reader has.
Output: EventsPage. When nothing is left the reader goes on in argosy.events after `source_offset`: no gap, no
duplicate.
"""

from msgspec import Struct

from app.db.codecs import unpacked_body
from app.db.database import Database
from app.db.queries.job_records import ORDINAL_BITS, ORDINAL_MASK, packed
from app.db.queries.job_sets import HISTORY
from app.db.queries.reached import Reached, reached
from app.domain.positions import Position

ROWS_MAX = 500

# Rows of a job set from a command on, in order; the first may hold events that the reader has.
AFTER = """
SELECT position, at, count, body FROM history_job_set_events
WHERE job_set_id = $1 AND position >= $2 ORDER BY position LIMIT $3
"""


class EventsBlock(Struct, frozen=True, kw_only=True):
    """Events of one command and job set. first_ordinal: of its first event; body: Avro array of Event
    (app.log.codec.decode_events)."""

    offset: int
    first_ordinal: int
    count: int
    log_time_ms: int
    body: bytes


class EventsPage(Struct, frozen=True, kw_only=True):
    """Blocks in order. The first may hold events at or before `after`: the reader leaves those out.

    more: ask again after the last event given. reached: the partition of view history in the same snapshot (None:
    nothing is included)."""

    blocks: tuple[EventsBlock, ...]
    more: bool
    reached: Reached | None


async def job_set_events(
    database: Database, job_set_id: int, partition: int, after: Position | None, limit: int = ROWS_MAX
) -> EventsPage:
    """Up to `limit` blocks that may hold events behind `after` (None: from the beginning). Raises Unavailable,
    QueryTimeout."""
    # A command's blocks of one job set may be several (records are cut): begin with the command itself.
    start = packed(after.offset, 0) if after is not None else packed(0, 0)
    async with database.snapshot() as connection:
        rows = await connection.fetch(AFTER, job_set_id, start, min(limit, ROWS_MAX) + 1)
        stands = (await reached(connection, HISTORY)).get(partition)
    blocks = tuple(
        EventsBlock(
            offset=row["position"] >> ORDINAL_BITS,
            first_ordinal=row["position"] & ORDINAL_MASK,
            count=row["count"],
            log_time_ms=row["at"],
            body=unpacked_body(row["body"]),
        )
        for row in rows[: min(limit, ROWS_MAX)]
    )
    return EventsPage(blocks=blocks, more=len(rows) > len(blocks), reached=stands)
