"""A stage for schedulers on real Kafka: topics, queue agent and scheduler processes, and somebody who plays the
API, the users and the clusters.

`Processes` starts and ends them by pid. `Log` writes commands and node data and reads what was decided.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from app.admin.processes import free_port
from app.domain.clusters import ApiAlive, ClusterUpdate, ClusterUpdates, NodeData, ShapeRecord
from app.domain.commands import (
    BeginInstance,
    Command,
    CreateQueues,
    QueueSpec,
    Report,
    ReportRuns,
    ReportState,
)
from app.domain.events import EventsRecord, LeaseData
from app.domain.ids import call_prefix, job_id, partition_of_job
from app.domain.routing import partition_of_name
from app.domain.rows import POSITION_KEY, PositionRow
from app.log.codec import decode, encode
from app.log.topics import CLUSTERS, COMMANDS, EVENTS, ROUNDS, SHAPES, STATE, apply_topics, load_topics
from app.pods.shape import Shape, encode_shape, shape_hash
from tests.unit.scheduler.partition import CHIEF, INSTANCE, SHAPE, submit_command

ROOT = Path(__file__).parents[3]
PARTITIONS = 2
CLUSTER_PARTITIONS = 12


class Process:
    """One process with its health port and its log file."""

    def __init__(self, kind: str, options: dict[str, Any], directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.name, self.port, self.log = name, free_port(), directory / f"{name}.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.integration.scheduler.process",
                    kind,
                    json.dumps({**options, "health_port": self.port}),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
            )

    def ready(self) -> bool:
        assert self.popen.poll() is None, f"{self.name} left with {self.popen.poll()}: {self.text()[-3000:]}"
        return self._get("/readyz") is not None

    def figure(self, name: str) -> float:
        """A metric without labels; -1 when it does not answer."""
        found = re.search(rf"^{name} (.*)$", self._get("/metrics") or "", re.M)
        return float(found[1]) if found else -1.0

    def leads(self) -> bool:
        return self.popen.poll() is None and self.figure("argosy_scheduler_leader") == 1

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def send_signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def stopped(self) -> bool:
        """Whether it stands still (SIGSTOP)."""
        return Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def close(self) -> None:
        if self.popen.poll() is None:
            self.kill()

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return bytes(answer.read()).decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None


class Log:
    """Writes to the topics of an installation and reads them."""

    def __init__(self, bootstrap: str, partitions: int = PARTITIONS) -> None:
        self.bootstrap, self.partitions = bootstrap, partitions
        apply_topics(bootstrap, load_topics(), partitions, 1)
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 2, "enable.idempotence": True})
        self._sequence = 0
        self.add_shape(SHAPE)

    def command(self, partition: int, command: Command) -> None:
        self._put(COMMANDS, partition, encode(command))

    def queue(self, name: str) -> int:
        """Creates a queue; returns its partition."""
        partition = partition_of_name(name, self.partitions)
        self.command(partition, CreateQueues(principal=CHIEF, queues=(QueueSpec(name=name),)))
        return partition

    def begin_instance(self, cluster: str) -> None:
        """From here on reports of the cluster are accepted."""
        for partition in range(self.partitions):
            self.command(partition, BeginInstance(cluster=cluster, instance=INSTANCE))

    def report(self, lease: LeaseData, state: ReportState) -> None:
        """The executor of a run's cluster says where it stands."""
        report = Report(
            cluster=lease.cluster,
            instance=INSTANCE,
            job_id=lease.job_id,
            run_id=lease.run_id,
            attempt=lease.attempt,
            state=state,
            time_ms=0,
        )
        self.command(partition_of_job(lease.job_id), ReportRuns(reports=(report,)))

    def submit(self, queue: str, count: int, shape: Shape = SHAPE, *, preemptible: bool = False) -> list[bytes]:
        """One call; returns the ids."""
        ids = self.new_ids(queue, count)
        command = submit_command(ids, queue, shape=shape, preemptible=preemptible)
        self.command(partition_of_name(queue, self.partitions), command)
        return ids

    def new_ids(self, queue: str, count: int) -> list[bytes]:
        """Of the jobs of one call."""
        partition = partition_of_name(queue, self.partitions)
        prefix = call_prefix(int(time.time() * 1000), partition, int.from_bytes(os.urandom(7), "big"))
        return [job_id(prefix, index) for index in range(count)]

    def position(self, partition: int, row: PositionRow) -> None:
        """A position row in argosy.state, as a queue agent would write it."""
        self._put(STATE, partition, encode(row), POSITION_KEY)

    def add_shape(self, shape: Shape) -> None:
        body = encode_shape(shape)
        self._put(SHAPES, 0, encode(ShapeRecord(body=body)), shape_hash(body))

    def nodes(self, cluster: str, nodes: Sequence[NodeData]) -> None:
        """A whole generation of a cluster."""
        self._sequence += 1
        update = ClusterUpdate(
            cluster=cluster,
            instance=INSTANCE,
            sequence=self._sequence,
            received_ms=0,
            cluster_time_ms=0,
            generation=self._sequence,
            changed=tuple(nodes),
            complete_count=len(nodes),
        )
        self._put(CLUSTERS, partition_of_name(cluster, CLUSTER_PARTITIONS), encode(ClusterUpdates(updates=(update,))))

    def api_alive(self) -> None:
        for partition in range(CLUSTER_PARTITIONS):
            self._put(CLUSTERS, partition, encode(ApiAlive(process="test", leases_known=True, time_ms=0)))

    def commands(self) -> list[tuple[int, int, Any]]:
        """(partition, offset, command) of all that were sent."""
        return [(p, offset, decode(value)) for p, offset, value in self._read(COMMANDS, self.partitions)]

    def events(self) -> list[tuple[int, EventsRecord]]:
        """(partition, record) of everything that was decided."""
        found = []
        for partition, _, value in self._read(EVENTS, self.partitions):
            record = decode(value)
            assert isinstance(record, EventsRecord)
            found.append((partition, record))
        return found

    def rounds(self) -> list[Any]:
        return [decode(value) for _, _, value in self._read(ROUNDS, 4)]

    def leases(self) -> list[LeaseData]:
        """All leases that were decided."""
        return [lease for _, record in self.events() for lease in record.leases]

    def _put(self, topic: str, partition: int, value: bytes, key: bytes = b"") -> None:
        self._producer.produce(topic, value, key, partition)
        assert self._producer.flush(20) == 0

    def _read(self, topic: str, partitions: int) -> list[tuple[int, int, bytes]]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "test-reader",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        found: list[tuple[int, int, bytes]] = []
        ended: set[int] = set()
        try:
            while len(ended) < partitions:
                for message in consumer.consume(10_000, timeout=0.2):
                    if message.error() is not None:
                        ended.add(message.partition())
                    else:
                        found.append((message.partition(), message.offset(), message.value()))
        finally:
            consumer.close()
        return found


