"""`make bench-api`: submit calls (LOGGED) and subscribers of one API process, with Kafka alone on the machine beside
it.

Measured: jobs/s of batches of 1,000 with shared and with own specs, requests/s of single jobs, their latencies, CPU and
memory of the API; 1,000 subscribers of one job set at 10 batches/s (events written straight into argosy.events): CPU a
subscriber and batch, lateness. Input: `--only submit|subscribers`, `--runs N`. Output: progress, and as the last line
one JSON object.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from app.db.database import Database
from app.db.queries.queues import queue as queue_by_name
from app.domain.routing import partition_of_name
from app.domain.rows import offset_of_incarnation
from app.log.producer import LogProducer
from app.log.topics import EVENTS
from benchmarks.api_load import Subscriber, events_record, post_all, submit_body
from benchmarks.outcome import Budget, conditions_here, median_figures, outcome_line, percentile
from tests.integration.api.client import Client
from tests.integration.api.installation import PARTITIONS, Component, Installation
from tests.stack.directory import stack_directory
from tests.stack.server import KafkaBroker, PostgresServer

BATCH = 1_000
SHARED_CALLS, OWN_CALLS, SINGLE_CALLS = 60, 24, 4_000
BATCH_CONNECTIONS, SINGLE_CONNECTIONS = 3, 16
SUBSCRIBERS, EVENTS_PER_BATCH, BATCHES_PER_S, SUBSCRIBED_S = 1_000, 10, 10, 15
BUDGETS = {
    "submit_shared_jobs_per_s": Budget(value=10_000, at_most=False),
    "submit_own_jobs_per_s": Budget(value=4_000, at_most=False),
    "submit_single_requests_per_s": Budget(value=500, at_most=False),
    "subscribers_at_10_batches_per_s": Budget(value=1_000, at_most=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One kind of submit call."""

    name: str
    jobs: int
    calls: int
    connections: int
    own_specs: bool


LOADS = (
    Load(name="shared", jobs=BATCH, calls=SHARED_CALLS, connections=BATCH_CONNECTIONS, own_specs=False),
    Load(name="own", jobs=BATCH, calls=OWN_CALLS, connections=BATCH_CONNECTIONS, own_specs=True),
    Load(name="single", jobs=1, calls=SINGLE_CALLS, connections=SINGLE_CONNECTIONS, own_specs=False),
)


async def measure_submit(installation: Installation, load: Load, run: int) -> dict[str, float]:
    """Jobs/s or requests/s, latencies and CPU of the API."""
    first = run * load.calls
    bodies = [submit_body(load.jobs, own_specs=load.own_specs, number=first + n) for n in range(load.calls)]
    warm = [submit_body(load.jobs, own_specs=load.own_specs, number=10**6 + n) for n in range(load.connections)]
    await post_all(installation.api_port, warm, connections=load.connections)
    before_s = cpu_s(installation.api)
    answers = await post_all(installation.api_port, bodies, connections=load.connections)
    used_s = cpu_s(installation.api) - before_s
    assert answers.failed == 0, f"{answers.failed} calls were refused"
    unit = "requests" if load.jobs == 1 else "jobs"
    figures = {
        f"submit_{load.name}_{unit}_per_s": answers.per_second * load.jobs,
        f"submit_{load.name}_p50_ms": percentile(answers.latencies_s, 0.5) * 1_000,
        f"submit_{load.name}_p99_ms": percentile(answers.latencies_s, 0.99) * 1_000,
        f"submit_{load.name}_api_cpu_us_per_job": used_s / (load.calls * load.jobs) * 1e6,
    }
    say(figures)
    return figures


