"""Scheduling rounds of a pool, newest first, and the queues' shares in it. Inputs: Database. Output: RoundSummary,
RoundRecord, QueueShare.

Reads view rounds.
"""

import msgspec
from asyncpg import Record
from msgspec import Struct

from app.db.codecs import unpacked_body
from app.db.database import Database
from app.domain.rounds import QueueShare, RoundRecord

ROUNDS = "rounds"
PAGE_ROWS_MAX = 200

# Rounds of a pool before a key, newest first.
BEFORE = """
SELECT round_id, pool, epoch, kind, started, nodes, queued, running, considered, placed, preempted, blocked, timings
FROM rounds
WHERE pool = $1 AND ($2::timestamptz IS NULL OR (started, round_id) < ($2, $3::uuid)) ORDER BY started DESC, round_id
DESC LIMIT $4
"""
# The whole record of a round.
BODY = "SELECT body FROM rounds WHERE round_id = $1 LIMIT 1"
# The latest shares of the queues of a pool (of all pools when null).
SHARES = "SELECT pool, share FROM rounds_shares WHERE $1::text IS NULL OR pool = $1 ORDER BY pool, queue"


class RoundKey(Struct, frozen=True, kw_only=True):
    """Where a page of rounds continues."""

    started_ms: int
    round_id: bytes


class RoundSummary(Struct, frozen=True, kw_only=True):
    """A round in numbers. timings_us: phase -> microseconds; blocked: jobs considered and not placed."""

    round_id: bytes
    pool: str
    epoch: int
    kind: str
    started_ms: int
    nodes: int
    queued: int
    running: int
    considered: int
    placed: int
    preempted: int
    blocked: int
    timings_us: dict[str, int]


class RoundPage(Struct, frozen=True, kw_only=True):
    """Rounds, newest first. more: there are older ones."""

    rounds: tuple[RoundSummary, ...]
    more: bool


_TIMINGS = msgspec.json.Decoder(dict[str, int])
_SHARES = msgspec.json.Decoder(QueueShare)
_ROUNDS = msgspec.msgpack.Decoder(RoundRecord)


async def rounds_page(database: Database, pool: str, *, limit: int = 50, key: RoundKey | None = None) -> RoundPage:
    """Up to `limit` (1 to 200) rounds older than `key`. Raises ValueError, Unavailable, QueryTimeout."""
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise ValueError(f"a page has 1 to {PAGE_ROWS_MAX} rows, {limit} were asked for")
    started, round_id = (key.started_ms, key.round_id) if key is not None else (None, None)
    async with database.reading() as connection:
        rows = await connection.fetch(BEFORE, pool, started, round_id, limit + 1)
    return RoundPage(rounds=tuple(_summary(row) for row in rows[:limit]), more=len(rows) > limit)


async def round_by_id(database: Database, round_id: bytes) -> RoundRecord | None:
    """The whole round, or None. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        body = await connection.fetchval(BODY, round_id)
    return _ROUNDS.decode(unpacked_body(body)) if body is not None else None


async def shares(database: Database, pool: str | None = None) -> tuple[tuple[str, QueueShare], ...]:
    """(pool, share) of every queue as the last round that reported shares left them. Raises Unavailable,
    QueryTimeout."""
    async with database.reading() as connection:
        rows = await connection.fetch(SHARES, pool)
    return tuple((row["pool"], _SHARES.decode(row["share"])) for row in rows)


def _summary(row: Record) -> RoundSummary:
    return RoundSummary(
        round_id=row["round_id"],
        pool=row["pool"],
        epoch=row["epoch"],
        kind=row["kind"],
        started_ms=row["started"],
        nodes=row["nodes"],
        queued=row["queued"],
        running=row["running"],
        considered=row["considered"],
        placed=row["placed"],
        preempted=row["preempted"],
        blocked=row["blocked"],
        timings_us=_TIMINGS.decode(row["timings"]),
    )