class Stage:
    """An installation with its processes."""

    def __init__(self, bootstrap: str, directory: Path, partitions: int = PARTITIONS) -> None:
        self.log = Log(bootstrap, partitions)
        self._directory = directory
        self._processes: list[Process] = []

    def agent(self, name: str = "agent") -> Process:
        directory = self._directory / name
        options = {
            "bootstrap": self.log.bootstrap,
            "partitions": self.log.partitions,
            "directory": str(directory / "data"),
            "instance": name,
            "session_timeout_s": 6.0,
        }
        return self._add(Process("agent", options, directory, name))

    def scheduler(
        self,
        name: str,
        *,
        fault_stop_before_send: bool = False,
        fault_stop_before_preempt: bool = False,
        **scheduler: Any,
    ) -> Process:
        """`scheduler`: settings of the section of the same name."""
        options = {
            "bootstrap": self.log.bootstrap,
            "partitions": self.log.partitions,
            "candidate": name,
            "scheduler": scheduler,
            "fault_stop_before_send": fault_stop_before_send,
            "fault_stop_before_preempt": fault_stop_before_preempt,
        }
        return self._add(Process("scheduler", options, self._directory, name))

    def close(self) -> None:
        for process in self._processes:
            process.close()

    def _add(self, process: Process) -> Process:
        self._processes.append(process)
        return process


def nodes(count: int, *, cpu: str = "8", prefix: str = "n") -> list[NodeData]:
    return [
        NodeData(name=f"{prefix}{index}", pool="default", allocatable={"cpu": cpu, "memory": "64Gi"})
        for index in range(count)
    ]


def eventually(what: Callable[[], bool], timeout_s: float = 90.0) -> float:
    """Polls until it holds and returns the seconds it took; fails after the deadline."""
    began_s = time.monotonic()
    while not what():
        assert time.monotonic() - began_s < timeout_s, f"did not become true in {timeout_s} s"
        time.sleep(0.05)
    return time.monotonic() - began_s
