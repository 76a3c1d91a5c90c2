"""Connections: asyncpg pools for rows (16-byte ids as bytes, times as ms since 1970). SQLAlchemy's engine is in
app.db.definitions, so that a process that only reads does not import it (a second of CPU at its start).

Input: a URL `postgresql://user:password@host:port/database`. The URL holds the password and is never logged.
"""

from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy

# Quoted: asyncpg's classes are generic for the type checker only.
RawConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 60.0
POSTGRES_EPOCH_MS = 946_684_800_000
"""2000-01-01, where Postgres counts its microseconds from"""


async def connect(url: str, *, name: str, settings: dict[str, str] | None = None) -> RawConnection:
    """One connection with our types. Raises what asyncpg raises: use inside `translated()`."""
    connection: RawConnection = await asyncpg.connect(
        _plain(url),
        timeout=CONNECT_TIMEOUT_S,
        server_settings={"application_name": name, "jit": "off", **(settings or {})},
    )
    await set_types(connection)
    return connection


async def make_pool(url: str, *, name: str, connections_max: int, statement_timeout_ms: int) -> Pool:
    """A pool for readers; it connects when first used, so Postgres may be down when it is made.

    Plans are made for the values: which tables of a partitioned view are read depends on them."""
    return await asyncpg.create_pool(
        _plain(url),
        min_size=0,
        max_size=connections_max,
        max_inactive_connection_lifetime=300.0,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        init=set_types,
        server_settings={
            "application_name": name,
            "jit": "off",
            "plan_cache_mode": "force_custom_plan",
            "statement_timeout": str(statement_timeout_ms),
            "idle_in_transaction_session_timeout": "60000",
        },
    )


async def set_types(connection: Any) -> None:
    """uuid <-> 16 bytes, timestamptz <-> ms since 1970 (int)."""
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_encode_time, decoder=_decode_time, format="tuple"
    )


def _encode_time(time_ms: int) -> tuple[int]:
    return ((time_ms - POSTGRES_EPOCH_MS) * 1000,)


def _decode_time(value: tuple[int]) -> int:
    return value[0] // 1000 + POSTGRES_EPOCH_MS


def _plain(url: str) -> str:
    return urlsplit(url)._replace(scheme="postgresql").geturl()
