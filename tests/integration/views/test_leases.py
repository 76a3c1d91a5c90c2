"""What executors are told equals a plain fold of the log: by cursor in small answers, and in full answers."""

import random
from collections import defaultdict
from dataclasses import dataclass

import pytest

from agents.views.leases import KEPT_MS, SWEEP_MS, VIEW
from app.db.database import Database
from app.db.queries.leases import FullPage, SyncPage, all_runs, leases_after
from app.db.queries.reached import WHOLE
from app.domain.events import EventsRecord, StopReason
from app.views.contract import prepared, write
from app.views.source import RawRecord
from tests.unit.views.event_log import CLUSTERS, SPECS, EventLog

pytestmark = pytest.mark.stack


@dataclass
class Run:
    """A run as the log tells it."""

    cluster: str
    job_id: bytes
    partition: int
    place: tuple[int, int]
    state: str = "unreported"
    reason: StopReason | None = None
    end: tuple[int, int] = (-1, -1)
    ended_ms: int = 0


def fold(log: EventLog) -> dict[bytes, Run]:
    runs: dict[bytes, Run] = {}
    for part in log.partitions:
        for record in part.records:
            _fold(runs, part.partition, record)
    return runs


def _fold(runs: dict[bytes, Run], partition: int, record: EventsRecord) -> None:
    for lease in record.leases:
        runs[lease.run_id] = Run(lease.cluster, lease.job_id, partition, (record.offset, lease.ordinal))
    for run_id in record.reported:
        if runs[run_id].state == "unreported":
            runs[run_id].state = "reported"
    for stop in record.stops:
        run = runs[stop.run_id]
        run.state = "gone" if stop.gone else "stopping"
        run.reason, run.end, run.ended_ms = stop.reason, (record.offset, stop.ordinal), record.log_time_ms


class Follower:
    """An executor that asks with its cursor, in answers of at most `limit` leases and stops."""

    def __init__(self, cluster: str, limit: int) -> None:
        self.cluster, self.limit = cluster, limit
        self.cursor: dict[int, tuple[int, int]] = {}
        self.leases: dict[bytes, tuple[int, int]] = {}
        self.stops: dict[bytes, StopReason] = {}
        self.answers = 0

    async def sync(self, database: Database) -> None:
        while True:
            page = await leases_after(database, self.cluster, self.cursor, leases_max=self.limit, stops_max=self.limit)
            self._take(page)
            if not page.more:
                return

    def _take(self, page: SyncPage) -> None:
        self.answers += 1
        for partition, place in page.cursor.items():
            assert place >= self.cursor.get(partition, (-1, -1)), "a cursor never goes back"
        for lease in page.leases:
            assert (lease.offset, lease.ordinal) > self.cursor.get(lease.partition, (-1, -1))
            assert (lease.offset, lease.ordinal) <= page.cursor[lease.partition]
            assert page.specs[lease.spec_id] in {spec.body for spec in SPECS}
            assert lease.job.queue.startswith(f"queue-{lease.partition}")
            assert lease.job.annotations["example.com/text"] == "x="
            assert lease.run_id not in self.leases, "one cursor, one telling"
            self.leases[lease.run_id] = (lease.offset, lease.ordinal)
        for stop in page.stops:
            self.stops[stop.run_id] = stop.reason
        self.cursor = page.cursor


async def test_an_executor_that_follows_its_cursor_is_told_of_every_lease_and_stop(database: str) -> None:
    log, rnd = EventLog(seed=31), random.Random(5)
    url = await prepared(VIEW, database)
    opened = await Database.open(url, connections_max=2)
    followers = [Follower(cluster, limit) for cluster in CLUSTERS for limit in (3, 1000)]
    written: dict[int, int] = defaultdict(int)
    unreported: dict[str, dict[bytes, tuple[int, int]]] = defaultdict(dict)
    for _ in range(25):
        log.run(20)
        await write(VIEW, url, [_new(log, written)])
        runs = fold(log)
        for run_id, run in runs.items():
            if run.state == "unreported":
                unreported[run.cluster][run_id] = run.place
        for follower in followers:
            if rnd.random() < 0.8:
                await follower.sync(opened)
                seen = {run_id for run_id, run in runs.items() if run.state == "unreported"}
                mine = {run_id for run_id in seen if runs[run_id].cluster == follower.cluster}
                assert mine <= follower.leases.keys()
                told = {
                    run_id
                    for run_id, run in runs.items()
                    if run.cluster == follower.cluster
                    and (run.state == "stopping" or run.reason is StopReason.FINISHED)
                }
                assert told <= follower.stops.keys()
        for cluster in CLUSTERS:
            _check_full(await all_runs(opened, cluster), cluster, runs)
    runs = fold(log)
    for follower in followers:
        await follower.sync(opened)
        assert follower.leases.items() <= unreported[follower.cluster].items()
        # Only the last word of a run that was stopped may come after what the executor was told of it.
        changed = {run_id for run_id, reason in follower.stops.items() if reason is not runs[run_id].reason}
        assert changed == {run_id for run_id in follower.stops if runs[run_id].reason is StopReason.GONE}
    assert any(follower.answers > 40 for follower in followers)
    await opened.close()


def _new(log: EventLog, written: dict[int, int]) -> list[RawRecord]:
    """What the view has not been given."""
    out: list[RawRecord] = []
    for part in log.partitions:
        out += part.events[written[part.partition] :]
        written[part.partition] = len(part.events)
    return out


def _check_full(page: FullPage, cluster: str, runs: dict[bytes, Run]) -> None:
    mine = {run_id: run for run_id, run in runs.items() if run.cluster == cluster}
    assert {lease.run_id for lease in page.leases} == {i for i, run in mine.items() if run.state == "unreported"}
    assert {run.run_id for run in page.reported} == {i for i, run in mine.items() if run.state == "reported"}
    assert {stop.run_id: stop.reason for stop in page.stops} == {
        i: run.reason for i, run in mine.items() if run.state == "stopping"
    }
    assert all(place[1] == WHOLE for place in page.cursor.values())


async def test_rows_of_ended_runs_stay_an_hour_and_jobs_go_with_their_end(database: str) -> None:
    log = EventLog(seed=32, step_ms=60_000)
    log.run(400)
    url = await prepared(VIEW, database)
    await write(VIEW, url, [log.events])
    opened = await Database.open(url, connections_max=1)
    async with opened.reading() as connection:
        found = {row[0] for row in await connection.fetch("SELECT run_id FROM leases")}
        jobs = {row[0] for row in await connection.fetch("SELECT job_id FROM leases_jobs")}
    await opened.close()
    want = set()
    for run_id, run in fold(log).items():
        now_ms = log.partitions[run.partition].records[-1].log_time_ms
        if run.state != "gone" or run.ended_ms >= (now_ms - KEPT_MS) // SWEEP_MS * SWEEP_MS:
            want.add(run_id)
    assert found == want
    assert len(want) < len(fold(log))
    assert jobs == {job_id for part in log.partitions for job_id in part.live}


async def test_a_cluster_that_nobody_heard_of_is_told_nothing_and_gets_a_cursor(database: str) -> None:
    log = EventLog(seed=33)
    log.run(50)
    url = await prepared(VIEW, database)
    await write(VIEW, url, [log.events])
    opened = await Database.open(url, connections_max=1)
    page = await leases_after(opened, "nobody", {})
    await opened.close()
    assert (page.leases, page.stops, page.more) == ((), (), False)
    assert page.cursor == {part.partition: (part.offset, WHOLE) for part in log.partitions}
