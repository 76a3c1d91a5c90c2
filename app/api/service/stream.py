"""The stream of a job set: history from Postgres, then the live tail, no gap and no duplicate.

Inputs: queue, job set, cursor, filters. Output: `StreamStep`s. Whoever begins behind the tail's buffer reads rows of
the history, each page with the view's position from the same snapshot; when no row is left and the view has passed the
oldest buffered event he changes over to the tail, else he reads argosy.events from the view's offset until he meets the
buffer. Errors: INVALID, NOT_FOUND, FORBIDDEN, CURSOR_EXPIRED, CONSUMER_TOO_SLOW (with the cursor to go on from),
RATE_LIMITED, UNAVAILABLE.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from app.api.coordinates import NOTHING, WHOLE_COMMAND, Coordinates, Reached, StreamCursor
from app.api.errors import ApiError
from app.api.service.stream_history import StreamHistory
from app.api.tail.buffer import PartitionBuffer
from app.api.tail.channels import (
    EVENTS_PER_BATCH_MAX,
    ChannelKey,
    Mailbox,
    StreamBatch,
    StreamEvent,
    decode_blocks,
)
from app.api.tail.tail import POLL_RECORDS_MAX, POLL_TIMEOUT_MS, Tail
from app.db.queries.job_set_events import EventsPage
from app.db.queries.queues import QueueRecord
from app.domain.commands import Principal
from app.domain.errors import ErrorCode
from app.domain.lifecycle import EventKind
from app.domain.positions import Position
from app.domain.routing import partition_of_name

BEGIN = "BEGIN"
HEARTBEAT_INTERVAL_S = 15.0
HISTORY_ROWS_MAX = 64
"""A row holds the events of one command, up to 1,000 of them."""
LOG_READERS_MAX = 8
AHEAD_WAIT_S = 5.0
"""How long a cursor may be ahead of this process's tail: another process gave it out."""
AHEAD_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """after: a cursor, "BEGIN" or None (from now). kinds, job_ids: only these. live: go on when caught up."""

    queue: str
    job_set: str
    after: str | None
    kinds: frozenset[EventKind] | None
    job_ids: frozenset[bytes] | None
    live: bool

    def wants(self, event: StreamEvent) -> bool:
        return (self.kinds is None or event.event.kind in self.kinds) and (
            self.job_ids is None or event.event.job_id in self.job_ids
        )


class StreamStep(NamedTuple):
    """A batch for the subscriber; without events it only says where he stands. One object for equal ones."""

    key: ChannelKey
    batch: StreamBatch
    caught_up: bool
    heartbeat: bool


class WatchedQueues(Protocol):
    """Queues, and whether somebody may watch them."""

    async def watched(self, name: str, principal: Principal, *, incarnation: int = -1) -> QueueRecord:
        """The queue. Raises ApiError NOT_FOUND, FORBIDDEN, UNAVAILABLE."""


class _Subscription:
    """One subscriber: where he stands (`at`) and what he wants."""

    def __init__(self, request: StreamRequest, key: ChannelKey, partition: int, at: Reached) -> None:
        self.request = request
        self.key = key
        self.partition = partition
        self.at = at
        self.first = at
        """where he began"""

    def step(self, events: list[StreamEvent], reached: Reached, *, caught_up: bool = False) -> StreamStep | None:
        """Takes events and moves on; None when nothing is left of them and there is nothing to say."""
        self.at = max(self.at, reached)
        wanted = [event for event in events if self.request.wants(event)]
        if not wanted and not caught_up:
            return None
        return StreamStep(self.key, StreamBatch(wanted, self.at), caught_up, False)

    def live_step(self, batch: StreamBatch) -> StreamStep | None:
        """A batch of the tail: the step of all subscribers that stand and want alike is one object."""
        part = batch.after(self.at)
        self.at = max(self.at, batch.reached)
        if part is None:
            return None
        memo = (self.request.kinds, self.request.job_ids)
        if memo not in part.renderings:
            wanted = part
            if memo != (None, None):
                wanted = StreamBatch([event for event in part.events if self.request.wants(event)], part.reached)
            part.renderings[memo] = StreamStep(self.key, wanted, True, False) if wanted.events else None
        step: StreamStep | None = part.renderings[memo]
        return step


