"""What every view must keep, as checks that a test calls: ours and foreign ones alike.

    async def test_depth_keeps_the_contract(database_factory):
        await check_contract(VIEW, raw_records, database_factory, seed=1)

Input: raw records of the view's topic (bytes as the broker gave them), new databases. They raise AssertionError with
the table and the first row that differs. Not for production: everything is read into memory.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress

from app.db.engine import connect
from app.db.errors import PositionMoved
from app.db.migrations import migrate
from app.views.install import install
from app.views.runner import ViewRunner
from app.views.source import RawRecord
from app.views.view import View

Tables = dict[str, list[str]]
"""table -> its rows as text, sorted"""

KILLS = 12


async def check_contract(
    view: View, raw: Sequence[RawRecord], make_database: Callable[[], str], *, seed: int = 1
) -> Tables:
    """All checks below; returns the tables, so that a test can go on with what is in them."""
    url = await prepared(view, make_database())
    await write(view, url, [raw])
    want = await table_rows(view, url)
    await check_replay(view, raw, url, want)
    await check_any_cut(view, raw, make_database, want, seed=seed)
    await check_killed_anywhere(view, raw, make_database, want, seed=seed)
    return want


async def check_replay(view: View, raw: Sequence[RawRecord], url: str, want: Tables) -> None:
    """Records that were written before change nothing: also a writer that has not read positions is refused."""
    for written in (raw, raw[len(raw) // 2 :]):
        runner = ViewRunner(url, [view])
        try:
            with suppress(PositionMoved):
                await runner.write(runner.plan(written))
                raise AssertionError(f"view {view.name}: a batch that was written before was taken again")
        finally:
            await runner.writer.close()
        _same(view, want, await table_rows(view, url), "after a replay")


async def check_any_cut(
    view: View, raw: Sequence[RawRecord], make_database: Callable[[], str], want: Tables, *, seed: int
) -> None:
    """However the records are cut into batches, and partitions mingled, the rows are the same."""
    rnd = random.Random(seed)
    for size in (1, 7, 60):
        url = await prepared(view, make_database())
        await write(view, url, cut(mingled(raw, rnd), size, rnd))
        _same(view, want, await table_rows(view, url), f"in batches of about {size}")


async def check_killed_anywhere(
    view: View, raw: Sequence[RawRecord], make_database: Callable[[], str], want: Tables, *, seed: int
) -> None:
    """A writer that is ended at any point, also inside a transaction, and started again leaves the same rows."""
    rnd = random.Random(seed)
    url = await prepared(view, make_database())
    for _ in range(KILLS):
        task = asyncio.create_task(_resume(view, url, raw, rnd))
        await asyncio.wait({task}, timeout=rnd.uniform(0.005, 0.25))
        # Its connection goes with it, as that of a killed process does.
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await _resume(view, url, raw, rnd)
    _same(view, want, await table_rows(view, url), f"after {KILLS} kills")


async def prepared(view: View, url: str) -> str:
    """The database with the platform's tables and the view's."""
    await migrate(url)
    await install(url, [view])
    return url


async def write(view: View, url: str, batches: Sequence[Sequence[RawRecord]]) -> None:
    """Writes batches by a runner that begins where the database stands."""
    runner = ViewRunner(url, [view])
    try:
        for partition in sorted({one.partition for batch in batches for one in batch}):
            runner.adopt(partition, await runner.stands(partition))
        for batch in batches:
            await runner.write(runner.plan(batch))
    finally:
        await runner.writer.close()


async def table_rows(view: View, url: str) -> Tables:
    """All rows of the view's tables."""
    connection = await connect(url, name="argosy-contract")
    try:
        return {
            table.name: [
                row[0] for row in await connection.fetch(f"SELECT x::text FROM {table.name} x ORDER BY x::text")
            ]
            for table in view.tables
        }
    finally:
        await connection.close()


def mingled(raw: Sequence[RawRecord], rnd: random.Random) -> list[RawRecord]:
    """The same records, those of each partition in order, partitions mingled."""
    by_partition: dict[int, list[RawRecord]] = defaultdict(list)
    for one in raw:
        by_partition[one.partition].append(one)
    turns = [partition for partition, some in by_partition.items() for _ in some]
    rnd.shuffle(turns)
    queues = {partition: iter(some) for partition, some in by_partition.items()}
    return [next(queues[partition]) for partition in turns]


def cut(raw: Sequence[RawRecord], size: int, rnd: random.Random) -> list[list[RawRecord]]:
    """Batches of 1 to 2 * size records."""
    batches: list[list[RawRecord]] = []
    at = 0
    while at < len(raw):
        length = rnd.randrange(1, 2 * size + 1)
        batches.append(list(raw[at : at + length]))
        at += length
    return batches


async def _resume(view: View, url: str, raw: Sequence[RawRecord], rnd: random.Random) -> None:
    """A process: reads positions, takes what is behind them in batches."""
    runner = ViewRunner(url, [view])
    try:
        left: list[RawRecord] = []
        for partition in sorted({one.partition for one in raw}):
            stands = await runner.stands(partition)
            runner.adopt(partition, stands)
            begin = min(stand.source_offset for stand in stands.values())
            left += [one for one in raw if one.partition == partition and one.offset > begin]
        for batch in cut(mingled(left, rnd), 30, rnd):
            await runner.write(runner.plan(batch))
    finally:
        await runner.writer.close()


def _same(view: View, want: Tables, found: Tables, when: str) -> None:
    for table, rows in want.items():
        if rows == found[table]:
            continue
        missing = sorted(set(rows) - set(found[table]))[:1]
        extra = sorted(set(found[table]) - set(rows))[:1]
        raise AssertionError(
            f"view {view.name}, table {table}, {when}: {len(rows)} rows wanted, {len(found[table])} found; "
            f"missing {missing}, not wanted {extra}"
        )
