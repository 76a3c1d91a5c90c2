"""Collects items of many callers into one record per partition: a record costs 20 times what an item in it costs.

Input: items for a partition. Output: where the record that holds them was appended. What comes within `linger_ms` of
the first item goes into one record; a record that would be too large, or would have more than `items_max` items, is
cut between callers, else between items.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct

from app.log.codec import encode
from app.log.errors import LogError, RecordTooLarge
from app.log.producer import LogProducer, Sent, size_limit

LINGER_MS = 20
ITEMS_MAX = 1_000

Item = TypeVar("Item")


@dataclass(slots=True, eq=False)
class _Call(Generic[Item]):
    """What one caller added."""

    items: Sequence[Item]
    sent: asyncio.Future[Sent]

    def fail(self, error: LogError) -> None:
        if not self.sent.done():
            self.sent.set_exception(error)


class _Waiting(Generic[Item]):
    """What waits for the next record of a partition."""

    def __init__(self) -> None:
        self.calls: list[_Call[Item]] = []
        self.items = 0
        self.full = asyncio.Event()
        self.turn = asyncio.Lock()


class Collector(Generic[Item]):
    """One per kind of record. record_of makes the record of its items."""

    def __init__(
        self,
        producer: LogProducer,
        topic: str,
        record_of: Callable[[tuple[Item, ...]], Struct],
        *,
        linger_ms: int = LINGER_MS,
        items_max: int = ITEMS_MAX,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._record_of = record_of
        self._linger_s = linger_ms / 1000
        self._items_max = items_max
        self._partitions: dict[int, _Waiting[Item]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, partition: int, items: Sequence[Item]) -> Sent:
        """Returns when the record that holds the items (the last one, when they needed several) is acknowledged.

        Items of one partition stand in the log in the order of calls. Raises what LogProducer.send raises, and
        Unencodable; a caller whose items cannot be encoded fails alone."""
        if not items:
            raise ValueError("nothing to collect")
        waiting = self._partitions.get(partition)
        if waiting is None:
            waiting = self._partitions[partition] = _Waiting()
        call = _Call(items, asyncio.get_running_loop().create_future())
        waiting.calls.append(call)
        waiting.items += len(items)
        if len(waiting.calls) == 1:
            self._keep(self._send_later(partition, waiting))
        if waiting.items >= self._items_max:
            waiting.full.set()
        return await call.sent

    async def stop(self) -> None:
        """Sends what waits, at once, and returns when all of it is acknowledged or failed."""
        for waiting in self._partitions.values():
            waiting.full.set()
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _keep(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_later(self, partition: int, waiting: _Waiting[Item]) -> None:
        try:
            async with asyncio.timeout(self._linger_s):
                await waiting.full.wait()
        except TimeoutError:
            pass
        # One after the other: the next record of this partition stands behind this one.
        async with waiting.turn:
            calls, waiting.calls, waiting.items = waiting.calls, [], 0
            waiting.full.clear()
            for group in self._groups(calls):
                await self._send(partition, group)

    def _groups(self, calls: list[_Call[Item]]) -> Iterator[list[_Call[Item]]]:
        """Calls whose items go into one record, as far as their number says."""
        group: list[_Call[Item]] = []
        count = 0
        for call in calls:
            if group and count + len(call.items) > self._items_max:
                yield group
                group, count = [], 0
            group.append(call)
            count += len(call.items)
        if group:
            yield group

    async def _send(self, partition: int, calls: list[_Call[Item]]) -> None:
        """Puts the records of these calls behind all earlier ones; who called hears of the acknowledgement later."""
        try:
            records = self._records([item for call in calls for item in call.items])
        except LogError as error:
            if len(calls) == 1:
                calls[0].fail(error)
                return
            for call in calls:
                await self._send(partition, [call])
            return
        acknowledged: list[asyncio.Task[Sent]] = []
        try:
            for record in records:
                acknowledged.append(await self._producer.enqueue(self._topic, partition, record))
        except LogError as error:
            for call in calls:
                call.fail(error)
            return
        self._keep(self._tell(calls, acknowledged))

    def _records(self, items: list[Item]) -> list[bytes]:
        """The items in as few records as their number and size allow. Raises Unencodable, RecordTooLarge."""
        if len(items) <= self._items_max:
            record = encode(self._record_of(tuple(items)))
            if len(record) <= size_limit(self._topic):
                return [record]
            if len(items) == 1:
                raise RecordTooLarge(len(record), size_limit(self._topic))
        half = min(self._items_max, (len(items) + 1) // 2)
        return self._records(items[:half]) + self._records(items[half:])

    async def _tell(self, calls: list[_Call[Item]], acknowledged: "list[asyncio.Task[Sent]]") -> None:
        try:
            for task in acknowledged:
                sent = await task
        except LogError as error:
            for call in calls:
                call.fail(error)
            return
        for call in calls:
            if not call.sent.done():
                call.sent.set_result(sent)
