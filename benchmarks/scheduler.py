"""How soon a scheduler schedules: `python -m benchmarks.scheduler [--jobs N]`.

Measures, with a million queued jobs in argosy.state (12 partitions, 200 shapes, 3,000 nodes, nobody decides): from
the start of the process to the end of its feed and to its first round in argosy.rounds; from kill -9 of the leader
to the next leader's epoch and to its first round. The last line is one JSON object.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from app.admin.kafka_node import KafkaNode
from app.admin.processes import free_port
from app.log.topics import apply_topics, load_topics
from benchmarks.scheduler_million import NODES_PER_CLUSTER, SHAPE_COUNT, write_jobs, write_shapes_and_nodes

PARTITIONS = 12
ROUNDS = 'argosy_scheduler_rounds_total{pool="default"}'
DEADLINE_S = 180.0


class Scheduler:
    """A process under the clock."""

    def __init__(self, bootstrap: str, name: str, scheduler: Mapping[str, Any] | None = None) -> None:
        """`scheduler`: settings of the section of that name."""
        self.port = free_port()
        options = {
            "bootstrap": bootstrap,
            "partitions": PARTITIONS,
            "candidate": name,
            "health_port": self.port,
            "scheduler": scheduler or {},
        }
        self.began_s = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.scheduler_process", "scheduler", json.dumps(options)]
        )

    def figure(self, name: str) -> float:
        """A metric; 0 when it is not there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                found = re.search(rf"^{re.escape(name)} (.*)$", answer.read().decode(), re.M)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return 0.0
        return float(found[1]) if found else 0.0

    def memory_mb(self) -> float:
        return psutil.Process(self._process.pid).memory_info().rss / 1e6

    def cpu_s(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self, what: Callable[[], bool]) -> float:
        """Polls until it holds; the monotonic time then."""
        until_s = time.monotonic() + DEADLINE_S
        while not what():
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise SystemExit(f"the scheduler left with {self._process.poll()}, or nothing came of it")
            time.sleep(0.02)
        return time.monotonic()


def measure(bootstrap: str, jobs: int) -> dict[str, float]:
    """The figures, in seconds and MB."""
    figures: dict[str, float] = {}
    first = Scheduler(bootstrap, "first")
    try:
        round_s = first.wait(lambda: first.figure(ROUNDS) >= 1)
        figures["restart_to_first_round_s"] = round_s - first.began_s
        figures["restart_feed_s"] = first.figure("argosy_scheduler_load_seconds")
        figures["feed_rows_per_s"] = jobs / figures["restart_feed_s"]
        figures["first_round_prepare_s"] = first.figure('argosy_scheduler_prepare_seconds_sum{pool="default"}')
        figures["first_round_decide_s"] = first.figure('argosy_scheduler_round_seconds_sum{pool="default"}')
        figures["leader_memory_mb"] = first.memory_mb()
        figures["leader_cpu_s"] = first.cpu_s()
        second = Scheduler(bootstrap, "second")
        try:
            second.wait(lambda: second.figure("argosy_scheduler_load_seconds") > 0)
            time.sleep(5.0)
            killed_s = time.monotonic()
            first.kill()
            figures["takeover_to_epoch_s"] = (
                second.wait(lambda: second.figure("argosy_scheduler_leader") == 1) - killed_s
            )
            figures["takeover_to_first_round_s"] = second.wait(lambda: second.figure(ROUNDS) >= 1) - killed_s
        finally:
            second.kill()
    finally:
        first.kill()
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="queued jobs, a multiple of 1,000")
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as directory:
        node = KafkaNode(directory=Path(directory), port=free_port(), controller_port=free_port())
        broker = node.start(die_with_parent=True)
        try:
            apply_topics(node.bootstrap, load_topics(), PARTITIONS, 1)
            began_s = time.monotonic()
            write_shapes_and_nodes(node.bootstrap)
            write_jobs(node.bootstrap, jobs, PARTITIONS)
            print(f"{jobs} jobs written in {time.monotonic() - began_s:.1f} s", flush=True)
            figures = measure(node.bootstrap, jobs)
        finally:
            broker.kill()
    budgets = {"restart_to_first_round_s": 20.0, "takeover_to_first_round_s": 10.0}
    print(
        json.dumps(
            {
                "benchmark": "scheduler",
                "conditions": {
                    "cores": os.cpu_count(),
                    "python": platform.python_version(),
                    "numpy": np.__version__,
                    "load_average": os.getloadavg()[0],
                    "sizes": {
                        "queued_jobs": jobs,
                        "shapes": SHAPE_COUNT,
                        "nodes": 3 * NODES_PER_CLUSTER,
                        "partitions": PARTITIONS,
                    },
                },
                "figures": figures,
                "budgets": {
                    name: {"figure": figures[name], "budget": budget, "met": figures[name] <= budget}
                    for name, budget in budgets.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
