"""Resumption: a partition that is read from where its reader's own database says, whatever the group's offsets are.

Inputs: a function partition -> offset of the first record wanted. Outputs: batches of records in order, one partition
at a time per actor. A reader writes a batch and its own position in one transaction of its database, then calls
`done`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

from app.streams.claims import GRACE_S, Claim, Source
from app.streams.exits import Exit, leave
from app.streams.turns import turns

log = logging.getLogger(__name__)

BATCH_RECORDS_MAX = 1_000
BATCH_BYTES_MAX = 8 << 20


class ReadRecord(NamedTuple):
    """A record of the source topic; times in ms since 1970."""

    offset: int
    key: bytes
    value: bytes
    timestamp_ms: int


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


class Batch:
    """Some records of one partition. As a context manager it quarantines the partition when an exception leaves it."""

    def __init__(self, claim: Resumption, max_records: int, max_bytes: int) -> None:
        self.claim = claim
        self.events: list[Any] = []
        self.records: list[ReadRecord] = []
        self.finished = False
        size = 0
        while claim.backlog and len(self.events) < max_records and size < max_bytes:
            event = claim.backlog.popleft()
            claim.took(event)
            message = event.message
            value = message.value or b""
            size += len(value)
            self.events.append(event)
            self.records.append(
                ReadRecord(message.offset, message.key or b"", value, round((message.timestamp or 0) * 1000))
            )

    @property
    def partition(self) -> int:
        return self.claim.partition

    @property
    def more_waits(self) -> bool:
        """Further records of this partition are here already."""
        return self.claim.in_hand_records > 0

    def done(self) -> None:
        """The batch and the position behind it stand in the reader's database."""
        self.claim.done(self.records[-1].offset)
        self.finished = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            at = self.records[0].offset
            log.error("%s is quarantined at offset %d", self.claim.source, at, exc_info=error)
            self.claim.quarantine(f"offset {at}: {type(error).__name__}: {error}")
            return True
        if error is None and not self.finished:
            leave(Exit.UNCOMMITTED, f"{self.claim.source}: {len(self.records)} records were taken and not written")
        return False


async def batches(
    stream: Any, max_records: int = BATCH_RECORDS_MAX, max_bytes: int = BATCH_BYTES_MAX
) -> AsyncIterator[Batch]:
    """Batches of what is there, at most so many records and bytes (a single larger record comes alone)."""
    async for claim in turns(stream):
        assert isinstance(claim, Resumption)
        batch = Batch(claim, max_records, max_bytes)
        claim.idle.clear()
        try:
            yield batch
            if batch.finished:
                for event in batch.events:
                    await stream.ack(event)
        finally:
            claim.idle.set()
