"""What the last rounds of a former leader left in the token buckets, from argosy.rounds.

Input: the end of argosy.rounds. Output: pool -> (tokens, when that round started). Pools without a limiter are left
out.
"""

import asyncio
import time

from app.domain.rounds import RoundRecord
from app.log.admin import topic_bounds
from app.log.codec import decode
from app.log.errors import LogError
from app.log.reader import LogReader
from app.log.topics import ROUNDS

RECORDS_BACK = 200
READ_MAX_S = 5.0


async def last_tokens(bootstrap: str) -> dict[str, tuple[float, int]]:
    """Reads at most `RECORDS_BACK` records of each partition. Raises LogUnavailable."""
    bounds = await asyncio.to_thread(topic_bounds, bootstrap, ROUNDS)
    start = {partition: max(each.earliest, each.end - RECORDS_BACK) for partition, each in bounds.items()}
    reader = LogReader(bootstrap, ROUNDS, start=start, client_id="argosy-scheduler-rounds")
    await reader.start()
    found: dict[str, tuple[float, int]] = {}
    until_s = time.monotonic() + READ_MAX_S
    try:
        while not reader.at_end and time.monotonic() < until_s:
            for record in await reader.poll():
                try:
                    value = decode(record.value or b"")
                except LogError:
                    continue
                if isinstance(value, RoundRecord) and value.limiter_tokens is not None:
                    found[value.pool] = (value.limiter_tokens, value.started_ms)
    finally:
        await reader.stop()
    return found