class StreamService:
    """One per process."""

    def __init__(
        self,
        history: StreamHistory,
        queues: WatchedQueues,
        tail: Tail,
        coordinates: Coordinates,
        *,
        streams_max: int,
        heartbeat_interval_s: float = HEARTBEAT_INTERVAL_S,
    ) -> None:
        self._past = history
        self._queues = queues
        self._tail = tail
        self._coordinates = coordinates
        self._streams_max = streams_max
        self._heartbeat_interval_s = heartbeat_interval_s
        self._log_readers = asyncio.Semaphore(LOG_READERS_MAX)
        self.active = 0
        """streams that are open"""

    def partition_of(self, queue: str) -> int:
        """The partition that decides this queue's jobs."""
        return partition_of_name(queue, len(self._tail.buffers))

    async def stream(self, request: StreamRequest, principal: Principal) -> AsyncGenerator[StreamStep, None]:
        """The steps of one subscriber. Ends by itself only when `live` is False."""
        if self.active >= self._streams_max:
            raise ApiError(ErrorCode.RATE_LIMITED, f"{self._streams_max:,} streams are open here, no more are allowed")
        self.active += 1
        mailbox: Mailbox | None = None
        try:
            subscription = await self._subscribe(request, principal)
            # Closed with the subscriber, not when the garbage collector finds it.
            async with aclosing(self._history(subscription)) as steps:
                async for step in steps:
                    yield step
            # From here on nothing is missed, and there is no await before the buffer is looked into.
            mailbox = self._tail.channels.open(subscription.key, _canceller())
            for step in self._buffered(subscription):
                yield step
            while request.live:
                yield await self._next(subscription, mailbox)
        finally:
            if mailbox is not None:
                self._tail.channels.close(subscription.key, mailbox)
            self.active -= 1

    async def _subscribe(self, request: StreamRequest, principal: Principal) -> _Subscription:
        cursor: StreamCursor | None = None
        if request.after is not None and request.after != BEGIN:
            cursor = self._coordinates.parse_cursor(request.after, request.queue, request.job_set, path="after")
        incarnation = cursor.incarnation if cursor is not None else -1
        queue = await self._queues.watched(request.queue, principal, incarnation=incarnation)
        partition = self.partition_of(request.queue)
        key = ChannelKey(request.queue, queue.incarnation, request.job_set)
        buffer = self._tail.buffers[partition]
        if request.after is None:
            at = buffer.reached if buffer.reached is not None else await self._present(key, partition)
        elif cursor is None:
            at = NOTHING
        else:
            if cursor.incarnation != queue.incarnation:
                raise ApiError(ErrorCode.CURSOR_EXPIRED, "the queue was deleted and created again since", path="after")
            await self._not_in_the_future(cursor.reached, buffer)
            at = cursor.reached
        return _Subscription(request, key, partition, at)

    async def _present(self, key: ChannelKey, partition: int) -> Reached:
        """Where a partition stands of which the log holds no event any more: where the history stands."""
        return _reached_of(await self._past.page(key, partition, None, 1))

    async def _not_in_the_future(self, reached: Reached, buffer: PartitionBuffer) -> None:
        deadline_s = asyncio.get_running_loop().time() + AHEAD_WAIT_S
        while buffer.reached is not None and reached.next > buffer.reached.next:
            if asyncio.get_running_loop().time() > deadline_s:
                raise ApiError(ErrorCode.INVALID, "after: is a cursor of the future", path="after")
            await asyncio.sleep(AHEAD_POLL_S)

    async def _history(self, subscription: _Subscription) -> AsyncGenerator[StreamStep, None]:
        """Everything up to where the tail's buffer takes over."""
        buffer = self._tail.buffers[subscription.partition]
        while not buffer.covers(subscription.at):
            at = subscription.at
            after = Position(subscription.partition, *at) if at.offset >= 0 else None
            page = await self._past.page(subscription.key, subscription.partition, after, HISTORY_ROWS_MAX)
            _check_not_pruned(subscription, page)
            events: list[StreamEvent] = []
            for block in page.blocks:
                for event in self._tail.decode_events(block.body):
                    if (block.offset, event.ordinal) > at:
                        events.append(StreamEvent(block.offset, block.log_time_ms, event))
                if len(events) >= EVENTS_PER_BATCH_MAX:
                    for step in _steps(subscription, events, _last(events, at)):
                        yield step
                    events = []
            ends = _last(events, subscription.at)
            for step in _steps(subscription, events, ends if page.more else max(ends, _reached_of(page))):
                yield step
            if not page.more and not buffer.covers(subscription.at):
                start = page.reached.source_offset + 1 if page.reached is not None else 0
                async with aclosing(self._from_log(subscription, start)) as steps:
                    async for step in steps:
                        yield step
                return

    async def _from_log(self, subscription: _Subscription, start: int) -> AsyncGenerator[StreamStep, None]:
        """Reads argosy.events from an offset until the tail's buffer is met."""
        buffer = self._tail.buffers[subscription.partition]
        async with self._log_readers:
            source = await self._tail.topic.open({subscription.partition: start})
            try:
                while not buffer.covers(subscription.at):
                    at_end = source.at_end
                    events: list[StreamEvent] = []
                    reached = subscription.at
                    for raw in await source.poll(POLL_RECORDS_MAX, POLL_TIMEOUT_MS):
                        if raw.value is None:
                            continue
                        record = self._tail.decode_record(raw.value)
                        if (record.offset, record.first_ordinal) > reached.next:
                            raise ApiError(ErrorCode.UNAVAILABLE, "view history has lost the log: it must be rebuilt")
                        held = PartitionBuffer(subscription.partition, 0).add(record, raw.offset)
                        events += decode_blocks([held], subscription.key, reached, self._tail.decode_events)
                        reached = max(reached, held.reached)
                    for step in _steps(subscription, events, reached):
                        yield step
                    if at_end and not events and buffer.complete_from is None:
                        return  # the tail has not seen anything at all since it began, and nothing was before it
            finally:
                await source.stop()

    def _buffered(self, subscription: _Subscription) -> Iterable[StreamStep]:
        """What the tail's buffer holds for the subscriber, who has caught up with it."""
        buffer = self._tail.buffers[subscription.partition]
        held = list(buffer.after(subscription.at))
        events = decode_blocks(held, subscription.key, subscription.at, self._tail.decode_events)
        reached = max(subscription.at, buffer.reached or subscription.at)
        return list(_steps(subscription, events, reached, caught_up=True))

    async def _next(self, subscription: _Subscription, mailbox: Mailbox) -> StreamStep:
        """The next batch, or a heartbeat when nothing came for long."""
        loop = asyncio.get_running_loop()
        said_at_s = loop.time()
        while True:
            batch = await mailbox.take()
            step: StreamStep | None = None
            if batch is not None:
                step = subscription.live_step(batch)
            elif mailbox.too_slow:
                raise self._ended(subscription, ErrorCode.CONSUMER_TOO_SLOW, "the client takes events too slowly")
            elif mailbox.failed is not None:
                raise self._ended(subscription, ErrorCode.UNAVAILABLE, f"events cannot be read: {mailbox.failed}")
            if step is not None:
                return step
            if loop.time() - said_at_s >= self._heartbeat_interval_s:
                buffer = self._tail.buffers[subscription.partition]
                if mailbox.is_empty and self._tail.channels.is_quiet(subscription.key) and buffer.reached is not None:
                    subscription.at = max(subscription.at, buffer.reached)
                return StreamStep(subscription.key, StreamBatch([], subscription.at), True, True)

    def _ended(self, subscription: _Subscription, code: ErrorCode, message: str) -> ApiError:
        """The end of a stream with the cursor of what the subscriber was given."""
        cursor = self._coordinates.cursor(
            subscription.key.queue,
            subscription.key.job_set,
            StreamCursor(subscription.key.incarnation, subscription.at),
        )
        return ApiError(code, f"{message}; go on after the cursor", details={"cursor": cursor})


