"""View throughput: how many jobs of a queue were submitted, leased, started and ended in each 10 s, minute and hour,
and how long they waited for their first lease. Charts read it, so that they need no other store of time series.

Owner of throughput_v1_*. Queries: app.db.queries.throughput. Times are log time, so a rebuild gives the same rows.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, SmallInteger, Table, Text

from app.db.queries.throughput import WAIT_BINS_PER_DOUBLING
from app.domain.events import Event
from app.domain.ids import time_ms_of
from app.domain.lifecycle import EventKind, JobState
from app.log.topics import EVENTS
from app.views.view import Batch, Execute, Operation, View, Weekly

VERSION = 1
PREFIX = f"throughput_v{VERSION}"
METADATA = MetaData()
Time = DateTime(timezone=True)

RESOLUTIONS = {"s10": (10_000, 7), "m1": (60_000, 30), "h1": (3_600_000, 400)}
"""name -> (milliseconds of a bucket, days that it is kept)"""
WAITS_RESOLUTION_MS = 60_000

_ENDS = {
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.PREEMPTED: "preempted",
    JobState.REJECTED: "failed",
}
_STEPS = {EventKind.SUBMITTED: "submitted", EventKind.LEASED: "leased", EventKind.RUNNING: "started"}
_DEPTHS = {JobState.QUEUED: "queued_change", JobState.RUNNING: "running_change"}
COUNTERS = (
    "submitted",
    "leased",
    "started",
    "succeeded",
    "failed",
    "cancelled",
    "preempted",
    "queued_change",
    "running_change",
)

for _name in RESOLUTIONS:
    Table(
        f"{PREFIX}_{_name}",
        METADATA,
        Column("bucket", Time, primary_key=True),
        Column("queue", Text, primary_key=True),
        *(Column(counter, Integer, nullable=False) for counter in COUNTERS),
        postgresql_partition_by="RANGE (bucket)",
    )
# How many jobs waited about 2^(bin/4) ms for their first lease.
WAITS = f"{PREFIX}_waits"
Table(
    WAITS,
    METADATA,
    Column("bucket", Time, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("bin", SmallInteger, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    postgresql_partition_by="RANGE (bucket)",
)

# Adds to what stands in each bucket.
_ADD = """
INSERT INTO {table} AS t (bucket, queue, {columns})
SELECT * FROM unnest($1::timestamptz[], $2::text[], {arrays})
ON CONFLICT (bucket, queue) DO UPDATE SET {sums}
"""
ADD = {
    name: _ADD.format(
        table=f"{PREFIX}_{name}",
        columns=", ".join(COUNTERS),
        arrays=", ".join(f"${number}::int[]" for number in range(3, 3 + len(COUNTERS))),
        sums=", ".join(f"{counter} = t.{counter} + excluded.{counter}" for counter in COUNTERS),
    )
    for name in RESOLUTIONS
}
ADD_WAITS = f"""
INSERT INTO {WAITS} AS t (bucket, queue, bin, jobs)
SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::smallint[], $4::bigint[])
ON CONFLICT (bucket, queue, bin) DO UPDATE SET jobs = t.jobs + excluded.jobs
"""


def rows(batch: Batch) -> Sequence[Operation]:
    """What the batch adds to each bucket. Pure."""
    seconds: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    waits: Counter[tuple[int, str, int]] = Counter()
    for record in batch.records:
        at_ms = record.log_time_ms
        for block, events in record.blocks():
            counts = seconds[at_ms - at_ms % RESOLUTIONS["s10"][0], block.queue]
            for event in events:
                _count(event, counts)
                if event.kind is EventKind.LEASED and event.attempt == 0:
                    waits[at_ms - at_ms % WAITS_RESOLUTION_MS, block.queue, wait_bin(event, at_ms)] += 1
    out = [_add(name, seconds) for name in RESOLUTIONS] if seconds else []
    if waits:
        keys = sorted(waits)
        columns = ([key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys])
        arguments = (*columns, [waits[key] for key in keys])
        out.append(Execute(purpose="waiting times", statement=ADD_WAITS, arguments=arguments))
    return out


def wait_bin(event: Event, at_ms: int) -> int:
    """The bin of the time between a job's submission and its lease."""
    return int(WAIT_BINS_PER_DOUBLING * math.log2(max(1, at_ms - time_ms_of(event.job_id))))


def _count(event: Event, counts: Counter[str]) -> None:
    step = _STEPS.get(event.kind)
    if step is not None:
        counts[step] += 1
    if event.before is event.after:
        return
    # A rejected or preempted job fails right afterwards: it is counted where it was first ended.
    if event.after in _ENDS and event.before not in _ENDS:
        counts[_ENDS[event.after]] += 1
    if event.before in _DEPTHS:
        counts[_DEPTHS[event.before]] -= 1
    if event.after in _DEPTHS:
        counts[_DEPTHS[event.after]] += 1


def _add(name: str, seconds: dict[tuple[int, str], Counter[str]]) -> Execute:
    width_ms = RESOLUTIONS[name][0]
    summed: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for (bucket, queue), counts in seconds.items():
        into = summed[bucket - bucket % width_ms, queue]
        for counter, number in counts.items():
            into[counter] += number
    keys = sorted(summed)
    arrays = [[summed[key][counter] for key in keys] for counter in COUNTERS]
    arguments = ([key[0] for key in keys], [key[1] for key in keys], *arrays)
    return Execute(purpose=f"throughput {name}", statement=ADD[name], arguments=arguments)


VIEW = View(
    name="throughput",
    version=VERSION,
    app="rollups",
    topic=EVENTS,
    metadata=METADATA,
    rows=rows,
    weekly=(
        *(Weekly(parent=f"{PREFIX}_{name}", retention_days=days) for name, (_, days) in RESOLUTIONS.items()),
        Weekly(parent=WAITS, retention_days=30),
    ),
)
