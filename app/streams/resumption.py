"""Resumption: a partition that is read from where its reader's own database says, whatever the group's offsets are.

Inputs: a function partition -> offset of the first record wanted. Outputs: batches of records in order, one partition
at a time per actor. A reader writes a batch and its own position in one transaction of its database, then calls
`done`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.streams.claims import GRACE_S, Claim, Source
from app.streams.exits import Exit, leave

log = logging.getLogger(__name__)


class Resumption(Claim):
    """Ready as soon as `begin` has answered; an error of it ends the process."""

    def __init__(self, source: Source, begin: Callable[[int], Awaitable[int]]) -> None:
        super().__init__(source)
        self._next = -1
        self._beginning = asyncio.create_task(self._ask(begin))

    @property
    def next_offset(self) -> int:
        return self._next

    def done(self, offset: int) -> None:
        """Everything up to `offset` stands in the reader's database."""
        self._next = offset + 1

    async def end(self) -> None:
        self.ended = True
        try:
            async with asyncio.timeout(GRACE_S):
                await asyncio.shield(self._beginning)
                await self.idle.wait()
        except TimeoutError:
            leave(Exit.OUTLIVED, f"{self.source}: a batch outlived the revocation by {GRACE_S} s")
        self.backlog.clear()

    async def _ask(self, begin: Callable[[int], Awaitable[int]]) -> None:
        try:
            self._next = await begin(self.partition)
        except Exception as error:
            leave(Exit.FAILED, f"{self.source}: it is not known where to begin: {error}", error)
        log.info("%s partition %d goes on at offset %d", *self.source, self._next)
        self.ready = True
