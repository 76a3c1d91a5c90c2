"""A feed that has not been at the end of its topics for too long does not go on with what it has in memory."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from app.scheduler.feed import STALE_AFTER_S, Feed, FeedTooOld
from app.scheduler.metrics import SchedulerMetrics
from app.scheduler.options import SchedulerOptions
from tests.integration.scheduler.stage import Log
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack


class Clock:
    """A clock that a test moves."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def until(feed: Feed, running: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(60):
        while not feed.loaded:
            assert not running.done()
            await asyncio.sleep(0.05)


async def test_a_reader_that_stood_still_for_seven_minutes_ends_the_feed(fresh_kafka: KafkaBroker) -> None:
    log = await asyncio.to_thread(Log, fresh_kafka.bootstrap)
    clock = Clock()
    options = SchedulerOptions(bootstrap=fresh_kafka.bootstrap, partitions=log.partitions)
    feed = Feed(options, SchedulerMetrics(CollectorRegistry()), clock)
    assert not feed.at_end
    await feed.start()
    running = asyncio.create_task(feed.run())
    await until(feed, running)
    assert feed.troubles() == []
    while not running.done():
        clock.now_s += STALE_AFTER_S + 1
        await asyncio.wait([running], timeout=1.0)
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(FeedTooOld, match="was not at its end for 420 s")
    await feed.stop()
