"""Reads committed records of some partitions of a topic from given offsets on: the tail of the API, feeds, views,
replays.

Inputs: a topic and start offsets (the log's own offsets; no consumer group). Outputs: batches of records, in order
per partition. Fetching and making records of them happen in the reader's own thread; `poll` costs the event loop one
wake-up.
"""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from app.log.errors import LogUnavailable, OffsetsGone
from app.log.partition_feed import END_WAIT_MS, SILENCE_MAX_S, PartitionFeed, Record

__all__ = ["LogReader", "LogUnavailable", "OffsetsGone", "Record"]


class LogReader:
    """One per purpose, in one event loop: `start`, `poll` again and again, `stop`.

    partitions: those to read (None: those of `start`); start: partition -> offset of the first record wanted, 0 where
    it is missing. end_wait_ms: how soon an end is known, and how often an idle broker is asked; silence_max_s: a
    broker that is silent for longer fails poll.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partitions: Iterable[int] | None = None,
        start: Mapping[int, int] | None = None,
        *,
        read_committed: bool = True,
        client_id: str = "argosy-reader",
        end_wait_ms: int = END_WAIT_MS,
        silence_max_s: float = SILENCE_MAX_S,
    ) -> None:
        start = start or {}
        wanted = start if partitions is None else partitions
        self.topic = topic
        self._feed = PartitionFeed(
            bootstrap,
            topic,
            {partition: start.get(partition, 0) for partition in wanted},
            client_id=client_id,
            read_committed=read_committed,
            end_wait_ms=end_wait_ms,
            silence_max_s=silence_max_s,
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"read-{topic}")
        self._taking: asyncio.Future[list[Record]] | None = None
        self._left: list[Record] = []

    async def start(self) -> None:
        """Raises OffsetsGone (a start offset is not kept, or lies behind the end), TopicMismatch, LogUnavailable."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._feed.open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    async def poll(self, max_records: int = 10_000, timeout_ms: int = 200) -> list[Record]:
        """The next records, as soon as there are some; empty after `timeout_ms`, or when all partitions have come to
        their ends meanwhile.

        Cancelling loses nothing. Raises OffsetsGone (the records that come next were deleted), TopicMismatch,
        LogUnavailable."""
        if self._left:
            records, self._left = self._left[:max_records], self._left[max_records:]
            return records
        if self._taking is None:
            self._taking = asyncio.get_running_loop().run_in_executor(
                self._thread, self._feed.take, max_records, timeout_ms / 1000
            )
        # Shielded: the thread cannot be stopped in the middle, and what it took belongs to the next call.
        records = await asyncio.shield(self._taking)
        self._taking = None
        if len(records) > max_records:
            records, self._left = records[:max_records], records[max_records:]
        return records

    @property
    def at_end(self) -> bool:
        """Every partition has been at its end since the start, transaction markers included, and all that came since
        was handed out."""
        return not self._left and self._taking is None and len(self._feed.ended) == len(self._feed.positions)

    @property
    def heard_at_s(self) -> float:
        """Monotonic time of the broker's last sign of life: a record, an end, or an answer to a question every 3 s."""
        return self._feed.heard_at_s

    def positions(self) -> dict[int, int]:
        """partition -> offset behind what was handed out (transaction markers included where the end was reached)."""
        positions = dict(self._feed.positions)
        for record in reversed(self._left):
            positions[record.partition] = record.offset
        return positions

    async def end_offsets(self) -> dict[int, int]:
        """partition -> offset behind its last record as of now, open transactions included. Raises LogUnavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._feed.end_offsets)

    async def stop(self) -> None:
        """Waits for the thread: at most as long as the time-out of the last poll."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._feed.close)
        self._thread.shutdown(wait=False)
        if self._taking is not None and self._taking.done() and not self._taking.cancelled():
            # Its records are not wanted any more; an error would be reported as never retrieved.
            self._taking.exception()
