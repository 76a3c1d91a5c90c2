"""Time series of jobs: what was submitted, leased, started and ended, how many were queued and running, how long jobs
waited for their first lease. Inputs: Database, a range of time. Output: points. Reads view throughput and the counters
of view history.
"""

from collections import defaultdict
from itertools import accumulate

from msgspec import Struct

from app.db import names
from app.db.database import Database

POINTS_MAX = 1_000
TABLES = {10_000: "throughput_s10", 60_000: "throughput_m1", 3_600_000: "throughput_h1"}
"""milliseconds of a bucket -> where it stands"""
WAIT_BINS_PER_DOUBLING = 4
"""a bin of waiting times is 19 % wide; the view counts by it"""
QUANTILES = (0.5, 0.9, 0.99)

# Sums over queues (one when given), bucket by bucket.
POINTS = """
SELECT bucket, sum(submitted) AS submitted, sum(leased) AS leased, sum(started) AS started, sum(succeeded) AS succeeded,
  sum(failed) AS failed, sum(cancelled) AS cancelled, sum(preempted) AS preempted, sum(queued_change) AS queued_change,
  sum(running_change) AS running_change
FROM {table} WHERE bucket >= $1 AND ($2::text IS NULL OR queue = $2) GROUP BY bucket ORDER BY bucket
"""
# What is queued and running now.
NOW = """
SELECT coalesce(sum(n_queued), 0), coalesce(sum(n_running), 0) FROM history_job_sets
WHERE ($1::bigint IS NULL OR queue_id = $1) AND (n_queued > 0 OR n_running > 0)
"""
# Jobs by waiting time, minute by minute.
WAITS = """
SELECT bucket, bin, sum(jobs) AS jobs FROM throughput_waits
WHERE bucket >= $1 AND ($2::text IS NULL OR queue = $2) GROUP BY bucket, bin ORDER BY bucket, bin
"""


class Point(Struct, frozen=True, kw_only=True):
    """One bucket that begins at at_ms. queued, running: at its end."""

    at_ms: int
    submitted: int
    leased: int
    started: int
    succeeded: int
    failed: int
    cancelled: int
    preempted: int
    queued: int
    running: int


class WaitPoint(Struct, frozen=True, kw_only=True):
    """Of the jobs that were leased in the minute at at_ms: quantiles of their waiting times in ms (19 % wide)."""

    at_ms: int
    jobs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


async def throughput(
    database: Database, *, begin_ms: int, end_ms: int, bucket_ms: int, queue: str | None = None
) -> tuple[Point, ...]:
    """Every bucket from begin to end, those without events too. Raises ValueError for an unknown width or too many
    points, Unavailable, QueryTimeout."""
    begin_ms -= begin_ms % bucket_ms
    if bucket_ms not in TABLES or (end_ms - begin_ms) // bucket_ms > POINTS_MAX:
        raise ValueError(f"a series has buckets of {', '.join(map(str, TABLES))} ms and at most {POINTS_MAX} points")
    async with database.snapshot() as connection:
        rows = await connection.fetch(POINTS.format(table=TABLES[bucket_ms]), begin_ms, queue)
        queue_id = names.name_id(names.QUEUE, queue) if queue is not None else None
        now = await connection.fetchrow(NOW, queue_id)
    found = {row["bucket"]: row for row in rows}
    times = sorted({*range(begin_ms, end_ms + 1, bucket_ms), *found})[-POINTS_MAX:]
    queued = _levels([found[at]["queued_change"] if at in found else 0 for at in times], now[0] if now else 0)
    running = _levels([found[at]["running_change"] if at in found else 0 for at in times], now[1] if now else 0)
    counters = ("submitted", "leased", "started", "succeeded", "failed", "cancelled", "preempted")
    return tuple(
        Point(
            at_ms=at,
            queued=queued[index],
            running=running[index],
            **{name: found[at][name] if at in found else 0 for name in counters},
        )
        for index, at in enumerate(times)
    )


async def waits(database: Database, *, begin_ms: int, queue: str | None = None) -> tuple[WaitPoint, ...]:
    """Minutes in which jobs were leased. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        rows = await connection.fetch(WAITS, begin_ms, queue)
    minutes: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        minutes[row["bucket"]].append((row["bin"], int(row["jobs"])))
    points = []
    for at, bins in sorted(minutes.items())[-POINTS_MAX:]:
        p50, p90, p99 = (_quantile(bins, share) for share in QUANTILES)
        points.append(WaitPoint(at_ms=at, jobs=sum(n for _, n in bins), p50_ms=p50, p90_ms=p90, p99_ms=p99))
    return tuple(points)


def _levels(changes: list[int], now: int) -> list[int]:
    """What stood at the end of each bucket, reckoned back from what stands now."""
    after = list(accumulate(reversed(changes), initial=0))[:-1]
    return [max(0, now - change) for change in reversed(after)]


def _quantile(bins: list[tuple[int, int]], share: float) -> float:
    """The middle of the bin that the quantile falls into, in ms."""
    wanted = share * sum(number for _, number in bins)
    totals = accumulate(number for _, number in bins)
    number = next(number for (number, _), total in zip(bins, totals, strict=True) if total >= wanted)
    return float(2.0 ** ((number + 0.5) / WAIT_BINS_PER_DOUBLING))
