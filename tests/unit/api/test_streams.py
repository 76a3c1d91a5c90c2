"""Streams of a job set: no gap and no duplicate, whatever lags; cursors, filters, heartbeats, slow and vanishing
clients."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.coordinates import WHOLE_COMMAND, Reached, StreamCursor
from app.api.errors import ApiError
from app.api.service.stream import StreamRequest, StreamService, StreamStep
from app.api.tail import channels
from app.api.tail.tail import Tail
from app.domain.errors import ErrorCode
from app.domain.lifecycle import EventKind
from tests.unit.api.memory_log import MemoryLog
from tests.unit.api.streaming import (
    COORDINATES,
    EVERYBODY,
    INCARNATION,
    QUEUE,
    WATCHED,
    Partition,
    make_service,
    make_tail,
)

Positions = list[tuple[int, int]]


def request(after: str | None, *, live: bool = True, kinds: Any = None, job_ids: Any = None) -> StreamRequest:
    return StreamRequest(queue=QUEUE, job_set=WATCHED, after=after, kinds=kinds, job_ids=job_ids, live=live)


def cursor_of(step: StreamStep) -> str:
    return COORDINATES.cursor(QUEUE, WATCHED, StreamCursor(INCARNATION, step.batch.reached))


def cursor_at(offset: int, ordinal: int = WHOLE_COMMAND) -> str:
    return COORDINATES.cursor(QUEUE, WATCHED, StreamCursor(INCARNATION, Reached(offset, ordinal)))


def positions_of(step: StreamStep) -> Positions:
    return [(each.offset, each.event.ordinal) for each in step.batch.events]


@asynccontextmanager
async def running_tail(tail: Tail) -> AsyncIterator[Tail]:
    task = asyncio.create_task(tail.run())
    try:
        while not tail.ready:
            await asyncio.sleep(0.001)
        yield tail
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def collect(steps: AsyncGenerator[StreamStep, None], wanted: Positions) -> Positions:
    """Takes steps until the last wanted event came."""
    found: Positions = []
    async with asyncio.timeout(3), aclosing(steps):
        async for step in steps:
            found += positions_of(step)
            if not wanted or (found and found[-1] >= wanted[-1]):
                return found
    return found


async def exhaust(steps: AsyncGenerator[StreamStep, None]) -> None:
    async for _ in steps:
        pass


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.integers(0, 3), min_size=1, max_size=3)),
        st.tuples(st.just("other"), st.lists(st.integers(0, 3), min_size=1, max_size=2)),
        st.tuples(st.just("show"), st.integers(1, 4)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=25,
)


async def act(partition: Partition, actions: list[tuple[str, Any]]) -> None:
    for kind, value in actions:
        if kind == "write":
            partition.write(value)
        elif kind == "other":
            partition.write(value, job_set="other")
        elif kind == "show":
            partition.shown = min(len(partition.written), partition.shown + value)
        else:
            for _ in range(value):
                await asyncio.sleep(0)


@settings(max_examples=80, deadline=None)
@given(ACTIONS, ACTIONS, st.integers(200, 4_000), st.data())
def test_every_event_comes_once_and_in_order_whatever_lags(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]], buffer_bytes: int, data: st.DataObject
) -> None:
    async def scenario() -> None:
        partition = Partition(MemoryLog())
        await act(partition, before)
        tail = make_tail(partition.log, buffer_bytes_max=buffer_bytes * 4)
        async with running_tail(tail):
            service = make_service(partition, tail)
            start = data.draw(st.sampled_from([(-1, WHOLE_COMMAND), *partition.positions()]))
            subscriber = asyncio.create_task(follow(service, cursor_at(*start) if start[0] >= 0 else "BEGIN"))
            await act(partition, after)
            partition.write([1])
            expected = [position for position in partition.positions() if position > start]
            partition.shown = len(partition.written)
            found, cursors = await asyncio.wait_for(subscriber, 3)
            assert found == expected
            # From every cursor that was given out, the rest comes, and nothing else.
            cursor, count = data.draw(st.sampled_from(cursors))
            assert await collect(service.stream(request(cursor), EVERYBODY), expected[count:]) == expected[count:]
            assert service.active == 0

    async def follow(service: StreamService, cursor: str) -> tuple[Positions, list[tuple[str, int]]]:
        """Until the last event of all was seen: the one written at the end."""
        found: Positions = []
        cursors: list[tuple[str, int]] = []
        async with aclosing(service.stream(request(cursor), EVERYBODY)) as steps:
            async for step in steps:
                found += positions_of(step)
                cursors.append((cursor_of(step), len(found)))
                if found and is_last(found[-1]):
                    return found, cursors
        raise AssertionError("the stream ended by itself")

    def is_last(position: tuple[int, int]) -> bool:
        return position == last_of(before, after)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channels, "BATCH_INTERVAL_S", 0.001)
        asyncio.run(scenario())


def last_of(*parts: list[tuple[str, Any]]) -> tuple[int, int]:
    """The position of the single event that the scenario writes last: each write is one command."""
    return (sum(1 for part in parts for kind, _ in part if kind in ("write", "other")), 0)


async def test_without_a_cursor_a_stream_begins_now_and_says_where() -> None:
    partition = Partition(MemoryLog())
    partition.write([2])
    async with running_tail(make_tail(partition.log)) as tail:
        steps = make_service(partition, tail).stream(request(None), EVERYBODY)
        async with aclosing(steps), asyncio.timeout(5):
            first = await anext(steps)
            assert (positions_of(first), first.caught_up, first.heartbeat) == ([], True, False)
            assert first.batch.reached == Reached(0, WHOLE_COMMAND)
            partition.write([1])
            assert positions_of(await anext(steps)) == [(1, 0)]
    assert partition.queries == 0, "what the tail holds needs no database"


async def test_a_stream_that_is_not_live_ends_when_it_has_caught_up() -> None:
    partition = Partition(MemoryLog())
    for _ in range(5):
        partition.write([2, 1])
    partition.shown = 4
    async with running_tail(make_tail(partition.log, buffer_bytes_max=4_000)) as tail:
        service = make_service(partition, tail)
        steps = [step async for step in service.stream(request("BEGIN", live=False), EVERYBODY)]
        assert [position for step in steps for position in positions_of(step)] == partition.positions()
        assert [step.caught_up for step in steps][-1] is True
        again = [step async for step in service.stream(request(cursor_of(steps[-1]), live=False), EVERYBODY)]
        assert [positions_of(step) for step in again] == [[]]
        assert service.active == 0


async def test_filters_leave_out_events_and_the_cursor_goes_on_behind_them() -> None:
    partition = Partition(MemoryLog())
    partition.write([3], kind=EventKind.RUNNING)
    partition.write([3], kind=EventKind.FAILED)
    partition.write([2], kind=EventKind.RUNNING)
    async with running_tail(make_tail(partition.log)) as tail:
        service = make_service(partition, tail)
        kinds = frozenset({EventKind.FAILED})
        steps = [step async for step in service.stream(request("BEGIN", live=False, kinds=kinds), EVERYBODY)]
        assert [p for step in steps for p in positions_of(step)] == partition.positions(EventKind.FAILED)
        assert steps[-1].batch.reached == Reached(2, WHOLE_COMMAND)
        jobs = frozenset({(1).to_bytes(16, "big")})
        steps = [step async for step in service.stream(request("BEGIN", live=False, job_ids=jobs), EVERYBODY)]
        assert [p for step in steps for p in positions_of(step)] == [(0, 1), (1, 1), (2, 1)]


async def test_equal_subscribers_get_the_same_batch_object_and_others_their_own() -> None:
    partition = Partition(MemoryLog())
    async with running_tail(make_tail(partition.log)) as tail:
        service = make_service(partition, tail)
        kinds = frozenset({EventKind.RUNNING})
        streams = [service.stream(request(None, kinds=each), EVERYBODY) for each in (None, None, kinds, kinds)]
        async with asyncio.timeout(5):
            for stream in streams:
                await anext(stream)
            partition.write([2])
            steps = [await anext(stream) for stream in streams]
        assert steps[0] is steps[1]
        assert steps[2] is steps[3]
        assert [positions_of(step) for step in steps] == [[(0, 0), (0, 1)]] * 4
        for stream in streams:
            await stream.aclose()
        assert tail.channels.subscribers == service.active == 0


async def test_a_quiet_stream_has_heartbeats_whose_cursor_moves_on() -> None:
    partition = Partition(MemoryLog())
    async with running_tail(make_tail(partition.log)) as tail:
        steps = make_service(partition, tail, heartbeat_interval_s=0.05).stream(request(None), EVERYBODY)
        async with aclosing(steps), asyncio.timeout(5):
            await anext(steps)
            partition.write([1], job_set="other")
            while (beat := await anext(steps)).batch.reached < Reached(0, WHOLE_COMMAND):
                pass
            assert (beat.heartbeat, beat.caught_up, positions_of(beat)) == (True, True, [])


async def test_a_slow_client_is_ended_with_the_cursor_of_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "QUEUED_EVENTS_MAX", 10)
    partition = Partition(MemoryLog())
    async with running_tail(make_tail(partition.log)) as tail:
        service = make_service(partition, tail)
        steps = service.stream(request(None), EVERYBODY)
        async with asyncio.timeout(10):
            await anext(steps)
            partition.write([1])
            assert positions_of(await anext(steps)) == [(0, 0)]
            for _ in range(8):
                partition.write([3])
            while tail.records_read < 9:
                await asyncio.sleep(0.01)
            await asyncio.sleep(channels.BATCH_INTERVAL_S * 1.5)
            partition.write([3])
            with pytest.raises(ApiError) as ended:
                await exhaust(steps)
        assert ended.value.code is ErrorCode.CONSUMER_TOO_SLOW
        cursor = str(ended.value.details["cursor"])
        given = COORDINATES.parse_cursor(cursor, QUEUE, WATCHED, path="after").reached
        rest = [position for position in partition.positions() if position > given]
        assert rest
        assert await collect(service.stream(request(cursor), EVERYBODY), rest) == rest
        assert tail.channels.subscribers == service.active == 0


async def test_a_cursor_older_than_what_is_kept_has_expired_and_begin_has_not() -> None:
    partition = Partition(MemoryLog())
    for _ in range(6):
        partition.write([1])
    partition.shown, partition.first_offset = 6, 3
    async with running_tail(make_tail(partition.log, buffer_bytes_max=2_000)) as tail:
        service = make_service(partition, tail)
        with pytest.raises(ApiError) as expired:
            await anext(service.stream(request(cursor_at(1)), EVERYBODY))
        assert expired.value.code is ErrorCode.CURSOR_EXPIRED
        kept = partition.positions()[3:]
        assert await collect(service.stream(request(cursor_at(2)), EVERYBODY), kept) == kept
        assert await collect(service.stream(request("BEGIN"), EVERYBODY), kept) == kept


async def test_a_client_that_takes_nothing_at_all_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "QUEUED_EVENTS_MAX", 1)
    monkeypatch.setattr(channels, "GRACE_S", 0.05)
    partition = Partition(MemoryLog())
    async with running_tail(make_tail(partition.log)) as tail:
        service = make_service(partition, tail)
        is_live = asyncio.Event()

        async def hang() -> None:
            async with aclosing(service.stream(request(None), EVERYBODY)) as steps:
                async for _ in steps:
                    is_live.set()
                    await asyncio.sleep(3_600)

        hanging = asyncio.create_task(hang())
        async with asyncio.timeout(5):
            await is_live.wait()
            partition.write([3])
            with pytest.raises(asyncio.CancelledError):
                await hanging
        assert tail.channels.subscribers == service.active == 0


@pytest.mark.parametrize("cursor", ["nonsense", "", COORDINATES.position({0: 1})])
async def test_what_is_no_cursor_is_invalid(cursor: str) -> None:
    partition = Partition(MemoryLog())
    async with running_tail(make_tail(partition.log)) as tail:
        with pytest.raises(ApiError) as refused:
            await anext(make_service(partition, tail).stream(request(cursor), EVERYBODY))
        assert (refused.value.code, refused.value.path) == (ErrorCode.INVALID, "after")


async def test_a_cursor_of_the_future_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.service.stream.AHEAD_WAIT_S", 0.05)
    partition = Partition(MemoryLog())
    partition.write([1])
    async with running_tail(make_tail(partition.log)) as tail:
        with pytest.raises(ApiError, match="future"):
            await anext(make_service(partition, tail).stream(request(cursor_at(7)), EVERYBODY))


async def test_a_cursor_of_the_queues_earlier_life_has_expired() -> None:
    partition = Partition(MemoryLog())
    async with running_tail(make_tail(partition.log)) as tail:
        cursor = COORDINATES.cursor(QUEUE, WATCHED, StreamCursor(INCARNATION + 7, Reached(1, 0)))
        with pytest.raises(ApiError) as refused:
            await anext(make_service(partition, tail).stream(request(cursor), EVERYBODY))
        assert refused.value.code is ErrorCode.CURSOR_EXPIRED


async def test_more_streams_than_allowed_are_refused_and_freed_places_are_given_again() -> None:
    partition = Partition(MemoryLog())
    async with running_tail(make_tail(partition.log)) as tail:
        service = make_service(partition, tail, streams_max=2)
        streams = [service.stream(request(None), EVERYBODY) for _ in range(3)]
        await anext(streams[0])
        await anext(streams[1])
        with pytest.raises(ApiError) as refused:
            await anext(streams[2])
        assert refused.value.code is ErrorCode.RATE_LIMITED
        await streams[0].aclose()
        again = service.stream(request(None), EVERYBODY)
        await anext(again)
        await again.aclose()
        await streams[1].aclose()
        assert service.active == 0


async def test_a_log_with_a_hole_ends_the_tail_and_tells_its_subscribers() -> None:
    partition = Partition(MemoryLog())
    partition.write([1])
    tail = make_tail(partition.log)
    task = asyncio.create_task(tail.run())
    async with asyncio.timeout(5):
        while not tail.ready:
            await asyncio.sleep(0.001)
        steps = make_service(partition, tail).stream(request(None), EVERYBODY)
        await anext(steps)
        next(partition._offsets)
        partition.write([1])
        with pytest.raises(ApiError) as ended:
            await exhaust(steps)
        with pytest.raises(Exception, match="expected event 0 of command 1, found 0 of 2"):
            await task
    assert ended.value.code is ErrorCode.UNAVAILABLE
    assert "cursor" in ended.value.details
    assert not tail.ready
