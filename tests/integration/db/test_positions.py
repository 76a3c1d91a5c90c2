"""Following views: by notification at once, by looking every 250 ms when none comes, over a loss of the database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from app.db.engine import connect
from app.db.errors import Unavailable
from app.db.migrations import migrate, newest_revision
from app.db.positions import Positions, ViewTimeout
from app.log.topics import EVENTS
from app.views.install import install
from app.views.view import View
from app.views.writer import NOTHING, Stand, ViewWrite, Writer
from tests.stack.server import PostgresServer

pytestmark = pytest.mark.stack

METADATA = MetaData()
Table("plain_v1", METADATA, Column("id", Integer, primary_key=True))
VIEW = View(name="plain", version=1, topic=EVENTS, metadata=METADATA, rows=lambda batch: [])


async def eventually(holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Waits until the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.01)


class Moving:
    """A view whose positions a test moves."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.writer = Writer(url, VIEW.app_name, [VIEW])
        self._offsets: dict[int, int] = {}

    async def to(self, partition: int, position: int) -> None:
        old = self._offsets.get(partition, NOTHING)
        stand = Stand(position=position, source_offset=old + 1, first_offset=0)
        await self.writer.write([ViewWrite(view=VIEW, operations=(), moves={partition: (old, stand)})])
        self._offsets[partition] = old + 1


@pytest.fixture
async def moving(database: str) -> AsyncIterator[Moving]:
    await migrate(database)
    await install(database, [VIEW])
    view = Moving(database)
    yield view
    await view.writer.close()


@pytest.fixture
async def positions(moving: Moving) -> AsyncIterator[Positions]:
    followed = Positions(moving.url)
    await followed.start()
    await eventually(lambda: followed.known)
    yield followed
    await followed.stop()


async def test_a_waiter_is_woken_by_the_notification_of_the_commit(moving: Moving, positions: Positions) -> None:
    await moving.to(0, 4)
    await positions.wait_until("plain", {0: 4}, 10.0)
    waiter = asyncio.create_task(positions.wait_until("plain", {0: 7, 1: 2}, 10.0))
    await moving.to(0, 9)
    await eventually(lambda: positions.vector("plain").get(0) == 9)
    assert not waiter.done(), "partition 1 is missing"
    await moving.to(1, 2)
    await waiter
    assert positions.vector("plain") == {0: 9, 1: 2}
    assert positions.reached("plain", {0: 9})
    assert not positions.reached("plain", {0: 10})


async def test_without_notifications_looking_is_enough(moving: Moving, positions: Positions) -> None:
    await moving.to(0, 1)
    waiter = asyncio.create_task(positions.wait_until("plain", {0: 30}, 10.0))
    connection = await connect(moving.url, name="test")
    await connection.execute("UPDATE view_positions SET position = 30")
    await connection.close()
    began = time.monotonic()
    await waiter
    assert time.monotonic() - began < 5.0


async def test_a_view_that_does_not_come_so_far_is_a_timeout(positions: Positions) -> None:
    with pytest.raises(ViewTimeout, match="view plain did not come that far"):
        await positions.wait_until("plain", {0: 3}, 0.3)
    with pytest.raises(ViewTimeout):
        await positions.wait_until("nothing", {0: 0}, 0.1)


async def test_a_change_wakes_who_waits_for_any(moving: Moving, positions: Positions) -> None:
    seen = await positions.wait_change("plain", -1, 5.0)
    waiter = asyncio.create_task(positions.wait_change("plain", seen, 10.0))
    await moving.to(2, 0)
    assert await waiter > seen
    assert await positions.wait_change("plain", await waiter, 0.05) == await waiter


async def test_the_loss_of_the_database_is_said_and_survived(fresh_postgres: PostgresServer) -> None:
    url = fresh_postgres.url
    await migrate(url)
    await install(url, [VIEW])
    view = Moving(url)
    await view.to(0, 1)
    followed = Positions(url)
    await followed.start()
    await followed.wait_until("plain", {0: 1}, 20.0)
    await view.writer.close()
    await asyncio.to_thread(fresh_postgres.stop)
    await eventually(lambda: not followed.known)
    assert followed.vector("plain") == {0: 1}, "what is known stays known"
    with pytest.raises(Unavailable):
        await followed.wait_until("plain", {0: 2}, 0.2)
    await asyncio.to_thread(fresh_postgres.start)
    await view.to(0, 2)
    await followed.wait_until("plain", {0: 2}, 20.0)
    assert followed.known
    waiter = asyncio.create_task(followed.wait_until("plain", {0: 3}, 20.0))
    await asyncio.sleep(0)
    await followed.stop()
    with pytest.raises(Unavailable, match="shutting down"):
        await waiter
    await view.writer.close()


async def test_migrations_may_run_at_the_same_time_and_again(database: str) -> None:
    assert await asyncio.gather(*(migrate(database) for _ in range(3))) == [newest_revision()] * 3
    assert await migrate(database) == newest_revision()
