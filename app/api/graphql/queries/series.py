"""throughput, waitTimes, shareHistory, queueShares."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.types.series import (
    QueueShare,
    SharePoint,
    Throughput,
    WaitTimes,
    queue_share_of,
    share_point_of,
    throughput_of,
    wait_times_of,
)
from app.api.service.insight import bucket_of


async def throughput(info: RequestInfo, queue: str | None = None, minutes: int = 15) -> Throughput:
    """Jobs submitted, leased, started and ended over the last minutes, of a queue or all: 10 s a point up to an hour,
    a minute up to 15 hours, else an hour."""
    bucket_ms = bucket_of(minutes)
    points = await info.context.services.insight.throughput_points(minutes=minutes, bucket_ms=bucket_ms, queue=queue)
    return throughput_of(points, bucket_ms)


async def wait_times(info: RequestInfo, queue: str | None = None, minutes: int = 60) -> list[WaitTimes]:
    """How long jobs waited for their first lease, minute by minute, of a queue or all."""
    return [wait_times_of(each) for each in await info.context.services.insight.waits(minutes=minutes, queue=queue)]


async def share_history(info: RequestInfo, pool: str, queue: str | None = None, minutes: int = 15) -> list[SharePoint]:
    """Shares of queues in a pool over the last minutes, whenever they changed; a queue's first point may be older."""
    found = await info.context.services.insight.share_points(pool, minutes=minutes, queue=queue)
    return [share_point_of(each) for each in found]


async def queue_shares(info: RequestInfo, pool: str | None = None, queue: str | None = None) -> list[QueueShare]:
    """The latest shares of every queue that holds or wants something, by pool."""
    return [
        queue_share_of(name, share)
        for name, share in await info.context.services.insight.shares()
        if (pool is None or pool == name) and (queue is None or queue == share.queue)
    ]
