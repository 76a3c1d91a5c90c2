"""One toy application with topics of its own, a feeder that knows what it fed, and its worker processes."""

import json
import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.admin.processes import Child, spawn
from app.streams.store import Store
from tests.integration.streams.toy_worker import KEYS, POSITION_KEY, ROW

ROOT = Path(__file__).parents[3]
PARTITIONS = 3


class ToyRun:
    """directory: scratch space. The name is that of the group and begins the topics'."""

    def __init__(self, bootstrap: str, directory: Path, *, timestamps: str = "LogAppendTime") -> None:
        self.bootstrap, self.directory = bootstrap, directory
        self.name = f"toy-{time.time_ns()}"
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        topics = [
            NewTopic(f"{self.name}-commands", PARTITIONS, 1, config={"message.timestamp.type": timestamps}),
            NewTopic(f"{self.name}-events", PARTITIONS, 1),
            NewTopic(f"{self.name}-state", PARTITIONS, 1, config={"cleanup.policy": "compact"}),
        ]
        for future in self.admin.create_topics(topics).values():
            future.result(10)
        self.fed: list[int] = [0] * PARTITIONS
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 2})
        self._processes: list[Child] = []

    def feed(self, partition: int, numbers: int = 1) -> None:
        """One command with the next numbers of this partition."""
        first = self.fed[partition]
        self.fed[partition] += numbers
        self.feed_bytes(partition, struct.pack(f">{numbers}Q", *range(first, first + numbers)))

    def feed_bytes(self, partition: int, value: bytes) -> None:
        self._producer.produce(f"{self.name}-commands", value, b"c", partition)
        self._producer.poll(0)

    def feed_all(self, commands: int) -> None:
        """As many commands in all, one number each."""
        for n in range(commands):
            self.feed(n % PARTITIONS)
        self.flush()

    def flush(self) -> None:
        assert self._producer.flush(20) == 0

    def start(self, instance: str, *, directory: str | None = None) -> Child:
        path = self.directory / (directory or instance)
        path.mkdir(parents=True, exist_ok=True)
        options = {
            "name": self.name,
            "bootstrap": self.bootstrap,
            "directory": str(path),
            "instance": instance,
            "partitions": PARTITIONS,
        }
        process = spawn(
            instance,
            [sys.executable, "-m", "tests.integration.streams.toy_worker", json.dumps(options)],
            log=path / f"{instance}.log",
            environment={**os.environ, "PYTHONPATH": str(ROOT)},
            die_with_parent=True,
        )
        self._processes.append(process)
        return process

    def troubles(self, instance: str) -> list[str]:
        """What the worker says; not ready yet when it never said anything."""
        try:
            said: list[str] = json.loads((self.directory / instance / "troubles").read_text())
        except FileNotFoundError:
            return ["not started"]
        return said

    def log(self, instance: str) -> str:
        return (self.directory / instance / f"{instance}.log").read_text(errors="replace")

    def read(self, topic: str, partition: int) -> list[tuple[bytes | None, bytes | None]]:
        """All committed records of a partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "reader",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        consumer.assign([TopicPartition(f"{self.name}-{topic}", partition, 0)])
        found: list[tuple[bytes | None, bytes | None]] = []
        try:
            while True:
                for message in consumer.consume(10_000, timeout=0.2):
                    error = message.error()
                    if error is None:
                        found.append((message.key(), message.value()))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        return found
        finally:
            consumer.close()

    def numbers(self, partition: int) -> list[int]:
        """The numbers in the events of a partition."""
        return [
            number
            for _, value in self.read("events", partition)
            for number in struct.unpack(f">{len(value or b'') // 8}Q", value or b"")
        ]

    def all_decided(self) -> bool:
        return all(len(self.numbers(partition)) >= self.fed[partition] for partition in range(PARTITIONS))

    def verify(self, instance: str | None = None) -> None:
        """Every number once and in order; the changelog is the fold; the position row ends it; the store equals it."""
        for partition in range(PARTITIONS):
            assert self.numbers(partition) == list(range(self.fed[partition]))
            records = self.read("state", partition)
            fold = dict(records)
            fold.pop(POSITION_KEY, None)
            want: dict[bytes, bytes] = {}
            for number in range(self.fed[partition]):
                key = b"k%d" % (number % KEYS)
                want[key] = ROW.pack(number, (ROW.unpack(want[key])[1] if key in want else 0) + 1)
            assert fold == want
            assert records == [] or records[-1][0] == POSITION_KEY
            if instance is not None:
                store = Store(self.directory / instance / "stores" / str(partition))
                stored = {key[1:]: value for key, value in store.items(b"s")}
                store.close()
                stored.pop(POSITION_KEY, None)
                assert stored == want

    def stop(self, process: Child) -> None:
        assert process.stop(deadline_s=30)
        assert process.exit_code() == 0

    def close(self) -> None:
        for process in self._processes:
            if process.exit_code() is None:
                process.kill()


def eventually(what: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Polls until it holds; fails after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, f"did not become true in {timeout_s} s"
        time.sleep(0.05)
