"""Benchmark of the queue agent on a broker of its own: throughput of one process with batches and with single-item
commands, restart after kill -9 with its store, and restore of 1 M jobs without it.

Output: progress, and as the last line one JSON object (DESIGN: conditions, figures, budgets). ARGOSY_BENCH_JOBS
sets the number of live jobs.
"""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil
from confluent_kafka import Producer

from app.admin.kafka_node import KafkaNode
from app.admin.processes import free_port
from app.log.topics import COMMANDS, apply_topics, load_topics
from benchmarks.queue_agent_load import Commands, Record

PARTITIONS = int(os.environ.get("ARGOSY_BENCH_PARTITIONS", "12"))
LIVE_JOBS = int(os.environ.get("ARGOSY_BENCH_JOBS", "1000000"))
BATCH = 1_000
LIFE_CALLS = 120
SINGLE_LIVES = 6_000
RESTARTS = 3
ITEMS_PER_LIFE, TRANSITIONS_PER_LIFE = 5, 6
"""submit, lease, three reports; they yield SUBMITTED, QUEUED, LEASED, PENDING, RUNNING, SUCCEEDED
(app.domain.lifecycle)"""
BUDGETS = {
    "transitions_per_s": (25_000, False),
    "single_commands_per_s": (2_000, False),
    "restart_with_store_s": (5, True),
    "restore_1m_jobs_s": (15, True),
}
"""name -> budget, and whether it is an upper bound"""

AGENT = """
import logging, sys
from pathlib import Path
from app.streams.worker import QueueAgentOptions, run
logging.basicConfig(level="INFO", stream=sys.stderr, format="%(created).3f %(name)s %(message)s")
logging.getLogger("faust").setLevel("WARNING")
run(QueueAgentOptions(bootstrap=sys.argv[1], partitions=int(sys.argv[2]), directory=Path(sys.argv[3]), instance="bench",
    health_port=int(sys.argv[4])))
"""


class Agent:
    """The process that is measured."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self.directory, self.bootstrap = directory, bootstrap
        self.port = free_port()
        directory.mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = [self.bootstrap, str(PARTITIONS), str(self.directory), str(self.port)]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", AGENT, *arguments], stderr=log, stdout=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def figures(self) -> dict[str, float]:
        """Counters and gauges, summed over partitions; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return {}
        found: dict[str, float] = {}
        for name, value in re.findall(r"^(argosy_\w+)(?:\{.*\})? (\S+)$", text, re.M):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    def figure(self, name: str) -> float:
        return self.figures().get(f"argosy_queue_{name}", 0.0)

    def cpu_s(self) -> float:
        assert self.process is not None
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def memory_mib(self) -> float:
        assert self.process is not None
        return float(psutil.Process(self.process.pid).memory_info().rss) / (1 << 20)


class Bench:
    """One broker, one agent."""

    def __init__(self, directory: Path) -> None:
        self.node = KafkaNode(
            directory=directory / "kafka", port=free_port(), controller_port=free_port(), heap_mib=1024
        )
        self.broker = self.node.start(die_with_parent=True)
        apply_topics(self.node.bootstrap, load_topics(), PARTITIONS, 1)
        self.agent = Agent(self.node.bootstrap, directory / "agent")
        self.commands = Commands(PARTITIONS)
        self.fed = 0
        self.figures: dict[str, float] = {}
        self._producer = Producer(
            {
                "bootstrap.servers": self.node.bootstrap,
                "linger.ms": 5,
                "compression.type": "zstd",
                "message.max.bytes": 10 << 20,
                "queue.buffering.max.kbytes": 256 << 10,
            }
        )

    def feed(self, records: Iterable[Record]) -> None:
        for partition, value in records:
            while True:
                try:
                    self._producer.produce(COMMANDS, value, b"", partition)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)
            self.fed += 1
        if self._producer.flush(60):
            raise RuntimeError("the broker did not take all commands")

    def decided(self) -> bool:
        """All that was fed is decided. Positions are offsets, so the sum over partitions is one less for each."""
        return self.agent.figure("position") >= self.fed - PARTITIONS

    def drain(self, what: str) -> tuple[float, float, float, float]:
        """Starts the agent on a backlog and waits until it is decided.

        Returns items/s, events/s, commands/s from the first step on, and CPU seconds for the whole."""
        self.agent.start()
        until(lambda: self.agent.figure("steps_total") > 0)
        first, started = self.agent.figures(), time.monotonic()
        until(self.decided, 600)
        seconds, last = time.monotonic() - started, self.agent.figures()

        def rate(name: str) -> float:
            return (last[f"argosy_queue_{name}"] - first[f"argosy_queue_{name}"]) / seconds

        rates = rate("items_total"), rate("events_total"), rate("commands_total")
        steps = last["argosy_queue_steps_total"]
        transaction_ms = (
            last["argosy_queue_transaction_seconds_sum"] / last["argosy_queue_transaction_seconds_count"] * 1e3
        )
        print(
            f"{what}: {rates[0]:,.0f} items/s, {rates[1]:,.0f} events/s, {rates[2]:,.0f} commands/s, {seconds:.1f} s, "
            f"{steps:.0f} steps, {transaction_ms:.1f} ms a transaction, {self.agent.cpu_s():.1f} s CPU, "
            f"{self.agent.memory_mib():.0f} MiB",
            flush=True,
        )
        return *rates, self.agent.cpu_s()

    def restart(self, *, wipe: bool) -> float:
        """Seconds from kill -9 (with a store) or from the start without one until every partition is restored and has
        decided a command that waited for it."""
        self.agent.kill()
        if wipe:
            shutil.rmtree(self.agent.directory / "stores")
        started = time.monotonic()
        self.agent.start()
        self.feed(self.commands.opening())
        until(self.decided, 120)
        return time.monotonic() - started

    def close(self) -> None:
        if self.agent.process is not None and self.agent.process.poll() is None:
            self.agent.kill()
        self.node.stop(self.broker)


