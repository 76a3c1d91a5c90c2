"""Live events of job sets, fanned out: decoded once a job set, gathered into at most ten batches a second, bounded for
each subscriber.

Input: records that the tail has put into its buffer. Output: `StreamBatch` objects, the same ones for all subscribers
of a job set. A subscriber drops what it has already by position, so it may enter at any moment.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from app.api.coordinates import Reached
from app.api.tail.buffer import Held
from app.domain.events import Block, Event

BATCH_INTERVAL_S = 0.1
EVENTS_PER_BATCH_MAX = 2_000
QUEUED_EVENTS_MAX = 20_000
QUEUED_BATCHES_MAX = 300
GRACE_S = 20.0


class ChannelKey(NamedTuple):
    """A job set of one incarnation of a queue."""

    queue: str
    incarnation: int
    job_set: str


class StreamEvent(NamedTuple):
    """An event and where and when (log time) it happened."""

    offset: int
    log_time_ms: int
    event: Event


class StreamBatch:
    """Events of a job set in order. `reached`: what a subscriber has when it has taken the batch. Never changed.

    renderings: what a transport made of the batch, by its own key, so that it is made once for all subscribers."""

    __slots__ = ("events", "reached", "renderings")

    def __init__(self, events: list[StreamEvent], reached: Reached) -> None:
        self.events = events
        self.reached = reached
        self.renderings: dict[Any, Any] = {}

    def after(self, reached: Reached) -> "StreamBatch | None":
        """The part above `reached`: the batch itself, a part of it, or nothing."""
        if self.reached <= reached:
            return None
        first = self.events[0]
        if (first.offset, first.event.ordinal) > reached:
            return self
        rest = [each for each in self.events if (each.offset, each.event.ordinal) > reached]
        return StreamBatch(rest, self.reached) if rest else None


class Mailbox:
    """The bounded queue of one subscriber. When it is full the subscriber is too slow and gets nothing more.

    give_up: called when he has not even taken that word after GRACE_S: his connection takes nothing at all."""

    def __init__(self, give_up: Callable[[], object]) -> None:
        self.too_slow = False
        self._give_up = give_up
        self._grace: asyncio.TimerHandle | None = None
        self.failed: str | None = None
        self._batches: deque[StreamBatch] = deque()
        self._events = 0
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, batch: StreamBatch) -> None:
        if self.too_slow:
            return
        if self._events + len(batch.events) > QUEUED_EVENTS_MAX or len(self._batches) >= QUEUED_BATCHES_MAX:
            self.too_slow = True
            self._batches.clear()
            self._grace = asyncio.get_running_loop().call_later(GRACE_S, self._give_up)
        else:
            self._batches.append(batch)
            self._events += len(batch.events)
        self._wake()

    def close(self) -> None:
        """The subscriber is gone."""
        if self._grace is not None:
            self._grace.cancel()

    def ring(self) -> None:
        """Time goes on: the next `take` returns, with None when there is nothing."""
        self._rung = True
        self._wake()

    def fail(self, message: str) -> None:
        """The tail ended."""
        self.failed = message
        self._wake()

    async def take(self) -> StreamBatch | None:
        """The next batch; None when it was rung for, when the subscriber is too slow, or when the tail failed."""
        while not self._batches:
            if self._rung or self.too_slow or self.failed is not None:
                self._rung = False
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._rung = False
        batch = self._batches.popleft()
        self._events -= len(batch.events)
        return batch

    @property
    def is_empty(self) -> bool:
        return not self._batches

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Channel:
    """One job set that somebody watches."""

    def __init__(self, decode: Callable[[bytes], list[Event]]) -> None:
        self.mailboxes: set[Mailbox] = set()
        self._decode = decode
        self._gathered: list[StreamEvent] = []
        self._reached: Reached | None = None
        self._flushed_at_s = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing waits for the next batch."""
        return not self._gathered

    def add(self, held: Held, block: Block) -> None:
        """Events of a record of the tail."""
        events = self._decode(block.body)
        self._gathered.extend(StreamEvent(held.offset, held.log_time_ms, event) for event in events)
        self._reached = held.reached
        loop = asyncio.get_running_loop()
        due_s = self._flushed_at_s + BATCH_INTERVAL_S
        if loop.time() >= due_s or len(self._gathered) >= EVENTS_PER_BATCH_MAX:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_at(due_s, self._flush)

    def close(self) -> None:
        """Nobody watches any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._gathered or self._reached is None:
            return
        batch = StreamBatch(self._gathered, self._reached)
        self._gathered = []
        self._flushed_at_s = asyncio.get_running_loop().time()
        for mailbox in self.mailboxes:
            mailbox.put(batch)


class Channels:
    """All job sets that somebody watches in this process."""

    def __init__(self, decode: Callable[[bytes], list[Event]]) -> None:
        self._decode = decode
        self._channels: dict[ChannelKey, Channel] = {}

    @property
    def subscribers(self) -> int:
        """Mailboxes that are open."""
        return sum(len(channel.mailboxes) for channel in self._channels.values())

    def on_record(self, held: Held) -> None:
        """A record that the buffer has taken."""
        if not self._channels:
            return
        for block in held.blocks:
            channel = self._channels.get(ChannelKey(block.queue, block.incarnation, block.job_set))
            if channel is not None:
                channel.add(held, block)

    def fail(self, message: str) -> None:
        """The tail ended."""
        for channel in self._channels.values():
            for mailbox in channel.mailboxes:
                mailbox.fail(message)

    def ring(self) -> None:
        """Wakes every subscriber, so that those who heard nothing for long can say that they are there."""
        for channel in self._channels.values():
            for mailbox in channel.mailboxes:
                mailbox.ring()

    def open(self, key: ChannelKey, give_up: Callable[[], object]) -> Mailbox:
        """A mailbox that gets every batch from now on. The caller closes it."""
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(self._decode)
        mailbox = Mailbox(give_up)
        channel.mailboxes.add(mailbox)
        return mailbox

    def close(self, key: ChannelKey, mailbox: Mailbox) -> None:
        """The mailbox gets nothing more."""
        mailbox.close()
        channel = self._channels.get(key)
        if channel is None:
            return
        channel.mailboxes.discard(mailbox)
        if not channel.mailboxes:
            channel.close()
            del self._channels[key]

    def is_quiet(self, key: ChannelKey) -> bool:
        """Everything that the tail has read of this job set was handed to the mailboxes."""
        channel = self._channels.get(key)
        return channel is None or channel.is_empty


def decode_blocks(
    held: Iterable[Held], key: ChannelKey, reached: Reached, decode: Callable[[bytes], list[Event]]
) -> list[StreamEvent]:
    """The events of a job set above `reached` in records of the buffer."""
    found = []
    for record in held:
        for block in record.blocks:
            if (block.job_set, block.queue, block.incarnation) == (key.job_set, key.queue, key.incarnation):
                for event in decode(block.body):
                    if (record.offset, event.ordinal) > reached:
                        found.append(StreamEvent(record.offset, record.log_time_ms, event))
    return found
