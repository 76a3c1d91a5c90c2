"""How soon a job that has room is leased while a million others wait that have none: `python -m
benchmarks.scheduler_probe [--jobs N] [--samples N] [--rate R] [--runs N]`.

A real queue agent and a real scheduler on a broker of their own; 12 partitions, 10 queues, 3,000 nodes. Probes are
single jobs of one cpu, one call each, into the queues in turn, at a steady rate. Their latency is the time from handing
the command to the producer to reading the lease from argosy.events (read committed). The same with nothing else queued
is what it is held against. The kernels of rounds are compiled before. The last line is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from app.admin.kafka_node import KafkaNode
from app.admin.processes import free_port
from app.domain.commands import JobItem, Principal, ShapeRef, Spec, SubmitJobs
from app.domain.events import EventsRecord
from app.domain.ids import call_prefix, job_id
from app.domain.rounds import RoundRecord
from app.domain.routing import partition_of_name
from app.log.codec import decode, encode
from app.log.topics import COMMANDS, EVENTS, ROUNDS, apply_topics, load_topics
from app.pods.shape import Shape, encode_shape, shape_hash
from benchmarks.outcome import Budget, conditions_here, median_figures, outcome_line, percentile
from benchmarks.scheduler import DEADLINE_S, PARTITIONS, Scheduler
from benchmarks.scheduler_million import NODES_PER_CLUSTER, SHAPE_COUNT, shapes, write_jobs, write_shapes_and_nodes

QUEUES = 10
TOO_LARGE = 33
"""times the usual requests: the least is more than a node has"""
PROBE = Shape(priority_class="argosy-default", requests=(("cpu", 1000), ("memory", 1 << 20)))
CHIEF = Principal(user="bench", verbs=("create_queue", "submit_any_jobs"))
SCHEDULER = {"submit_check": {"enabled": False}, "unacknowledged_runs_max": 1_000_000}
WARM_UP = 20
LEASE_MAX_S = 60.0


class Leases:
    """When each job was leased, by the reader's clock."""

    def __init__(self, bootstrap: str) -> None:
        self.at_s: dict[bytes, float] = {}
        self._ended = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench-probe",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
            }
        )
        self._consumer.assign([TopicPartition(EVENTS, partition, 0) for partition in range(PARTITIONS)])
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._ended.is_set():
            for message in self._consumer.consume(1_000, timeout=0.05):
                now_s = time.monotonic()
                value = message.value()
                record = decode(value) if message.error() is None and value is not None else None
                if isinstance(record, EventsRecord):
                    for lease in record.leases:
                        self.at_s.setdefault(lease.job_id, now_s)


class Probes:
    """Submits single jobs."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "enable.idempotence": True})
        self._calls = 0
        self._shape = ShapeRef(
            shape_hash=shape_hash(encode_shape(PROBE)), cpu_milli=1000, memory_bytes=1 << 20, storage_bytes=0, gpus=0
        )

    def flush(self) -> None:
        """Returns when the broker has all of them."""
        assert self._producer.flush(30) == 0

    def send(self) -> tuple[bytes, float]:
        """One probe: its id and when it was handed over."""
        self._calls += 1
        queue = f"queue-{self._calls % QUEUES}"
        partition = partition_of_name(queue, PARTITIONS)
        each = job_id(call_prefix(int(time.time() * 1000), partition, (1 << 50) + self._calls), 0)
        command = SubmitJobs(
            principal=CHIEF,
            queue=queue,
            job_set="probes",
            specs=(Spec(spec_id=bytes(16), body=b"spec"),),
            shapes=(self._shape,),
            jobs=(
                JobItem(
                    job_id=each,
                    spec=0,
                    shape=0,
                    namespace="default",
                    priority=1000,
                    priority_class=PROBE.priority_class,
                    preemptible=False,
                    deadline_s=0,
                ),
            ),
        )
        began_s = time.monotonic()
        self._producer.produce(COMMANDS, encode(command), b"", partition)
        self._producer.poll(0)
        return each, began_s


def latencies(probes: Probes, leases: Leases, samples: int, rate: float) -> list[float]:
    """Seconds from submission to lease of so many probes."""
    sent: dict[bytes, float] = {}
    begin_s = time.monotonic()
    for number in range(WARM_UP + samples):
        time.sleep(max(0.0, begin_s + number / rate - time.monotonic()))
        each, at_s = probes.send()
        if number >= WARM_UP:
            sent[each] = at_s
    probes.flush()
    until_s = time.monotonic() + LEASE_MAX_S
    while not sent.keys() <= leases.at_s.keys():
        if time.monotonic() > until_s:
            raise SystemExit(f"{len(sent.keys() - leases.at_s.keys())} probes were not leased")
        time.sleep(0.05)
    return [leases.at_s[each] - at_s for each, at_s in sent.items()]


def rounds_of(bootstrap: str) -> list[RoundRecord]:
    """All rounds so far."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-rounds", "enable.partition.eof": True})
    consumer.assign([TopicPartition(ROUNDS, partition, 0) for partition in range(4)])
    found, ended = [], 0
    while ended < 4:
        for message in consumer.consume(1_000, timeout=0.2):
            if message.error() is not None:
                ended += 1
            else:
                record = decode(message.value() or b"")
                assert isinstance(record, RoundRecord)
                found.append(record)
    consumer.close()
    return found