def until(what: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s")
        time.sleep(0.05)


def measure(bench: Bench) -> None:
    figures = bench.figures
    bench.feed(bench.commands.opening())
    bench.feed(record for record, _ in bench.commands.submits(LIVE_JOBS // BATCH, BATCH))
    items, _, _, cpu_s = bench.drain(f"{LIVE_JOBS:,} jobs submitted, {BATCH} a call")
    figures["submitted_jobs_per_s"] = items
    figures["submit_cpu_us_per_job"] = cpu_s / LIVE_JOBS * 1e6

    with_store = [bench.restart(wipe=False) for _ in range(RESTARTS)]
    print("restart with store:", ", ".join(f"{seconds:.1f} s" for seconds in with_store), flush=True)
    without = [bench.restart(wipe=True) for _ in range(RESTARTS)]
    rows = bench.agent.figure("restore_rows")
    print(
        "restore without store:",
        ", ".join(f"{seconds:.1f} s" for seconds in without),
        f"({rows:,.0f} rows)",
        flush=True,
    )
    figures["restart_with_store_s"], figures["restore_1m_jobs_s"] = median(with_store), median(without)

    bench.agent.kill()
    calls = list(bench.commands.submits(LIFE_CALLS, BATCH))
    bench.feed(record for record, _ in calls)
    bench.feed(record for _, ids in calls for record in bench.commands.lives(ids))
    items, _, _, cpu_s = bench.drain(f"{LIFE_CALLS * BATCH:,} jobs through their whole life, {BATCH} a command")
    figures["items_per_s"], figures["transitions_per_s"] = items, items * TRANSITIONS_PER_LIFE / ITEMS_PER_LIFE
    figures["life_cpu_us_per_item"] = cpu_s / (LIFE_CALLS * BATCH * ITEMS_PER_LIFE) * 1e6

    bench.agent.kill()
    singles = list(bench.commands.submits(SINGLE_LIVES, 1))
    bench.feed(record for record, _ in singles)
    bench.feed(record for _, ids in singles for record in bench.commands.lives(ids))
    _, _, commands, cpu_s = bench.drain(f"{SINGLE_LIVES:,} jobs through their whole life, one a command")
    figures["single_commands_per_s"] = commands
    figures["single_cpu_us_per_command"] = cpu_s / (ITEMS_PER_LIFE * SINGLE_LIVES) * 1e6
    figures["memory_mib"] = bench.agent.memory_mib()


def report(figures: dict[str, float]) -> str:
    """The JSON line."""
    budgets = {
        name: {
            "figure": figures[name],
            "budget": budget,
            "met": (figures[name] <= budget) == upper or figures[name] == budget,
        }
        for name, (budget, upper) in BUDGETS.items()
    }
    conditions = {
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("faust-streaming", "aiokafka", "confluent-kafka", "rocksdict")}
        | {"kafka": "4.3.1", "python": platform.python_version()},
        "sizes": {"partitions": PARTITIONS, "live_jobs": LIVE_JOBS, "batch": BATCH},
        "load": {"load_average_1_min": os.getloadavg()[0], "broker": "one, on the same machine"},
    }
    rounded = {name: round(value, 2) for name, value in figures.items()}
    return json.dumps({"benchmark": "queue-agent", "conditions": conditions, "figures": rounded, "budgets": budgets})


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as directory:
        bench = Bench(Path(directory))
        try:
            measure(bench)
        finally:
            bench.close()
        print(report(bench.figures))


if __name__ == "__main__":
    main()
