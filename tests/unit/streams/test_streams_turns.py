"""Turns: one actor per partition at a time, partitions side by side, nothing lost between actors."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

from app.streams.claims import Claim, Source
from app.streams.turns import turns
from tests.unit.streams.plain_claim import Plain


class Stream:
    """What several actors of a Faust agent share: one queue of events."""

    def __init__(self, queue: asyncio.Queue[SimpleNamespace]) -> None:
        self._queue = queue

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[SimpleNamespace]:
        while True:
            yield await self._queue.get()


async def test_each_partition_is_worked_on_in_order_by_one_actor_while_others_go_on() -> None:
    queue: asyncio.Queue[SimpleNamespace] = asyncio.Queue()
    claims: list[Claim] = [Plain(Source("t", n)) for n in range(3)]
    done: dict[int, list[int]] = {0: [], 1: [], 2: []}
    together: list[int] = []
    working = 0
    gate = asyncio.Event()

    async def actor() -> None:
        nonlocal working
        async for claim in turns(Stream(queue)):
            working += 1
            together.append(working)
            event = claim.backlog.popleft()
            if claim.partition == 0:
                await gate.wait()
            await asyncio.sleep(0)
            done[claim.partition].append(event.message.offset)
            working -= 1

    actors = [asyncio.create_task(actor()) for _ in range(4)]
    for offset in range(20):
        for claim in claims:
            await queue.put(SimpleNamespace(message=SimpleNamespace(offset=offset, value=b"", claim=claim)))
    async with asyncio.timeout(5):
        while len(done[1]) < 20 or len(done[2]) < 20:
            await asyncio.sleep(0)
        assert done[0] == []
        gate.set()
        while len(done[0]) < 20:
            await asyncio.sleep(0)
    for task in actors:
        task.cancel()
    assert done == {n: list(range(20)) for n in range(3)}
    assert 2 <= max(together) <= 3


async def test_a_quarantined_partition_is_worked_on_no_more() -> None:
    queue: asyncio.Queue[SimpleNamespace] = asyncio.Queue()
    bad, good = Plain(Source("t", 0)), Plain(Source("t", 1))
    done: list[tuple[int, int]] = []

    async def actor() -> None:
        async for claim in turns(Stream(queue)):
            event = claim.backlog.popleft()
            done.append((claim.partition, event.message.offset))
            if claim is bad and event.message.offset == 1:
                claim.quarantine("test")

    task = asyncio.create_task(actor())
    for offset in range(5):
        for claim in (bad, good):
            await queue.put(SimpleNamespace(message=SimpleNamespace(offset=offset, value=b"", claim=claim)))
    async with asyncio.timeout(5):
        while (1, 4) not in done:
            await asyncio.sleep(0)
    task.cancel()
    assert [offset for partition, offset in done if partition == 0] == [0, 1]
