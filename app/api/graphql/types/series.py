"""Time series and shares: what charts draw."""

import strawberry

from app.api.graphql.scalars import DateTime, Long
from app.db.queries.share_history import SharePoint as SharePointRecord
from app.db.queries.throughput import Point, WaitPoint
from app.domain.rounds import QueueShare as ShareRecord


@strawberry.type(description="one bucket of time; queued and running: jobs at its end")
class ThroughputPoint:
    time: DateTime
    submitted: int
    leased: int
    started: int
    succeeded: int
    failed: int
    cancelled: int
    preempted: int
    queued: Long
    running: Long


@strawberry.type
class Throughput:
    bucket_seconds: int
    points: list[ThroughputPoint]


@strawberry.type(description="of the jobs leased in this minute: quantiles of the time since their submission, in ms")
class WaitTimes:
    time: DateTime
    jobs: Long
    p50_ms: float
    p90_ms: float
    p99_ms: float


@strawberry.type(description="fractions of the pool, from this time until the queue's next point")
class SharePoint:
    time: DateTime
    queue: str
    fair_share: float
    adjusted_share: float
    demand_share: float
    actual_share: float


@strawberry.type(
    description="a queue's part of a pool, as fractions: fair by weight; adjusted: with what others leave; what it asks"
    " for; what it holds"
)
class QueueShare:
    pool: str
    queue: str
    weight: float
    fair_share: float
    adjusted_share: float
    uncapped_share: float
    demand_share: float
    actual_share: float


def throughput_of(points: tuple[Point, ...], bucket_ms: int) -> Throughput:
    return Throughput(
        bucket_seconds=bucket_ms // 1000,
        points=[
            ThroughputPoint(
                time=DateTime(each.at_ms),
                submitted=each.submitted,
                leased=each.leased,
                started=each.started,
                succeeded=each.succeeded,
                failed=each.failed,
                cancelled=each.cancelled,
                preempted=each.preempted,
                queued=Long(each.queued),
                running=Long(each.running),
            )
            for each in points
        ],
    )


def wait_times_of(point: WaitPoint) -> WaitTimes:
    return WaitTimes(
        time=DateTime(point.at_ms), jobs=Long(point.jobs), p50_ms=point.p50_ms, p90_ms=point.p90_ms, p99_ms=point.p99_ms
    )


def share_point_of(point: SharePointRecord) -> SharePoint:
    return SharePoint(
        time=DateTime(point.at_ms),
        queue=point.queue,
        fair_share=point.fair,
        adjusted_share=point.adjusted,
        demand_share=point.demand,
        actual_share=point.actual,
    )


def queue_share_of(pool: str, share: ShareRecord) -> QueueShare:
    return QueueShare(
        pool=pool,
        queue=share.queue,
        weight=share.weight,
        fair_share=share.fair_share,
        adjusted_share=share.capped_share,
        uncapped_share=share.uncapped_share,
        demand_share=share.demand_share,
        actual_share=share.actual_share_after,
    )
