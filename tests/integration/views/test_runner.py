"""A view process under faults: poison, data that Postgres refuses, holes, Postgres away, partitions taken away, topics
that were compacted meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, MetaData, Table, Text

from agents.views.history import VIEW as HISTORY
from agents.views.leases import VIEW as LEASES
from agents.views.queues import VIEW as QUEUES
from app.db.engine import connect
from app.db.errors import NotMigrated, PositionMoved
from app.domain.commands import CreateQueues, QueueSpec
from app.domain.events import EventsRecord
from app.domain.rows import QueueRow
from app.log.codec import encode
from app.log.topics import EVENTS, STATE
from app.views.contract import Tables, prepared, table_rows, write
from app.views.runner import ViewRunner
from app.views.source import RawRecord
from app.views.view import Batch, Insert, Operation, Upsert, View
from app.views.writer import Stand
from tests.stack.server import PostgresServer
from tests.unit.views.event_log import ADMIN, EventLog

pytestmark = pytest.mark.stack


class Given:
    """A haul that remembers what became of it."""

    def __init__(self, records: Sequence[RawRecord]) -> None:
        self.records = records
        self.owned = True
        self.written: bool | None = None

    def live(self) -> bool:
        return self.owned

    def done(self, written: bool) -> None:
        self.written = written


async def hauls(given: Sequence[Given]) -> AsyncIterator[Given]:
    for haul in given:
        await asyncio.sleep(0)
        yield haul


async def run(
    url: str, views: Sequence[View], batches: Sequence[Sequence[RawRecord]]
) -> tuple[ViewRunner, list[Given]]:
    """A process over these batches, from where the database stands."""
    runner = ViewRunner(url, views)
    try:
        for partition in sorted({one.partition for batch in batches for one in batch}):
            await runner.begin(partition)
        given = [Given(batch) for batch in batches]
        await runner.run(hauls(given))
    finally:
        await runner.writer.close()
    return runner, given


def commands_view(*, refuses: str = "", breaks_at: int = -1) -> View:
    """A view with a row a command. Postgres refuses the command `refuses`; its code breaks at position `breaks_at`."""

    def rows(batch: Batch) -> Sequence[Operation]:
        found = []
        for record in batch.records:
            value = record.value
            assert isinstance(value, EventsRecord)
            if value.offset == breaks_at and record.partition == 1:
                raise KeyError("a bug in the view")
            if value.last:
                found.append((record.partition, value.offset, value.command))
        return [Insert(table="commands_v1", columns=("partition", "position", "command"), rows=found)]

    metadata = MetaData()
    Table(
        "commands_v1",
        metadata,
        Column("partition", Integer, primary_key=True),
        Column("position", BigInteger, primary_key=True),
        Column("command", Text, nullable=False),
        CheckConstraint(f"command <> '{refuses}'", name="refused"),
    )
    return View(name="commands", version=1, topic=EVENTS, metadata=metadata, rows=rows)


async def positions(view: View, url: str) -> dict[int, Stand]:
    runner = ViewRunner(url, [view])
    try:
        return {partition: stand for partition, (stand, _) in (await runner.writer.read(view)).items()}
    finally:
        await runner.writer.close()


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


async def test_a_compacted_topic_is_read_anew_by_a_view_that_stood_still(database: str) -> None:
    log = EventLog(seed=52, partitions=1)
    part = log.partitions[0]
    for name in ("kept", "deleted"):
        log.decide(part, CreateQueues(principal=ADMIN, queues=(QueueSpec(name=name),)))
    url = await prepared(QUEUES, database)
    await write(QUEUES, url, [part.rows])
    names = ["deleted", "kept", "queue-0-a", "queue-0-b"]
    assert await _queues(url) == names
    # Meanwhile `deleted` was deleted, and its tombstone is gone from the topic too.
    log.run(5)
    kept = [one for one in part.rows if one.key != b"qdeleted"]

    async def read_all(partition: int) -> AsyncIterator[Sequence[RawRecord]]:
        yield kept[: len(kept) // 2]
        yield kept[len(kept) // 2 :]

    for stale, want in ((False, names), (True, [name for name in names if name != "deleted"])):
        if stale:
            connection = await connect(url, name="test")
            await connection.execute("UPDATE view_positions SET written_at = written_at - interval '8 minutes'")
            await connection.close()
        runner = ViewRunner(url, [QUEUES], read_all=read_all)
        begin = await runner.begin(0)
        await runner.writer.close()
        assert await _queues(url) == want
        assert (begin == kept[-1].offset + 1) == stale
    assert (await positions(QUEUES, url))[0].position == part.offset


async def test_a_stamp_keeps_an_idle_view_of_a_compacted_topic_young(database: str) -> None:
    log = EventLog(seed=53, partitions=1)
    url = await prepared(QUEUES, database)
    await write(QUEUES, url, [log.partitions[0].rows])
    connection = await connect(url, name="test")
    await connection.execute("UPDATE view_positions SET written_at = written_at - interval '6 minutes'")
    runner = ViewRunner(url, [QUEUES])
    await runner.touch()
    age_s = await connection.fetchval(
        "SELECT extract(epoch FROM clock_timestamp() - max(written_at)) FROM view_positions"
    )
    await connection.close()
    await runner.writer.close()
    assert age_s < 60


async def _queues(url: str) -> list[str]:
    connection = await connect(url, name="test")
    try:
        return [row[0] for row in await connection.fetch("SELECT name FROM queues ORDER BY name")]
    finally:
        await connection.close()


async def test_weeks_older_than_the_log_is_kept_go_by_log_time(database: str) -> None:
    log = EventLog(seed=54, step_ms=3_600_000)
    url = await prepared(HISTORY, database)
    log.run(40)
    log.time_ms += 40 * 24 * 3_600_000
    log.run(40)
    runner = ViewRunner(url, [HISTORY])
    for partition in range(3):
        await runner.begin(partition)
    await runner.write(runner.plan(log.events))
    connection = await connect(url, name="test")
    oldest = "SELECT min(at) FROM history_job_set_events"
    before = await connection.fetchval(oldest)
    await runner.touch()
    after = await connection.fetchval(oldest)
    await connection.close()
    await runner.writer.close()
    horizon_ms = log.time_ms - 38 * 24 * 3_600_000
    assert before < horizon_ms < after


async def test_the_database_of_another_log_is_refused(database: str) -> None:
    url = await prepared(HISTORY, database)
    for topic_id, refused in (("one", False), ("one", False), ("two", True)):
        runner = ViewRunner(url, [HISTORY], topic_id=topic_id)
        try:
            if refused:
                with pytest.raises(PositionMoved, match="another log"):
                    await runner.begin(0)
            else:
                await runner.begin(0)
        finally:
            await runner.writer.close()


async def test_a_database_without_migrations_is_refused_with_the_remedy(database: str) -> None:
    runner = ViewRunner(database, [HISTORY])
    with pytest.raises(NotMigrated, match="argosy-admin migrate"):
        await runner.begin(0)
    await runner.writer.close()


def test_views_of_two_topics_are_not_one_app() -> None:
    queues = View(name="q", version=1, app="history", topic=STATE, metadata=MetaData(), rows=lambda batch: [])
    with pytest.raises(ValueError, match="one topic"):
        ViewRunner("postgresql://u@127.0.0.1/x", [HISTORY, queues])


async def test_a_step_of_state_counts_only_when_its_position_row_has_come(database: str) -> None:
    url = await prepared(QUEUES, database)
    row = QueueRow(incarnation=3, created_ms=1_790_000_000_000, spec=QueueSpec(name="late"))
    open_step = [RawRecord(0, 0, b"qlate", encode(row), 1_790_000_000_000)]
    _, given = await run_without_reading(url, [open_step])
    assert await _queues(url) == []
    assert given[0].written
    assert await positions(QUEUES, url) == {}


async def run_without_reading(url: str, batches: Sequence[Sequence[RawRecord]]) -> tuple[ViewRunner, list[Given]]:
    runner = ViewRunner(url, [QUEUES])
    given = [Given(batch) for batch in batches]
    await runner.run(hauls(given))
    await runner.writer.close()
    return runner, given
