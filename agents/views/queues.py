"""View queues: every queue as it was last described, from argosy.state (compacted, so also queues older than the log).

Owner of queues_v1. Queries: app.db.queries.queues.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text

from app.domain.rows import QueueRow
from app.log.topics import STATE
from app.views.view import Batch, Delete, Execute, Operation, Upsert, View

VERSION = 1
QUEUES = f"queues_v{VERSION}"
METADATA = MetaData()
KEY_PREFIX = b"q"

Table(
    QUEUES,
    METADATA,
    Column("name", Text, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    # JSON of QueueSpec
    Column("spec", Text, nullable=False),
)
COLUMNS = ("name", "partition", "incarnation", "created", "spec")

# A partition is read anew: what stands of it may include queues that were deleted unseen.
VOID = f"DELETE FROM {QUEUES} WHERE partition = ANY($1::int[])"


def rows(batch: Batch) -> Sequence[Operation]:
    """The last row of each queue in the batch. Pure."""
    last: dict[str, tuple[object, ...] | None] = {}
    for record in batch.records:
        name = record.key[len(KEY_PREFIX) :].decode()
        row = record.value
        if row is None:
            last[name] = None
            continue
        assert isinstance(row, QueueRow), "keys of queues have rows of queues"
        spec = msgspec.json.encode(row.spec).decode()
        last[name] = (name, record.partition, row.incarnation, row.created_ms, spec)
    out: list[Operation] = []
    if batch.anew:
        out.append(Execute(purpose="read anew", statement=VOID, arguments=(sorted(batch.anew),)))
    present = [row for row in last.values() if row is not None]
    absent = [(name,) for name, row in last.items() if row is None]
    return [
        *out,
        Upsert(table=QUEUES, key=("name",), columns=COLUMNS, rows=present),
        Delete(table=QUEUES, key=("name",), rows=absent),
    ]


VIEW = View(name="queues", version=VERSION, topic=STATE, metadata=METADATA, rows=rows, keys=KEY_PREFIX)
