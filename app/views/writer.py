"""The dumb end of a view: row operations and the views' positions in one transaction, with a notification.

Input: operations (app.views.view), positions. Output: rows. The position is the guard: it must stand where this writer
believes, so a batch is written once, by one process. Raises app.db.errors only: Unavailable (nothing was written, or it
is not known; the guard tells), PositionMoved, DataRefused.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import assert_never

from app.db.engine import RawConnection, connect
from app.db.errors import DatabaseError, PositionMoved, Unavailable, translated
from app.db.positions import channel, encode_notice
from app.views.view import Copy, Delete, Execute, Insert, Intern, Operation, Upsert, View

INTERNED_MAX = 500_000
STATEMENT_TIMEOUT_MS = 120_000
COPY_PIECE_BYTES = 256 << 10
NOTHING = -1
"""the source offset of a partition of which nothing is written"""

# The positions of a view.
READ = """
SELECT partition, position, next_ordinal, source_offset, first_offset, log_time_ms,
  extract(epoch FROM clock_timestamp() - written_at)::float8 AS age_s
FROM view_positions WHERE view = $1 AND version = $2
"""
# A partition's position moves, if it stands where it is believed to.
MOVE = """
UPDATE view_positions p SET position = u.position, next_ordinal = u.next_ordinal, source_offset = u.source_offset,
  first_offset = u.first_offset, log_time_ms = u.log_time_ms, written_at = clock_timestamp()
FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::int[], $7::bigint[], $8::bigint[], $9::bigint[])
  AS u(partition, expected, position, next_ordinal, source_offset, first_offset, log_time_ms)
