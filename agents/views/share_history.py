"""View share_history: the shares of queues in each pool over time, one row per 10 s in which they were reported.

Owner of share_history_v1. Queries: app.db.queries.share_history. Rounds report shares when they changed; between two
rows the first one holds.
"""

from collections.abc import Sequence

from sqlalchemy import Column, DateTime, Float, MetaData, Table, Text

from app.domain.rounds import RoundRecord
from app.log.topics import ROUNDS
from app.views.view import Batch, Operation, Upsert, View, Weekly

VERSION = 1
SHARES = f"share_history_v{VERSION}"
METADATA = MetaData()
BUCKET_MS = 10_000
RETENTION_DAYS = 30
KEY = ("bucket", "pool", "queue")
FRACTIONS = ("fair", "adjusted", "demand", "actual")

Table(
    SHARES,
    METADATA,
    Column("bucket", DateTime(timezone=True), primary_key=True),
    Column("pool", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    *(Column(name, Float, nullable=False) for name in FRACTIONS),
    postgresql_partition_by="RANGE (bucket)",
)


def rows(batch: Batch) -> Sequence[Operation]:
    """Of each bucket, pool and queue the last shares. Pure."""
    last: dict[tuple[object, ...], tuple[object, ...]] = {}
    for record in batch.records:
        one = record.value
        assert isinstance(one, RoundRecord), "argosy.rounds holds rounds"
        bucket = record.log_time_ms - record.log_time_ms % BUCKET_MS
        for share in one.shares:
            key = (bucket, one.pool, share.queue)
            # What a queue wants is more than it may have: the bar of its demand shows both.
            last[key] = (*key, share.fair_share, share.capped_share, share.demand_share, share.actual_share_after)
    return [Upsert(table=SHARES, key=KEY, columns=(*KEY, *FRACTIONS), rows=list(last.values()))] if last else []


VIEW = View(
    name="share_history",
    version=VERSION,
    app="rounds",
    topic=ROUNDS,
    metadata=METADATA,
    rows=rows,
    weekly=(Weekly(parent=SHARES, retention_days=RETENTION_DAYS),),
)
