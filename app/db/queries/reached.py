"""How far a view has come, read in the same snapshot as rows: what a cursor is made of.

Input: a connection inside `Database.snapshot()`. Output: exact positions, also in the middle of a command's records.
"""

from msgspec import Struct

from app.db.engine import Connection
from app.domain.positions import Position

WHOLE = (1 << 31) - 1
"""the ordinal of a position that includes its whole command"""

# Where the version in force of a view stands, per partition.
REACHED = """
SELECT p.partition, p.position, p.next_ordinal, p.source_offset, p.first_offset, p.log_time_ms
FROM view_positions p JOIN view_registry r ON r.view = p.view AND r.version = p.version AND r.active
WHERE p.view = $1
"""
# The id of the topic that views were filled from.
IDENTITY = "SELECT topic_id FROM log_identity WHERE topic = $1"


class Reached(Struct, frozen=True, kw_only=True):
    """A partition of a view. position: last command wholly included; next_ordinal: first ordinal missing of the one
    after it (0 = all).

    source_offset: last record included of the view's topic. first_offset: the command with which the view begins (-1
    = nothing yet)."""

    partition: int
    position: int
    next_ordinal: int
    source_offset: int
    first_offset: int
    log_time_ms: int

    @property
    def exact(self) -> Position:
        """The last event included."""
        if self.next_ordinal:
            return Position(self.partition, self.position + 1, self.next_ordinal - 1)
        return Position(self.partition, self.position, WHOLE)


async def reached(connection: Connection, view: str) -> dict[int, Reached]:
    """Partition -> how far the view has come there; empty when it is not installed."""
    rows = await connection.fetch(REACHED, view)
    return {row["partition"]: Reached(**dict(row)) for row in rows}


async def topic_identity(connection: Connection, topic: str) -> str | None:
    """Kafka's id of the topic that the views were filled from; None when none was yet."""
    found: str | None = await connection.fetchval(IDENTITY, topic)
    return found
