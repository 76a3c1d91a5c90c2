"""A process's view of the database: one bounded pool of connections and the cache of names. Queries take a `Database`.

Owner of the pool. Reading only: views are written by app.views.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.engine import CONNECT_TIMEOUT_S, Connection, Pool, make_pool
from app.db.errors import translated
from app.db.names import Names

CONNECTIONS_MAX = 8
STATEMENT_TIMEOUT_MS = 10_000


class Database:
    """`await Database.open(url)`; needs no server to be there yet."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.names = Names()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        name: str = "argosy",
        connections_max: int = CONNECTIONS_MAX,
        statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    ) -> "Database":
        """name: what Postgres shows in pg_stat_activity."""
        pool = await make_pool(
            url, name=name, connections_max=connections_max, statement_timeout_ms=statement_timeout_ms
        )
        return cls(pool)

    async def close(self) -> None:
        """Ends all connections; queries that run are ended too."""
        self._pool.terminate()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for single queries. Raises Unavailable, NotInstalled, QueryTimeout."""
        with translated():
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A connection on which all queries see the same moment: rows and view positions that belong together."""
        async with (
            self.reading() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection
