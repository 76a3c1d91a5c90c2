"""Bytes in flight: a limit that nobody passes, and turns that are kept."""

import asyncio

from app.log.in_flight import InFlight


async def test_records_come_in_until_the_limit_and_the_next_waits_for_room() -> None:
    room = InFlight(10)
    assert await room.enter(6, 1)
    assert await room.enter(4, 1)
    waiting = asyncio.create_task(room.enter(3, 5))
    await asyncio.sleep(0)
    assert not waiting.done()
    room.leave(4)
    assert await waiting


async def test_a_record_larger_than_all_room_comes_in_alone() -> None:
    room = InFlight(10)
    assert await room.enter(1, 1)
    large = asyncio.create_task(room.enter(50, 5))
    await asyncio.sleep(0)
    assert not large.done()
    room.leave(1)
    assert await large
    assert not await room.enter(1, 0.01)


async def test_who_waits_comes_before_who_comes_later_even_when_that_one_would_fit() -> None:
    room = InFlight(10)
    assert await room.enter(8, 1)
    large = asyncio.create_task(room.enter(9, 5))
    await asyncio.sleep(0)
    small = asyncio.create_task(room.enter(1, 5))
    await asyncio.sleep(0)
    assert not small.done()
    room.leave(8)
    assert await large
    assert await small


async def test_a_wait_that_is_too_long_or_cancelled_leaves_no_trace() -> None:
    room = InFlight(10)
    assert await room.enter(10, 1)
    assert not await room.enter(1, 0.01)
    waiting = asyncio.create_task(room.enter(1, 5))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    room.leave(10)
    assert await room.enter(10, 1)
