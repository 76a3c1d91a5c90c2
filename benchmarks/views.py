"""The view writer: `make bench-views`. Rebuild (large batches, indexes last) and live (small ones, all indexes, every
commit on disk) of app history, live of app leases, the Postgres size of a finished job over both, and how quickly the
pages' queries are answered over what was rebuilt.

Records of argosy.events in memory, as the broker gives them, go through the views' own runner: decoding, planning,
COPY, merge, position, commit. What Faust adds a record is in docs of the queue agent's benchmark. A Postgres of its
own with fsync. Output: progress, and as the last line one JSON object. ARGOSY_BENCH_JOBS sets the number of jobs
rebuilt.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agents.views.history import VIEW as HISTORY
from agents.views.leases import VIEW as LEASES
from app.admin.postgres_node import PostgresNode
from app.admin.processes import free_port
from app.db.engine import connect
from app.db.migrations import migrate
from app.views.garbage import collect_rarely
from app.views.install import index, install
from app.views.runner import ViewRunner
from app.views.source import RawRecord
from app.views.view import View
from benchmarks.outcome import Budget, conditions_here, median_figures, outcome_line, percentile
from benchmarks.views_log import BusyLog
from benchmarks.views_process import catch_up
from benchmarks.views_queries import measure_queries

JOBS = int(os.environ.get("ARGOSY_BENCH_JOBS", "1000000"))
REBUILD_BATCH_EVENTS = 40_000
REBUILD_CHUNK_EVENTS = 300_000
LIVE_EVENTS = 60_000
LIVE_BATCHES = (200, 1_000)
PROCESS_EVENTS = 300_000
RUNS = 3
QUERIED_LAG = 6_000
"""a quarter of it waits in each of ten queues, half of it is with a cluster"""
DAY_MS = 24 * 3_600_000
START_MS = 1_790_000_000_000
PARTITIONS = 4

BUDGETS = {
    "history_live_1000_events_per_s": Budget(value=15_000, at_most=False),
    "history_rebuild_events_per_s": Budget(value=60_000, at_most=False),
    "finished_job_bytes": Budget(value=2_200),
    "query_worst_p95_ms": Budget(value=200),
    "query_plans_that_scan": Budget(value=0),
}


class Haul:
    """A batch whose commit is timed."""

    def __init__(self, records: Sequence[RawRecord], spent_s: list[float]) -> None:
        self.records = records
        self._spent_s = spent_s
        self._began = 0.0

    def live(self) -> bool:
        self._began = self._began or time.perf_counter()
        return True

    def done(self, written: bool) -> None:
        assert written, "every batch of a benchmark is written"
        self._spent_s.append(time.perf_counter() - self._began)


@dataclass(slots=True)
class Measured:
    """A stretch of writing. client and server: CPU seconds of this process and of Postgres."""

    events: int = 0
    seconds: float = 0.0
    client_cpu_s: float = 0.0
    server_cpu_s: float = 0.0
    commits_s: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return self.events / self.seconds

    def add(self, other: "Measured") -> None:
        self.events += other.events
        self.seconds += other.seconds
        self.client_cpu_s += other.client_cpu_s
        self.server_cpu_s += other.server_cpu_s
        self.commits_s += other.commits_s

    def __str__(self) -> str:
        return (
            f"{self.events:,} events, {self.per_s:,.0f}/s, CPU us an event: client "
            f"{self.client_cpu_s / self.events * 1e6:.1f}, Postgres {self.server_cpu_s / self.events * 1e6:.1f}; "
            f"batch p50 {percentile(self.commits_s, 0.5) * 1e3:.0f} ms, "
            f"p95 {percentile(self.commits_s, 0.95) * 1e3:.0f} ms"
        )


class Bench:
    """One database and the runners of both apps."""

    def __init__(self, url: str, server_pid: int) -> None:
        self.url = url
        self.server_pid = server_pid

    async def write(self, view: View, batches: Sequence[Sequence[RawRecord]], *, indexes: bool = True) -> Measured:
        """Through the runner, as a view process does it."""
        runner = ViewRunner(self.url, [view], indexes=indexes)
        # The connection, the views' session and what is loaded once are not what is measured.
        for partition in range(PARTITIONS):
            runner.adopt(partition, await runner.stands(partition))
        spent_s: list[float] = []
        began, client, server = time.perf_counter(), time.process_time(), server_cpu_s(self.server_pid)
        await runner.run(_given([Haul(batch, spent_s) for batch in batches]))
        seconds = time.perf_counter() - began
        client, server = time.process_time() - client, server_cpu_s(self.server_pid) - server
        assert runner.trouble is None, runner.trouble
        events = int(runner.metrics.events._value.get())
        await runner.writer.close()
        return Measured(events, seconds, client, server, spent_s)

    async def execute(self, statement: str) -> None:
        connection = await connect(self.url, name="bench")
        await connection.execute(statement)
        await connection.close()

    async def bytes_of(self, pattern: str) -> int:
        """Size of all tables of this name, with indexes and TOAST."""
        connection = await connect(self.url, name="bench")
        found = await connection.fetchval(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
            "WHERE relkind = 'r' AND relname LIKE $1",
            pattern,
        )
        await connection.close()
        return int(found)


async def _given(hauls: Sequence[Haul]) -> AsyncIterator[Haul]:
    for haul in hauls:
        yield haul


def server_cpu_s(pid: int) -> float:
    """CPU seconds of the server: its children that live, and those that ended."""
    server = psutil.Process(pid)
    total = 0.0
    for process in (server, *server.children()):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if process is server:
            total += times.children_user + times.children_system
    return total


def in_batches(records: Iterator[RawRecord], log: BusyLog, events: int) -> list[list[RawRecord]]:
    """Batches of whole records with about so many events."""
    out: list[list[RawRecord]] = [[]]
    edge = log.events + events
    for record in records:
        out[-1].append(record)
        if log.events >= edge:
            out.append([])
            edge = log.events + events
    return [batch for batch in out if batch]


async def rebuild(bench: Bench, log: BusyLog) -> tuple[Measured, dict[str, float]]:
    """History from an empty database, indexes last; then leases, so that its specs are there."""
    await migrate(bench.url)
    await install(bench.url, [HISTORY], indexes=False)
    await install(bench.url, [LEASES])
    total, leases = Measured(), Measured()
    while log.finished < JOBS:
        batches = in_batches(log.records(REBUILD_CHUNK_EVENTS), log, REBUILD_BATCH_EVENTS)
        done = await bench.write(HISTORY, batches, indexes=False)
        say(f"rebuild: {log.finished:,} jobs finished; {done}")
        total.add(done)
        leases.add(await bench.write(LEASES, batches))
    began = time.perf_counter()
    await index(bench.url, [HISTORY])
    seconds = time.perf_counter() - began
    say(f"indexes: {seconds:.1f} s; leases rebuild: {leases}")
    await bench.execute("VACUUM ANALYZE")
    return total, {"index_s": seconds, "leases_rebuild_events_per_s": leases.per_s}


async def sizes(bench: Bench, finished: int) -> dict[str, float]:
    """Bytes a finished job, part by part; what live jobs and runs take is not theirs."""
    parts = {
        "jobs": await bench.bytes_of("history_v1_jobs_done_%"),
        "events": await bench.bytes_of("history_v1_job_set_events_%"),
        "runs": await bench.bytes_of("history_v1_runs_%"),
        "errors": await bench.bytes_of("history_v1_errors_%"),
        "names": await bench.bytes_of("history_v1_names") + await bench.bytes_of("history_v1_job_sets"),
        "specs": await bench.bytes_of("leases_v1_specs_%"),
    }
    figures = {f"finished_job_{name}_bytes": size / finished for name, size in parts.items()}
    return {**figures, "finished_job_bytes": sum(parts.values()) / finished}


async def live(bench: Bench, log: BusyLog) -> dict[str, float]:
    """Small batches onto what stands, all indexes, every commit on disk; the median of several runs."""
    log.call_ms = 40
    figures: dict[str, float] = {}
    for size in LIVE_BATCHES:
        runs = []
        for _ in range(RUNS):
            await bench.execute("CHECKPOINT")
            batches = in_batches(log.records(LIVE_EVENTS), log, size)
            history = await bench.write(HISTORY, batches)
            leases = await bench.write(LEASES, batches)
            say(f"live, batches of {size}: history {history}")
            say(f"live, batches of {size}: leases {leases}")
            runs.append(
                {
                    f"history_live_{size}_events_per_s": history.per_s,
                    f"history_live_{size}_client_us_per_event": history.client_cpu_s / history.events * 1e6,
                    f"history_live_{size}_postgres_us_per_event": history.server_cpu_s / history.events * 1e6,
                    f"history_live_{size}_batch_p95_ms": percentile(history.commits_s, 0.95) * 1e3,
                    f"leases_live_{size}_events_per_s": leases.per_s,
                }
            )
        figures |= median_figures(runs)
    return figures


async def measure(bench: Bench) -> dict[str, float]:
    """All figures."""
    call_ms = max(1, int(20 * DAY_MS / max(1, JOBS // 100)))
    log = BusyLog(seed=1, start_ms=START_MS, lag=QUERIED_LAG, call_ms=call_ms, partitions=PARTITIONS)
    total, figures = await rebuild(bench, log)
    figures |= await sizes(bench, log.finished)
    say(", ".join(f"{name} {value:,.0f}" for name, value in figures.items()))
    figures |= await measure_queries(bench.url, say)
    log.lag = 10_000
    figures |= await live(bench, log)
    return {
        "history_rebuild_events_per_s": total.per_s,
        "history_rebuild_client_us_per_event": total.client_cpu_s / total.events * 1e6,
        "history_rebuild_postgres_us_per_event": total.server_cpu_s / total.events * 1e6,
        **figures,
    }


def measure_process() -> dict[str, float]:
    """The process with everything around it, on a database of its own."""
    log = BusyLog(seed=2, start_ms=START_MS, lag=2_000, call_ms=8_000, partitions=PARTITIONS)
    records = list(log.records(PROCESS_EVENTS))

    def work(url: str, pid: int) -> dict[str, float]:
        asyncio.run(migrate(url))
        return catch_up(url, records, log.events, PARTITIONS)

    figures = with_server(work)
    say(f"process: {figures}")
    return figures


def say(text: str) -> None:
    """Progress."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def with_server(work: Callable[[str, int], dict[str, float]]) -> dict[str, float]:
    """Runs with a Postgres of its own that is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="argosy-bench-views-"))
    directory.chmod(0o755)
    node = PostgresNode(directory=directory, port=free_port())
    child = node.start(die_with_parent=True)
    try:
        return work(node.url, child.pid)
    finally:
        node.stop(child)
        shutil.rmtree(directory, ignore_errors=True)


def main() -> None:
    collect_rarely()
    figures = with_server(lambda url, pid: asyncio.run(measure(Bench(url, pid))))
    figures |= measure_process()
    conditions = conditions_here(
        ("asyncpg", "msgspec", "zstandard"),
        postgres="18, fsync and synchronous_commit on",
        jobs_finished=JOBS,
        partitions=PARTITIONS,
        rebuild_batch_events=REBUILD_BATCH_EVENTS,
        runs=RUNS,
    )
    say(outcome_line("views", conditions, figures, BUDGETS))


if __name__ == "__main__":
    main()
