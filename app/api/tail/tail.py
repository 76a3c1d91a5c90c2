"""The reader of argosy.events in an API process: from shortly before the end of each partition, for as long as the
process lives.

Input: committed records of all partitions. Output: the calls of `buffers`, `outcomes`, `channels` and
`cluster_signals`. Ready when it has reached the end. A broker that stays away is waited for; a hole, an undecodable
record or records that were deleted before they were read end it (`run` raises).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from app.api.log_ports import LogRecord, LogSource
from app.api.tail.buffer import PartitionBuffer
from app.api.tail.channels import Channels
from app.api.tail.cluster_signals import ClusterSignals
from app.api.tail.outcomes import Outcomes
from app.domain.events import Event, EventsRecord
from app.log.errors import LogUnavailable

BUFFER_BYTES_MAX = 64 << 20
"""of all partitions together"""
POLL_RECORDS_MAX = 500
POLL_TIMEOUT_MS = 200
BELL_INTERVAL_S = 1.0
RETRY_INTERVAL_S = 1.0
BACK_OFFSETS = (256, 16_384, 1 << 62)
"""How far before the end it begins, so that it knows where each partition stands; farther when nothing is there."""

logger = logging.getLogger(__name__)


class EventsTopic(Protocol):
    """How the tail gets at argosy.events."""

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """partition -> (first offset that is kept, offset after the last one)."""

    async def open(self, start: dict[int, int]) -> LogSource:
        """A started reader of these partitions, each from its offset."""


class Tail:
    """One per process. partitions: P of the installation."""

    def __init__(
        self,
        topic: EventsTopic,
        partitions: int,
        *,
        decode_record: Callable[[bytes], EventsRecord],
        decode_events: Callable[[bytes], list[Event]],
        buffer_bytes_max: int = BUFFER_BYTES_MAX,
    ) -> None:
        self.buffers = [PartitionBuffer(number, buffer_bytes_max // partitions) for number in range(partitions)]
        self.outcomes = Outcomes()
        self.channels = Channels(decode_events)
        self.cluster_signals = ClusterSignals()
        self.decode_events = decode_events
        self.decode_record = decode_record
        self.topic = topic
        self.ready = False
        self.records_read = 0
        self._next: dict[int, int] = {}

    async def run(self) -> None:
        """Reads until it is cancelled. Raises HoleFound, Undecodable, OffsetsGone; those who wait are told first."""
        bell = asyncio.create_task(self._ring())
        try:
            while True:
                try:
                    await self._find_places()
                    await self._follow()
                except LogUnavailable as error:
                    # Nothing is lost: it goes on where it stood, and those who wait give up by themselves.
                    self.ready = False
                    logger.warning("argosy.events cannot be read now: %s", error)
                    await asyncio.sleep(RETRY_INTERVAL_S)
        except Exception as error:
            self.ready = False
            logger.error("the tail of argosy.events ended: %s", error)
            self.outcomes.fail(str(error))
            self.channels.fail(str(error))
            raise
        finally:
            bell.cancel()

    async def _find_places(self) -> None:
        """Reads the last records of each partition, so that it is known where each stands."""
        unseen = set(range(len(self.buffers))) - self._next.keys()
        if not unseen:
            return
        bounds = await self.topic.bounds()
        for back in BACK_OFFSETS:
            start = {p: max(bounds[p][0], bounds[p][1] - back) for p in unseen}
            source = await self.topic.open(start)
            try:
                while not source.at_end:
                    self._take(await source.poll(POLL_RECORDS_MAX, POLL_TIMEOUT_MS))
            finally:
                await source.stop()
            for p in unseen - self._next.keys():
                if start[p] == bounds[p][0]:
                    if start[p] == 0:
                        self.buffers[p].begin_empty()
                    self._next[p] = start[p]
            unseen -= self._next.keys()
            if not unseen:
                return

    async def _follow(self) -> None:
        """Reads on. Raises LogUnavailable when the broker stays away."""
        source = await self.topic.open(self._next)
        try:
            while True:
                if not self.ready and source.at_end:
                    self.ready = True
                self._take(await source.poll(POLL_RECORDS_MAX, POLL_TIMEOUT_MS))
        finally:
            await source.stop()

    def _take(self, records: Sequence[LogRecord]) -> None:
        for raw in records:
            if raw.value is None:
                continue
            record = self.decode_record(raw.value)
            held = self.buffers[raw.partition].add(record, raw.offset)
            self.outcomes.on_record(raw.partition, record)
            self.channels.on_record(held)
            self.cluster_signals.on_record(raw.partition, record)
            self._next[raw.partition] = raw.offset + 1
            self.records_read += 1

    async def _ring(self) -> None:
        while True:
            await asyncio.sleep(BELL_INTERVAL_S)
            self.channels.ring()
