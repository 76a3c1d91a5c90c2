"""Turns: who works on which partition when several actors of an agent share one stream.

Input: a Faust stream whose records carry claims. Output: claims with a backlog, each to one actor at a time, so that
a partition is worked on in order while different partitions are worked on at once. The agent needs more actors
(`concurrency`) than partitions: one must be free to receive.
"""

from collections.abc import AsyncIterator
from typing import Any

from app.streams.claims import Claim


async def turns(stream: Any) -> AsyncIterator[Claim]:
    """Yields a claim again and again while it is live and has a backlog, then receives the next record."""
    async for event in stream.noack().events():
        claim: Claim = event.message.claim
        claim.received(event)
        if claim.busy:
            continue
        claim.busy = True
        try:
            while claim.backlog and claim.live:
                yield claim
        finally:
            claim.busy = False
