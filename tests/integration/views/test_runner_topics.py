"""A view process and its topics: compacted ones read anew, old weeks, the database of another log, steps of state."""

from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import MetaData

from agents.views.history import VIEW as HISTORY
from agents.views.queues import VIEW as QUEUES
from app.db.engine import connect
from app.db.errors import NotMigrated, PositionMoved
from app.domain.commands import CreateQueues, QueueSpec
from app.domain.rows import QueueRow
from app.log.codec import encode
from app.log.topics import STATE
from app.views import runner as runner_module
from app.views.contract import prepared, write
from app.views.runner import StoodStill, ViewRunner
from app.views.source import RawRecord
from app.views.view import View
from tests.integration.views.running import Given, hauls, positions
from tests.unit.views.event_log import ADMIN, EventLog

pytestmark = pytest.mark.stack


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


async def test_a_process_that_could_not_write_for_long_starts_anew(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(seed=55, partitions=1)
    url = await prepared(QUEUES, database)
    runner = ViewRunner(url, [QUEUES])
    planned = runner.plan(log.partitions[0].rows)
    monkeypatch.setattr(runner_module, "STALE_AFTER_S", -1.0)
    with pytest.raises(StoodStill, match="must be read anew"):
        await runner.write(planned)
    with pytest.raises(StoodStill):
        await runner.touch()
    await runner.writer.close()
    assert await _queues(url) == []


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