def measure(directory: Path, jobs: int, samples: int, rate: float) -> dict[str, float]:
    """p50 and p99 with so many jobs waiting, seconds; and how long rounds took."""
    node = KafkaNode(directory=directory / "kafka", port=free_port(), controller_port=free_port())
    broker = node.start(die_with_parent=True)
    agent: subprocess.Popen[bytes] | None = None
    scheduler: Scheduler | None = None
    try:
        apply_topics(node.bootstrap, load_topics(), PARTITIONS, 1)
        write_shapes_and_nodes(node.bootstrap, [*shapes(TOO_LARGE), PROBE])
        write_jobs(node.bootstrap, jobs, PARTITIONS, queues_count=QUEUES, times=TOO_LARGE)
        options = {
            "bootstrap": node.bootstrap,
            "partitions": PARTITIONS,
            "directory": str(directory / "agent"),
            "instance": "bench",
        }
        with (directory / "agent.log").open("wb") as log:
            command = [sys.executable, "-m", "benchmarks.scheduler_process", "agent", json.dumps(options)]
            agent = subprocess.Popen(command, stdout=log, stderr=log)
        scheduler = Scheduler(node.bootstrap, "probed", scheduler=SCHEDULER)
        leases = Leases(node.bootstrap)
        probes = Probes(node.bootstrap)
        first, _ = probes.send()
        probes.flush()
        scheduler.wait(lambda: first in leases.at_s)
        cpu_s, began_s = scheduler.cpu_s(), time.monotonic()
        found = latencies(probes, leases, samples, rate)
        used = (scheduler.cpu_s() - cpu_s) / (time.monotonic() - began_s)
        leases.close()
        rounds = rounds_of(node.bootstrap)
        longest = {
            kind: max((sum(each.timings_us.values()) / 1e6 for each in rounds if each.kind == kind), default=0.0)
            for kind in ("full", "cheap")
        }
        return {
            "p50_s": percentile(found, 0.5),
            "p90_s": percentile(found, 0.9),
            "p99_s": percentile(found, 0.99),
            "max_s": max(found),
            "longest_full_round_s": longest["full"],
            "longest_cheap_round_s": longest["cheap"],
            "full_rounds": sum(each.kind == "full" for each in rounds),
            "cheap_rounds": sum(each.kind == "cheap" for each in rounds),
            "scheduler_cores": used,
            "scheduler_memory_mb": scheduler.memory_mb(),
        }
    finally:
        if scheduler is not None:
            scheduler.kill()
        if agent is not None:
            agent.kill()
            agent.wait()
        broker.kill()


def measured_once(jobs: int, samples: int, rate: float) -> dict[str, float]:
    """Figures of an empty system and of a full one, and how they compare."""
    figures: dict[str, float] = {}
    for name, waiting in (("empty", 0), ("waiting", jobs)):
        with tempfile.TemporaryDirectory(prefix="argosy-bench-") as directory:
            found = measure(Path(directory), waiting, samples, rate)
        print(json.dumps({name: {key: round(value, 4) for key, value in found.items()}}), flush=True)
        figures.update({f"{name}_{key}": value for key, value in found.items()})
    figures["p50_times_empty"] = figures["waiting_p50_s"] / figures["empty_p50_s"]
    figures["p99_beyond_longest_full_round_s"] = figures["waiting_p99_s"] - figures["waiting_longest_full_round_s"]
    return figures


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="queued jobs, a multiple of 1,000")
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=40.0, help="probes a second")
    parser.add_argument("--runs", type=int, default=3)
    wanted = parser.parse_args(given)
    # A compiler beside the first run would count as its rounds.
    subprocess.run([sys.executable, "-m", "app.admin.main", "round", "compile"], check=True)
    figures = median_figures([measured_once(wanted.jobs, wanted.samples, wanted.rate) for _ in range(wanted.runs)])
    sizes = {
        "queued_jobs": wanted.jobs,
        "queues": QUEUES,
        "shapes": SHAPE_COUNT,
        "nodes": 3 * NODES_PER_CLUSTER,
        "samples": wanted.samples,
        "probes_per_s": wanted.rate,
        "runs": wanted.runs,
        "partitions": PARTITIONS,
    }
    conditions = conditions_here(("numpy", "numba"), sizes=sizes, cpus=os.cpu_count(), deadline_s=DEADLINE_S)
    budgets = {"p50_times_empty": Budget(value=2.0), "p99_beyond_longest_full_round_s": Budget(value=1.0)}
    print(outcome_line("scheduler_probe", conditions, figures, budgets))


if __name__ == "__main__":
    main()
