"""A view process under faults: poison, data that Postgres refuses, holes, Postgres away, partitions taken away."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table

from agents.views.history import VIEW as HISTORY
from agents.views.leases import VIEW as LEASES
from app.db.engine import connect
from app.db.errors import PositionMoved
from app.log.topics import EVENTS
from app.views.contract import Tables, prepared, table_rows, write
from app.views.runner import ViewRunner
from app.views.view import Batch, Execute, Operation, Upsert, View
from tests.integration.views.running import Given, commands_view, hauls, positions, run
from tests.stack.server import PostgresServer
from tests.unit.views.event_log import EventLog

pytestmark = pytest.mark.stack


async def test_a_record_that_cannot_be_decoded_stops_the_app_there_and_not_before(database: str) -> None:
    log = EventLog(seed=41)
    raw = log.run(60)
    head = [one for one in log.events if one not in raw]
    at = next(index for index in range(30, 60) if raw[index].partition == 1)
    broken = [*raw[:at], raw[at]._replace(value=b"\0\0\0\0"), *raw[at + 1 :]]
    url = await prepared(HISTORY, database)
    runner, given = await run(url, [HISTORY], [head, broken[: at - 10], broken[at - 10 :], []])
    assert runner.trouble is not None
    assert f"argosy.events partition 1 offset {raw[at].offset}" in runner.trouble
    assert runner.troubles() == [runner.trouble]
    assert [haul.written for haul in given[:3]] == [True, True, False]
    stands = await positions(HISTORY, url)
    for partition, stand in stands.items():
        before = [one.offset for one in [*head, *raw[:at]] if one.partition == partition]
        assert stand.source_offset == before[-1], "everything before the poison is written, nothing behind it"
    # With bytes that can be read (a fix), it goes on from there to the same rows.
    left = [one for one in raw if one.offset > stands[one.partition].source_offset]
    runner, _ = await run(url, [HISTORY], [left])
    assert runner.trouble is None
    assert await table_rows(HISTORY, url) == await whole(HISTORY, log, url)


async def whole(view: View, log: EventLog, url: str) -> Tables:
    """The tables as one undisturbed batch leaves them, in a schema of its own database."""
    connection = await connect(url, name="test")
    name = "whole_" + url.rsplit("/", 1)[1]
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        await connection.execute(f'CREATE DATABASE "{name}"')
        other = await prepared(view, url.rsplit("/", 1)[0] + "/" + name)
        await write(view, other, [log.events])
        rows = await table_rows(view, other)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()
    return rows


async def test_a_view_that_raises_stops_its_app_at_that_record(database: str) -> None:
    log = EventLog(seed=42)
    raw = [*log.events, *log.run(50)]
    view = commands_view(breaks_at=9)
    url = await prepared(view, database)
    runner, _ = await run(url, [view], [raw])
    assert runner.trouble is not None
    assert "KeyError" in runner.trouble
    assert (await positions(view, url))[1].position == 8


async def test_data_that_postgres_refuses_stop_the_app_at_their_record(database: str) -> None:
    log = EventLog(seed=43)
    raw = [*log.events, *log.run(80)]
    first = next(one for one in raw if one.value is not None and b"CancelJobs" in one.value)
    view = commands_view(refuses="CancelJobs")
    url = await prepared(view, database)
    runner, given = await run(url, [view], [raw[:10], raw[10:], []])
    assert runner.trouble is not None
    assert "refused" in runner.trouble
    assert f"partition {first.partition} offset {first.offset}" in runner.trouble
    assert given[0].written
    assert not given[1].written
    rows = (await table_rows(view, url))["commands_v1"]
    assert len(rows) == raw.index(first)


async def test_a_refused_batch_that_nothing_follows_is_found_too(database: str) -> None:
    log = EventLog(seed=44)
    raw = [*log.events, *log.run(80)]
    view = commands_view(refuses="CancelJobs")
    url = await prepared(view, database)
    runner, _ = await run(url, [view], [raw])
    assert runner.trouble is not None


async def test_a_statement_that_postgres_does_not_understand_stops_the_app(database: str) -> None:
    log = EventLog(seed=56)
    metadata = MetaData()
    Table("wrong_v1", metadata, Column("id", Integer, primary_key=True))
    wrong = Execute(purpose="wrong", statement="INSERT INTO wrong_v1 (nothing) VALUES (1)")
    view = View(name="wrong", version=1, topic=EVENTS, metadata=metadata, rows=lambda batch: [wrong])
    url = await prepared(view, database)
    runner, given = await run(url, [view], [log.events])
    assert runner.trouble is not None
    assert 'column "nothing"' in runner.trouble
    assert not given[0].written


async def test_a_hole_in_the_log_stops_the_app(database: str) -> None:
    log = EventLog(seed=45)
    raw = log.partitions[0].events
    url = await prepared(HISTORY, database)
    runner, _ = await run(url, [HISTORY], [[*raw[:3], *raw[4:]]])
    assert runner.trouble is not None
    assert "a hole in the log: command 3 from event 0 on was expected, command 4" in runner.trouble


async def test_a_log_whose_beginning_is_gone_gives_what_it_holds(database: str) -> None:
    log = EventLog(seed=46)
    log.run(300)
    cut = {0: 40, 1: 55, 2: 30}
    kept = [one for part in log.partitions for one in part.events[cut[part.partition] :]]
    url = await prepared(HISTORY, database)
    runner, _ = await run(url, [HISTORY], [kept])
    assert runner.trouble is None
    connection = await connect(url, name="test")
    try:
        found = {row[0] for row in await connection.fetch("SELECT job_id FROM history_jobs")}
        counted = await connection.fetchval(
            "SELECT sum(n_queued + n_leased + n_pending + n_running + n_succeeded + n_failed + n_cancelled "
            "+ n_preempted + n_rejected) FROM history_job_sets"
        )
        lowest = await connection.fetchval(
            "SELECT min(least(n_queued, n_leased, n_pending, n_running)) FROM history_job_sets"
        )
    finally:
        await connection.close()
    want = {
        job.job_id for part in log.partitions for record in part.records[cut[part.partition] :] for job in record.jobs
    }
    assert found == want
    assert len(want) < len({job.job_id for part in log.partitions for record in part.records for job in record.jobs})
    assert (counted, lowest) == (len(want), 0), "counters count the jobs that are there"
    stands = await positions(HISTORY, url)
    assert {partition: stand.first_offset for partition, stand in stands.items()} == {
        part.partition: part.records[cut[part.partition]].offset for part in log.partitions
    }


async def test_postgres_away_is_waited_for_and_nothing_is_lost_or_doubled(fresh_postgres: PostgresServer) -> None:
    log = EventLog(seed=47)
    raw = [*log.events, *log.run(150)]
    url = await prepared(HISTORY, fresh_postgres.url)
    await _really_commit(url)
    runner = ViewRunner(url, [HISTORY])
    for partition in range(3):
        await runner.begin(partition)
    batches = [Given(raw[at : at + 10]) for at in range(0, len(raw), 10)]

    async def slowly() -> AsyncIterator[Given]:
        for number, haul in enumerate(batches):
            if number in (3, 8):
                await asyncio.to_thread(fresh_postgres.kill if number == 3 else fresh_postgres.stop)
                asyncio.get_running_loop().call_later(
                    0.4, lambda: asyncio.ensure_future(asyncio.to_thread(fresh_postgres.start))
                )
            yield haul

    task = asyncio.create_task(runner.run(slowly()))
    waited = False
    while not task.done():
        waited |= any("Postgres is away" in trouble for trouble in runner.troubles())
        await asyncio.sleep(0.01)
    await task
    await runner.writer.close()
    assert waited, "its health says so"
    assert runner.troubles() == []
    assert all(haul.written for haul in batches)
    assert await table_rows(HISTORY, url) == await whole(HISTORY, log, url)


async def _really_commit(url: str) -> None:
    """The servers of tests do not wait for the disk, and may forget what they said when they are killed."""
    connection = await connect(url, name="test")
    await connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = on")
    await connection.close()


async def test_a_haul_that_was_taken_away_is_not_written(database: str) -> None:
    log = EventLog(seed=48)
    raw = log.events
    url = await prepared(HISTORY, database)
    runner = ViewRunner(url, [HISTORY])
    for partition in range(3):
        await runner.begin(partition)
    mine, lost = Given(raw[:3]), Given(raw[3:5])
    lost.owned = False
    await runner.run(hauls([mine, lost]))
    await runner.writer.close()
    assert (mine.written, lost.written) == (True, False)
    assert (await positions(HISTORY, url))[0].source_offset == raw[2].offset


async def test_a_second_writer_of_one_partition_is_refused(database: str) -> None:
    log = EventLog(seed=49)
    raw = log.partitions[0].events
    url = await prepared(HISTORY, database)
    ours, theirs = ViewRunner(url, [HISTORY]), ViewRunner(url, [HISTORY])
    for runner in (ours, theirs):
        await runner.begin(0)
    await ours.write(ours.plan(raw[:2]))
    with pytest.raises(PositionMoved):
        await theirs.write(theirs.plan(raw[:3]))
    await ours.write(ours.plan(raw[2:]))
    for runner in (ours, theirs):
        await runner.writer.close()
    assert (await positions(HISTORY, url))[0].source_offset == raw[-1].offset


async def test_a_view_that_joins_an_app_later_begins_at_the_beginning(database: str) -> None:
    log = EventLog(seed=50)
    raw = [*log.events, *log.run(60)]
    first, second = commands_view(), _second_view()
    url = await prepared(first, database)
    await run(url, [first], [raw[:40]])
    await prepared(second, url)
    runner, _ = await run(url, [first, second], [raw[:50], raw[50:]])
    assert runner.trouble is None
    assert len((await table_rows(first, url))["commands_v1"]) == len(raw)
    assert len((await table_rows(second, url))["latest_v1"]) == 3


def _second_view() -> View:
    def rows(batch: Batch) -> Sequence[Operation]:
        last = {record.partition: record.offset for record in batch.records}
        return [Upsert(table="latest_v1", key=("partition",), columns=("partition", "at"), rows=list(last.items()))]

    metadata = MetaData()
    Table("latest_v1", metadata, Column("partition", Integer, primary_key=True), Column("at", BigInteger))
    return View(name="latest", version=1, app="commands", topic=EVENTS, metadata=metadata, rows=rows)


async def test_texts_that_postgres_does_not_take_are_no_poison(database: str) -> None:
    log = EventLog(seed=51)
    part = log.partitions[0]
    texts = "nul \0 quote ' back \\ smile \U0001f600 " + "long " * 600
    log.decide(part, log.submit(part, 8, texts=texts))
    log.decide(part, log.lease(part, share=1.0))
    for _ in range(6):
        log.decide(part, log.report(part, share=1.0, texts=texts))
    for view in (HISTORY, LEASES):
        url = await prepared(view, database)
        runner, _ = await run(url, [view], [part.events])
        assert runner.trouble is None