WHERE p.view = $1 AND p.version = $2 AND p.partition = u.partition AND p.source_offset = u.expected
"""
# The first position of a partition.
BEGIN = """
INSERT INTO view_positions (view, version, app, partition, position, next_ordinal, source_offset, first_offset,
log_time_ms)
SELECT $1, $2, $3, u.* FROM unnest($4::int[], $5::bigint[], $6::int[], $7::bigint[], $8::bigint[], $9::bigint[]) AS u
ON CONFLICT DO NOTHING
"""
# A compacted topic was at its end just now, though nothing came.
TOUCH = "UPDATE view_positions SET written_at = clock_timestamp() WHERE view = $1 AND version = $2"
NOTIFY = "SELECT pg_notify($1, $2)"
# The topic that the database was filled from.
IDENTIFY = """
INSERT INTO log_identity (topic, topic_id) VALUES ($1, $2)
ON CONFLICT (topic) DO UPDATE SET topic_id = log_identity.topic_id RETURNING topic_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How far a view is in a partition; field by field as in the table view_positions."""

    position: int = -1
    next_ordinal: int = 0
    source_offset: int = NOTHING
    first_offset: int = -1
    log_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewWrite:
    """What one view writes in a transaction. moves: partition -> (where it must stand: source offset, where it is
    then)."""

    view: View
    operations: Sequence[Operation]
    moves: Mapping[int, tuple[int, Stand]]


@dataclass(slots=True)
class _Interned:
    """Keys of rows that are known to stand. New ones count only when their transaction has committed."""

    known: OrderedDict[tuple[str, object], None] = field(default_factory=OrderedDict)
    new: list[tuple[str, object]] = field(default_factory=list)

    def committed(self) -> None:
        self.known.update(dict.fromkeys(self.new))
        self.new.clear()
        while len(self.known) > INTERNED_MAX:
            self.known.popitem(last=False)


class Writer:
    """One connection, which comes back by itself; one transaction at a time."""

    def __init__(self, url: str, app: str, views: Sequence[View]) -> None:
        self._url = url
        self._app = app
        self._views = tuple(views)
        self._connection: RawConnection | None = None
        self._interned = _Interned()
        self._turn = asyncio.Lock()

    async def identify(self, topic: str, topic_id: str) -> None:
        """Notes from which topic the database is filled. Raises PositionMoved when it was another one."""
        async with self._reading() as connection:
            found = await connection.fetchval(IDENTIFY, topic, topic_id)
        if found != topic_id:
            raise PositionMoved(
                f"the database was filled from another log: {topic} had the id {found} and has {topic_id} now; "
                "give the views a new database, or the log that belongs to this one"
            )

    async def read(self, view: View) -> dict[int, tuple[Stand, float]]:
        """Partition -> where the view stands, and seconds since that was written."""
        async with self._reading() as connection:
            rows = await connection.fetch(READ, view.name, view.version)
        return {
            row["partition"]: (Stand(**{name: row[name] for name in Stand.__slots__}), row["age_s"]) for row in rows
        }

    async def touch(self, view: View) -> None:
        """The view is at the end of its compacted topic."""
        async with self._reading() as connection:
            await connection.execute(TOUCH, view.name, view.version)

    async def write(self, writes: Sequence[ViewWrite]) -> None:
        """All or nothing. After Unavailable it is not known which: read the positions."""
        async with self._turn:
            await self._write(writes)

    async def _write(self, writes: Sequence[ViewWrite]) -> None:
        connection = None
        try:
            with translated():
                connection = await self._open()
                async with connection.transaction():
                    for write in writes:
                        await self._move(connection, write)
                        for operation in write.operations:
                            await self._run(connection, operation)
                        vector = {partition: stand.position for partition, (_, stand) in write.moves.items()}
                        notice = encode_notice(write.view.name, write.view.version, vector)
                        await connection.execute(NOTIFY, channel(self._app), notice)
        except BaseException as error:
            self._interned.new.clear()
            if connection is not None and (isinstance(error, Unavailable) or not isinstance(error, DatabaseError)):
                # Whatever is left of this transaction ends with its connection.
                connection.terminate()
                self._connection = None
            raise
        self._interned.committed()

    async def close(self) -> None:
        """Ends the connection, and with it a transaction that is open."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[RawConnection]:
        async with self._turn:
            with translated():
                yield await self._open()

    async def _open(self) -> RawConnection:
        if self._connection is None or self._connection.is_closed():
            settings = {"statement_timeout": str(STATEMENT_TIMEOUT_MS)}
            connection = await connect(self._url, name=f"argosy-view-{self._app}", settings=settings)
            for view in self._views:
                for statement in view.session:
                    await connection.execute(statement)
            self._connection = connection
        return self._connection

    async def _move(self, connection: RawConnection, write: ViewWrite) -> None:
        view = write.view
        begun = [(partition, stand) for partition, (old, stand) in write.moves.items() if old == NOTHING]
        moved = [(partition, old, stand) for partition, (old, stand) in write.moves.items() if old != NOTHING]
        written = 0
        if begun:
            columns = _columns((partition, *_values(stand)) for partition, stand in begun)
            written += _count(await connection.execute(BEGIN, view.name, view.version, view.app_name, *columns))
        if moved:
            columns = _columns((partition, old, *_values(stand)) for partition, old, stand in moved)
            written += _count(await connection.execute(MOVE, view.name, view.version, *columns))
        if written != len(write.moves):
            raise PositionMoved(f"view {view.name}: a position does not stand where this process left it")

    async def _run(self, connection: RawConnection, operation: Operation) -> None:
        match operation:
            case Execute():
                # Not `execute`: without arguments that would parse and plan the statement each time.
                await connection.fetch(operation.statement, *operation.arguments)
            case Copy():
                await connection.copy_to_table(
                    operation.table, source=_source(operation.body), columns=operation.columns, format="binary"
                )
            case Insert():
                if operation.rows:
                    await connection.copy_records_to_table(
                        operation.table, records=operation.rows, columns=operation.columns
                    )
            case Upsert():
                if operation.rows:
                    await connection.executemany(_upsert(operation), operation.rows)
            case Delete():
                if operation.rows:
                    wanted = " AND ".join(f"{column} = ${place}" for place, column in enumerate(operation.key, 1))
                    await connection.executemany(f"DELETE FROM {operation.table} WHERE {wanted}", operation.rows)
            case Intern():
                await self._intern(connection, operation)
            case _:
                assert_never(operation)

    async def _intern(self, connection: RawConnection, operation: Intern) -> None:
        known = self._interned.known
        missing = [(key, row) for key, row in operation.rows.items() if (operation.table, key) not in known]
        if missing:
            places = ", ".join(f"${place}" for place in range(1, len(operation.columns) + 1))
            names = ", ".join(operation.columns)
            statement = f"INSERT INTO {operation.table} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING"
            await connection.executemany(statement, [row for _, row in missing])
            self._interned.new.extend((operation.table, key) for key, _ in missing)


def _upsert(operation: Upsert) -> str:
    places = ", ".join(f"${place}" for place in range(1, len(operation.columns) + 1))
    changed = [column for column in operation.columns if column not in operation.key]
    action = "UPDATE SET " + ", ".join(f"{column} = excluded.{column}" for column in changed) if changed else "NOTHING"
    return (
        f"INSERT INTO {operation.table} ({', '.join(operation.columns)}) VALUES ({places}) "
        f"ON CONFLICT ({', '.join(operation.key)}) DO {action}"
    )


def _values(stand: Stand) -> tuple[int, ...]:
    return (stand.position, stand.next_ordinal, stand.source_offset, stand.first_offset, stand.log_time_ms)


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _count(tag: str) -> int:
    return int(tag.rsplit(" ", 1)[1])


async def _source(body: bytes) -> AsyncIterator[bytes]:
    """In pieces, so that the server reads the first while the next is on its way."""
    for at in range(0, len(body), COPY_PIECE_BYTES):
        yield body[at : at + COPY_PIECE_BYTES]
