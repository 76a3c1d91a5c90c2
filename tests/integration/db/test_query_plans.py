"""Plans of the pages' lists over tens of thousands of jobs: none looks at most of the queued, running or finished."""

from collections.abc import AsyncIterator

import pytest

from agents.views.history import VIEW as HISTORY
from app.db.engine import connect
from app.views.contract import prepared, write
from benchmarks.views_log import BusyLog
from benchmarks.views_queries import (
    ORDERS,
    SMALL_TABLE_ROWS,
    ExplainingDatabase,
    filters_of,
    pages_of,
    sample_of,
    scans_of,
    sizes_of,
)

pytestmark = pytest.mark.stack

EVENTS = 150_000
RARE = (
    "queue_unknown",
    "set",
    "owner_running",
    "namespace_rare",
    "pool_rare",
    "node",
    "exit_none",
    "reason",
    "failed_exit",
    "annotation_one",
    "everything",
    "state_failed",
)


@pytest.fixture
async def filled(database: str) -> AsyncIterator[ExplainingDatabase]:
    log = BusyLog(seed=3, start_ms=1_790_000_000_000, lag=3_000, call_ms=2_000)
    await prepared(HISTORY, database)
    records = list(log.records(EVENTS))
    await write(HISTORY, database, [records[at : at + 400] for at in range(0, len(records), 400)])
    connection = await connect(database, name="test-analyze")
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    opened = await ExplainingDatabase.open(database, connections_max=1, statement_timeout_ms=60_000)
    assert isinstance(opened, ExplainingDatabase)
    opened.reads = []
    yield opened
    await opened.close()


async def test_no_list_looks_at_most_of_a_table(filled: ExplainingDatabase) -> None:
    sizes = await sizes_of(filled)
    assert min(sizes.values()) > SMALL_TABLE_ROWS, "the tables are large enough to tell an index from a scan"
    sample = await sample_of(filled)
    filters = filters_of(sample)
    found: list[str] = []
    for name in RARE:
        for order in ORDERS:
            for asked in (await pages_of(filled, filters[name], order, sample.now_ms))[:2]:
                found += [f"{name} by {order}: {text}" for text in await scans_of(filled, asked, sizes)]
    assert found == []
    async with filled.reading() as connection:
        await connection.fetchval("SELECT count(*) FROM (SELECT * FROM history_jobs ORDER BY memory + 1 LIMIT 10) AS j")
    assert filled.reads[-1][1].rows["done"] >= sizes["done"], "a scan would be noticed"
