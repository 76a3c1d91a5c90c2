"""What the last rounds of a former leader left in the token buckets, from argosy.rounds.

Input: the end of argosy.rounds. Output: pool -> what its last round left. Pools without limiters are left out.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from app.domain.rounds import RoundRecord
from app.log.admin import topic_bounds
from app.log.codec import decode
from app.log.errors import LogError
from app.log.reader import LogReader
from app.log.topics import ROUNDS

RECORDS_BACK = 200
READ_MAX_S = 5.0


class LastTokens(NamedTuple):
    """Tokens of a pool (None = it had no limiter) and of its queues, and when that round started."""

    pool: float | None
    queues: Mapping[str, float]
    started_ms: int


async def last_tokens(bootstrap: str) -> dict[str, LastTokens]:
    """Reads at most `RECORDS_BACK` records of each partition. Raises LogUnavailable."""
    bounds = await asyncio.to_thread(topic_bounds, bootstrap, ROUNDS)
    start = {partition: max(each.earliest, each.end - RECORDS_BACK) for partition, each in bounds.items()}
    reader = LogReader(bootstrap, ROUNDS, start=start, client_id="argosy-scheduler-rounds")
    await reader.start()
    found: dict[str, LastTokens] = {}
    until_s = time.monotonic() + READ_MAX_S
    try:
        while not reader.at_end and time.monotonic() < until_s:
            for record in await reader.poll():
                try:
                    value = decode(record.value or b"")
                except LogError:
                    continue
                if not isinstance(value, RoundRecord):
                    continue
                if value.limiter_tokens is not None or value.queue_tokens:
                    found[value.pool] = LastTokens(value.limiter_tokens, value.queue_tokens, value.started_ms)
    finally:
        await reader.stop()
    return found
