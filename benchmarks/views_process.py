"""The whole process of app history, as it is run: records in Kafka, Faust, its own Postgres connection. Part of
`make bench-views`: how fast it catches up with a log that is there when it starts, all indexes in place.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from confluent_kafka import Producer

from app.admin.kafka_node import KafkaNode
from app.admin.processes import free_port
from app.log.topics import EVENTS, apply_topics, load_topics
from app.views.source import RawRecord

READY_TIMEOUT_S = 120.0
CATCH_UP_TIMEOUT_S = 600.0
STOPPED = 'argosy_view_stopped{app="history"} 1'
METRIC = 'argosy_view_events_total{app="history"} '


def catch_up(url: str, records: list[RawRecord], events: int, partitions: int) -> dict[str, float]:
    """Events a second between the first commit seen and the last."""
    with tempfile.TemporaryDirectory(prefix="argosy-bench-views-") as directory:
        node = KafkaNode(directory=Path(directory) / "kafka", port=free_port(), controller_port=free_port())
        broker = node.start(die_with_parent=True)
        try:
            apply_topics(node.bootstrap, load_topics(), partitions, 1)
            _produce(node.bootstrap, records)
            return _run(node.bootstrap, url, Path(directory), events, partitions)
        finally:
            node.stop(broker)


def _produce(bootstrap: str, records: list[RawRecord]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "enable.idempotence": True})
    for record in records:
        producer.produce(EVENTS, value=record.value, partition=record.partition)
        producer.poll(0)
    producer.flush()


def _run(bootstrap: str, url: str, directory: Path, events: int, partitions: int) -> dict[str, float]:
    port = free_port()
    environment = {
        **os.environ,
        "ARGOSY_KAFKA__BOOTSTRAP": bootstrap,
        "ARGOSY_KAFKA__PARTITIONS": str(partitions),
        "ARGOSY_POSTGRES__URL": url,
        "ARGOSY_VIEWS__DATA_DIR": str(directory / "views"),
        "ARGOSY_HEALTH__PORT": str(port),
    }
    command = [sys.executable, "-m", "app.admin.main", "run", "views", "--app", "history"]
    with (directory / "log").open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        first, first_at_s = _until(port, 1, READY_TIMEOUT_S, process)
        last, last_at_s = _until(port, events, CATCH_UP_TIMEOUT_S, process)
        return {"history_process_catch_up_events_per_s": (last - first) / (last_at_s - first_at_s)}
    finally:
        process.kill()
        process.wait()


def _until(port: int, events: int, timeout_s: float, process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Waits until so many events are written; how many then, and when."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        text = _metrics(port)
        if STOPPED in text:
            raise RuntimeError("app history stands before a record that it cannot take")
        written = next((int(float(line[len(METRIC) :])) for line in text.splitlines() if line.startswith(METRIC)), 0)
        if written >= events:
            return written, time.monotonic()
        time.sleep(0.02)
    raise TimeoutError(f"app history wrote fewer than {events} events within {timeout_s:.0f} s")


def _metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
