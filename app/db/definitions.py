"""A transaction for changing definitions of tables, one such change at a time in a database.

Output: SQLAlchemy's connection inside a transaction that holds the advisory lock of definitions.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from app.db.errors import translated

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

LOCK = 0x6172676F7379
"""the advisory lock of everybody who changes definitions"""


@asynccontextmanager
async def definitions(url: str) -> AsyncIterator["AsyncConnection"]:
    """Commits when the block ends well. Raises Unavailable, DatabaseError."""
    # It brings the whole object-relational mapper: 0.4 s of CPU, of no use where nothing is to be defined.
    from sqlalchemy.ext.asyncio import create_async_engine

    plain = urlsplit(url)._replace(scheme="postgresql+asyncpg").geturl()
    made = create_async_engine(plain, poolclass=NullPool)
    try:
        with translated():
            try:
                async with made.begin() as connection:
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
                    yield connection
            except DBAPIError as error:
                # SQLAlchemy wraps the adapter's error, which wraps asyncpg's.
                cause = error.orig.__cause__ if error.orig is not None else None
                raise (cause or error) from error
    finally:
        await made.dispose()