async def measure_subscribers(installation: Installation) -> dict[str, float]:
    """CPU and lateness with SUBSCRIBERS sockets on one job set."""
    async with Client(installation.url) as client:
        name = await client.create_queue()
        await anext(client.sse({"queue": name, "jobSet": "s"}))
    database = await Database.open(installation.database_url)
    made = await queue_by_name(database, name)
    await database.close()
    assert made is not None
    # From here on the events come from the benchmark, behind those of the queue's creation.
    installation.queue_agent.kill()
    for view in installation.views.values():
        view.kill()
    partition = partition_of_name(name, PARTITIONS)
    sent_at_s: list[float] = []
    loop = asyncio.get_running_loop()
    subscribers = []
    for _ in range(SUBSCRIBERS):
        _, subscriber = await loop.create_connection(
            lambda: Subscriber(name, "bench", sent_at_s, EVENTS_PER_BATCH), "127.0.0.1", installation.api_port
        )
        subscribers.append(subscriber)
    async with asyncio.timeout(120):
        await asyncio.gather(*(subscriber.live for subscriber in subscribers))
    idle_mib = memory_mib(installation.api)
    batches = SUBSCRIBED_S * BATCHES_PER_S
    records = [
        events_record(
            name, made.incarnation, "bench", offset_of_incarnation(made.incarnation) + 1 + n, EVENTS_PER_BATCH
        )
        for n in range(batches)
    ]
    before_s, began_s = cpu_s(installation.api), time.perf_counter()
    await write_records(installation.bootstrap, partition, records, sent_at_s)
    async with asyncio.timeout(60):
        while min(subscriber.events for subscriber in subscribers) < batches * EVENTS_PER_BATCH:
            await asyncio.sleep(0.05)
    took_s, used_s = time.perf_counter() - began_s, cpu_s(installation.api) - before_s
    late_s = [late for subscriber in subscribers for late in subscriber.late_s]
    for subscriber in subscribers:
        subscriber.close()
    kept_up = took_s < SUBSCRIBED_S + 1.0
    figures = {
        "subscribers_at_10_batches_per_s": float(SUBSCRIBERS if kept_up else 0),
        "subscriber_batch_cpu_us": used_s / sum(subscriber.frames for subscriber in subscribers) * 1e6,
        "subscribers_api_cpu_share_of_core": used_s / took_s,
        "subscriber_late_p50_ms": percentile(late_s, 0.5) * 1_000,
        "subscriber_late_p99_ms": percentile(late_s, 0.99) * 1_000,
        "subscribers_idle_memory_mib": idle_mib,
    }
    say(figures)
    return figures


async def write_records(bootstrap: str, partition: int, records: list[bytes], sent_at_s: list[float]) -> None:
    """BATCHES_PER_S records a second."""
    producer = LogProducer(bootstrap, "bench")
    await producer.start()
    began_s = time.perf_counter()
    for number, record in enumerate(records):
        await asyncio.sleep(max(0.0, began_s + number / BATCHES_PER_S - time.perf_counter()))
        sent_at_s.append(time.perf_counter())
        await producer.send(EVENTS, partition, record)
    await producer.stop()


def cpu_s(component: Component) -> float:
    times = psutil.Process(component.pid).cpu_times()
    return float(times.user + times.system)


def memory_mib(component: Component) -> float:
    return float(psutil.Process(component.pid).memory_info().rss) / (1 << 20)


def say(figures: dict[str, float]) -> None:
    print("  " + ", ".join(f"{name} {value:,.1f}" for name, value in figures.items()), file=sys.stderr, flush=True)


def run_submit(directory: Path, runs: int) -> dict[str, float]:
    """Kafka and the API alone: no Postgres, no deciders."""
    broker = KafkaBroker(directory / "kafka")
    broker.start()
    server = PostgresServer(directory / "postgres")
    server.start()
    installation = Installation(broker.bootstrap, server.url, directory)
    server.close()
    try:
        installation.api.start()
        installation.api.wait_until_ready()
        found = []
        for run in range(runs):
            figures: dict[str, float] = {}
            for load in LOADS:
                figures |= asyncio.run(measure_submit(installation, load, run))
            found.append(figures)
        return median_figures(found) | {"api_memory_mib": memory_mib(installation.api)}
    finally:
        installation.close()
        broker.close()


def run_subscribers(directory: Path) -> dict[str, float]:
    """A whole installation makes the queue; then Kafka, Postgres and the API remain."""
    broker, server = KafkaBroker(directory / "kafka"), PostgresServer(directory / "postgres")
    broker.start()
    server.start()
    installation = Installation(broker.bootstrap, server.url, directory)
    try:
        installation.start()
        return asyncio.run(measure_subscribers(installation))
    finally:
        installation.close()
        server.close()
        broker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("submit", "subscribers"))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    with stack_directory("bench-api") as directory:
        if arguments.only != "subscribers":
            (directory / "submit").mkdir()
            figures |= run_submit(directory / "submit", arguments.runs)
        if arguments.only != "submit":
            (directory / "subscribers").mkdir()
            figures |= run_subscribers(directory / "subscribers")
    packages = ("strawberry-graphql", "graphql-core", "starlette", "uvicorn", "msgspec", "aiokafka")
    sizes: dict[str, Any] = {
        "batch_jobs": BATCH,
        "subscribers": SUBSCRIBERS,
        "events_per_batch": EVENTS_PER_BATCH,
        "runs": arguments.runs,
    }
    print(outcome_line("api", conditions_here(packages, **sizes), figures, BUDGETS))


if __name__ == "__main__":
    main()