def _canceller() -> Callable[[], object]:
    """Ends the task that takes the steps, wherever it hangs: in a send that nobody reads."""
    task = asyncio.current_task()
    assert task is not None, "steps are taken in a task"
    return task.cancel


def _steps(
    subscription: _Subscription, events: list[StreamEvent], reached: Reached, *, caught_up: bool = False
) -> Iterable[StreamStep]:
    """Events in batches of bounded size; the last one has reached `reached`."""
    while len(events) > EVENTS_PER_BATCH_MAX:
        head, events = events[:EVENTS_PER_BATCH_MAX], events[EVENTS_PER_BATCH_MAX:]
        step = subscription.step(head, Reached(head[-1].offset, head[-1].event.ordinal))
        if step is not None:
            yield step
    step = subscription.step(events, reached, caught_up=caught_up)
    if step is not None:
        yield step


def _last(events: list[StreamEvent], at: Reached) -> Reached:
    return Reached(events[-1].offset, events[-1].event.ordinal) if events else at


def _reached_of(page: EventsPage) -> Reached:
    if page.reached is None:
        return NOTHING
    exact = page.reached.exact
    return Reached(exact.offset, exact.ordinal)


def _check_not_pruned(subscription: _Subscription, page: EventsPage) -> None:
    """A cursor from before the first event that the history holds has a gap behind it."""
    first = page.reached.first_offset if page.reached is not None else -1
    began_with_cursor = subscription.first != NOTHING and subscription.at == subscription.first
    if began_with_cursor and subscription.at.next < (first, 0):
        raise ApiError(ErrorCode.CURSOR_EXPIRED, "events after this cursor are not kept any more", path="after")


assert WHOLE_COMMAND == (1 << 31) - 1, "as in app.db.queries.reached"
