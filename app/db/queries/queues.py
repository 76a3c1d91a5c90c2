"""Queues: one by name, and pages in order of their names. Inputs: Database. Output: QueueRecord. Reads view queues."""

from collections.abc import Sequence

import msgspec
from asyncpg import Record
from msgspec import Struct

from app.db.database import Database
from app.domain.commands import QueueSpec

QUEUES = "queues"
PAGE_ROWS_MAX = 200

# A queue by name.
BY_NAME = "SELECT * FROM queues WHERE name = $1"
# Queues by their names.
BY_NAMES = "SELECT * FROM queues WHERE name = ANY($1::text[])"
# Queues behind a name, in order.
AFTER = "SELECT * FROM queues WHERE ($1::text IS NULL OR name > $1) ORDER BY name LIMIT $2"
# Queues before a name, nearest first.
BEFORE = "SELECT * FROM queues WHERE ($1::text IS NULL OR name < $1) ORDER BY name DESC LIMIT $2"
# How many queues there are.
COUNT = "SELECT count(*) FROM queues"


class QueueRecord(Struct, frozen=True, kw_only=True):
    """A queue. incarnation: see app.domain.rows."""

    name: str
    partition: int
    incarnation: int
    created_ms: int
    spec: QueueSpec


class QueuePage(Struct, frozen=True, kw_only=True):
    """Queues in order of their names. more: there are others in the direction of reading."""

    queues: tuple[QueueRecord, ...]
    more: bool
    count: int


_SPECS = msgspec.json.Decoder(QueueSpec)


async def queue(database: Database, name: str) -> QueueRecord | None:
    """A queue, or None when the view knows none of this name. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        row = await connection.fetchrow(BY_NAME, name)
    return _record(row) if row is not None else None


async def queues_named(database: Database, names: Sequence[str]) -> dict[str, QueueRecord]:
    """Those of the names that the view knows. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        rows = await connection.fetch(BY_NAMES, list(names))
    return {row["name"]: _record(row) for row in rows}


async def queues_page(
    database: Database, *, limit: int = 50, name: str | None = None, backwards: bool = False
) -> QueuePage:
    """Up to `limit` (1 to 200) queues after `name`, or, backwards, the last ones before it. Raises ValueError,
    Unavailable, QueryTimeout."""
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise ValueError(f"a page has 1 to {PAGE_ROWS_MAX} rows, {limit} were asked for")
    async with database.snapshot() as connection:
        rows = await connection.fetch(BEFORE if backwards else AFTER, name, limit + 1)
        count = await connection.fetchval(COUNT)
    found = [_record(row) for row in rows[:limit]]
    return QueuePage(queues=tuple(reversed(found) if backwards else found), more=len(rows) > limit, count=count)


def _record(row: Record) -> QueueRecord:
    return QueueRecord(
        name=row["name"],
        partition=row["partition"],
        incarnation=row["incarnation"],
        created_ms=row["created"],
        spec=_SPECS.decode(row["spec"]),
    )
