"""View rounds: every scheduling round in numbers and as a whole, and the queues' latest shares, from argosy.rounds.

Owner of rounds_v1, rounds_v1_shares. Queries: app.db.queries.rounds.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import BYTEA, UUID

from app.db.codecs import packed_body
from app.domain.rounds import RoundRecord
from app.log.topics import ROUNDS as TOPIC
from app.views.view import Batch, Execute, Insert, Operation, Upsert, View, Weekly

VERSION = 1
ROUNDS, SHARES = f"rounds_v{VERSION}", f"rounds_v{VERSION}_shares"
METADATA = MetaData()
Time = DateTime(timezone=True)
RETENTION_DAYS = 7

# logged: when the broker took the record; a round is kept by that, whatever the leader's clock said.
Table(
    ROUNDS,
    METADATA,
    Column("logged", Time, nullable=False),
    Column("round_id", UUID, nullable=False),
    Column("started", Time, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("queued", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("considered", Integer, nullable=False),
    Column("placed", Integer, nullable=False),
    Column("preempted", Integer, nullable=False),
    Column("blocked", Integer, nullable=False),
    Column("pool", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("timings", Text, nullable=False),
    # zstd of MessagePack of RoundRecord (app.db.codecs)
    Column("body", BYTEA, nullable=False),
    postgresql_partition_by="RANGE (logged)",
)
Table(
    SHARES,
    METADATA,
    Column("pool", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    # JSON of QueueShare
    Column("share", Text, nullable=False),
    postgresql_with={"fillfactor": "50"},
)
COLUMNS = (
    "logged",
    "round_id",
    "started",
    "epoch",
    "nodes",
    "queued",
    "running",
    "considered",
    "placed",
    "preempted",
    "blocked",
    "pool",
    "kind",
    "timings",
    "body",
)

# A round that reports shares reports all: queues that it does not name have none.
FORGET = f"DELETE FROM {SHARES} s WHERE s.pool = $1 AND s.queue <> ALL($2::text[])"


def rows(batch: Batch) -> Sequence[Operation]:
    """All rounds of the batch, and of each pool the last shares. Pure."""
    found = []
    last: dict[str, RoundRecord] = {}
    for record in batch.records:
        one = record.value
        assert isinstance(one, RoundRecord), "argosy.rounds holds rounds"
        found.append(_row(one, record.log_time_ms))
        if one.shares:
            last[one.pool] = one
    shares: list[Operation] = []
    for pool, one in last.items():
        queues = [share.queue for share in one.shares]
        values = [(pool, share.queue, msgspec.json.encode(share).decode()) for share in one.shares]
        shares.append(Execute(purpose="queues without shares", statement=FORGET, arguments=(pool, queues)))
        shares.append(Upsert(table=SHARES, key=("pool", "queue"), columns=("pool", "queue", "share"), rows=values))
    return [Insert(table=ROUNDS, columns=COLUMNS, rows=found), *shares]


def _row(one: RoundRecord, logged_ms: int) -> tuple[object, ...]:
    return (
        logged_ms,
        one.round_id,
        one.started_ms,
        one.epoch,
        one.nodes,
        one.queued,
        one.running,
        one.considered,
        len(one.placed),
        len(one.preempted),
        sum(blocked.jobs for blocked in one.blocked),
        one.pool,
        one.kind,
        msgspec.json.encode(one.timings_us).decode(),
        packed_body(msgspec.msgpack.encode(one)),
    )


VIEW = View(
    name="rounds",
    version=VERSION,
    topic=TOPIC,
    metadata=METADATA,
    rows=rows,
    ddl=(f"ALTER TABLE {ROUNDS} ALTER body SET STORAGE EXTERNAL",),
    weekly=(
        Weekly(
            parent=ROUNDS,
            retention_days=RETENTION_DAYS,
            indexes=(
                "CREATE INDEX IF NOT EXISTS {table}_pool ON {table} (pool, started, round_id)",
                "CREATE UNIQUE INDEX IF NOT EXISTS {table}_id ON {table} (round_id)",
            ),
        ),
    ),
)
