"""One installation of queue agents under load: topics, feeder, worker processes, and the check of everything
against the fold."""

import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

from confluent_kafka import Producer

from app.admin.processes import Child, free_port, spawn
from app.domain.clusters import DeadLetter
from app.domain.limits import RECORD_BYTES_MAX
from app.domain.rows import POSITION_KEY
from app.log.codec import decode, encode
from app.log.topics import CLIENT_IDS, COMMANDS, DEAD_LETTERS, EVENTS, STATE, apply_topics, load_topics
from app.streams.store import Store
from tests.faults.fold import Fold, Letter, PartitionReader
from tests.faults.load import Load

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
SESSION_S = 6.0
WAIT_S = 120.0
"""for what takes seconds on an idle machine"""
POINTS = ("deciding", "sending", "committing", "committed", "stored")


class Worker:
    """A queue agent process; `start` and `kill` as often as one likes, with the same directory and member id."""

    def __init__(self, bootstrap: str, directory: Path, name: str) -> None:
        self.name, self.directory = name, directory
        self._bootstrap = bootstrap
        self._port = free_port()
        self._process: Child | None = None
        (directory / "faults").mkdir(parents=True)

    def start(self, *, mutation: str = "", restore_pause_s: float = 0.0) -> None:
        options = {
            "bootstrap": self._bootstrap,
            "partitions": PARTITIONS,
            "directory": str(self.directory),
            "instance": self.name,
            "health_port": self._port,
            "session_timeout_s": SESSION_S,
            "restore_pause_s": restore_pause_s,
            "mutation": mutation,
        }
        self._process = spawn(
            self.name,
            [sys.executable, "-m", "tests.faults.queue_worker", json.dumps(options)],
            log=self.log,
            environment={**os.environ, "PYTHONPATH": str(ROOT)},
            die_with_parent=True,
        )

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def stores(self) -> Path:
        return self.directory / "stores"

    @property
    def process(self) -> Child:
        assert self._process is not None
        return self._process

    def exit_code(self) -> int | None:
        return self.process.exit_code()

    def ask(self, fault: str, content: str = "") -> None:
        (self.directory / "faults" / f"{fault}-done").unlink(missing_ok=True)
        (self.directory / "faults" / fault).write_text(content)

    def happened(self, fault: str) -> bool:
        return (self.directory / "faults" / f"{fault}-done").exists()

    def ready(self) -> bool:
        return self._get("/readyz") == "ready\n"

    def owned(self) -> int:
        """How many partitions it owns and has restored."""
        metrics = self._get("/metrics") or ""
        return sum(int(float(value)) for value in re.findall(r"^argosy_queue_tenure\{.*\} (.*)$", metrics, re.M))

    def position(self, partition: int) -> int:
        """Offset of the last command that it decided since its start; -1 = none."""
        found = re.search(
            rf'^argosy_queue_position\{{partition="{partition}"\}} (.*)$', self._get("/metrics") or "", re.M
        )
        return int(float(found[1])) if found else -1

    def reasons(self) -> str:
        """Why it is not ready."""
        return self._get("/readyz") or ""

    def owns(self, partitions: int) -> bool:
        assert self.exit_code() is None, f"{self.name} exited by itself with {self.exit_code()}; see {self.log}"
        return self.ready() and self.owned() == partitions

    def kill(self) -> None:
        self.process.kill()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Orderly; the session of a static member goes on until it times out."""
        assert self.process.stop(deadline_s=30), f"{self.name} did not stop: {self.log.read_text()[-2000:]}"
        assert self.exit_code() == 0, f"{self.name}: {self.log.read_text()[-2000:]}"

    def close(self) -> None:
        if self._process is not None and self._process.exit_code() is None:
            self._process.kill()

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return bytes(answer.read()).decode()
        except urllib.error.HTTPError as answer:
            return bytes(answer.read()).decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None


class Installation:
    """Begins with topics; `load` runs in a thread between `begin_load` and `end_load`."""

    def __init__(self, bootstrap: str, directory: Path, seed: int) -> None:
        self.bootstrap, self.directory, self.seed = bootstrap, directory, seed
        self.random = random.Random(seed)
        apply_topics(bootstrap, load_topics(), PARTITIONS, 1)
        self.workers: dict[str, Worker] = {}
        self.load = Load(seed, PARTITIONS)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "linger.ms": 2,
                "enable.idempotence": True,
                "message.max.bytes": RECORD_BYTES_MAX,
                "log_level": 3,
            }
        )
        self._feeding = threading.Event()
        self._feeder = threading.Thread()
        self._folds = [Fold(partition) for partition in range(PARTITIONS)]
        self._readers = {
            (topic, partition): PartitionReader(bootstrap, topic, partition)
            for topic in (COMMANDS, EVENTS, STATE, CLIENT_IDS)
            for partition in range(PARTITIONS)
        }
        self._letters_reader = PartitionReader(bootstrap, DEAD_LETTERS, 0)
        self._events: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self._rows: dict[tuple[str, int], dict[bytes, bytes]] = {key: {} for key in self._readers}
        self._letters: list[list[Letter]] = [[] for _ in range(PARTITIONS)]

    def worker(self, name: str) -> Worker:
        if name not in self.workers:
            self.workers[name] = Worker(self.bootstrap, self.directory / name, name)
        return self.workers[name]

    def feed(self, commands: int) -> None:
        """So many commands of the load, acknowledged."""
        for _ in range(commands):
            partition, value = self.load.next()
            self._producer.produce(COMMANDS, value, b"", partition)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def feed_values(self, partition: int, values: Iterable[bytes]) -> None:
        """Commands of the caller's, while no load runs."""
        for value in values:
            self._producer.produce(COMMANDS, value, b"", partition)
        assert self._producer.flush(30) == 0

    def feed_big_cancel(self, partition: int, jobs: int) -> None:
        """Fills a job set and cancels it."""
        self.feed_values(partition, self.load.big_cancel(self.load.parts[partition], jobs))

    def begin_load(self, per_second: int) -> None:
        self._feeding.set()

        def go() -> None:
            while self._feeding.is_set():
                self.feed(max(1, per_second // 20))
                time.sleep(0.05)

        self._feeder = threading.Thread(target=go, daemon=True)
        self._feeder.start()

    def end_load(self) -> None:
        """Does nothing when no load runs."""
        if self._feeding.is_set():
            self._feeding.clear()
            self._feeder.join()

    def verify(self, timeout_s: float = WAIT_S) -> int:
        """Waits until all commands are decided and nothing goes on, then compares the logs with the fold.

        Returns how many commands the fold has taken in all. Raises AssertionError at the first difference."""
        self.end_load()
        deadline = time.monotonic() + timeout_s
        while not self._settled():
            undecided = [len(fold.events) - len(events) for fold, events in zip(self._folds, self._events, strict=True)]
            assert time.monotonic() < deadline, f"not decided in {timeout_s} s: {undecided} records missing"
            time.sleep(0.1)
        self._compare_events()
        self._compare_tables()
        self._compare_letters()
        return sum(fold.offset + 1 for fold in self._folds)

    def verify_store(self, worker: Worker) -> None:
        """The local stores of a stopped worker that owned everything equal the fold."""
        for fold in self._folds:
            store = Store(worker.stores / str(fold.partition))
            held = {key: value for key, value in store._db.items() if key[:1] != b"\0"}
            store.close()
            assert held == fold.store(), f"the store of partition {fold.partition} differs from the fold"

    def close(self) -> None:
        self.end_load()
        for worker in self.workers.values():
            worker.close()
        for reader in (*self._readers.values(), self._letters_reader):
            reader.close()

    def _settled(self) -> bool:
        """Everything is decided and no operation is open, so nobody writes any more."""
        before = [fold.offset for fold in self._folds]
        for fold, events in zip(self._folds, self._events, strict=True):
            for record in self._readers[COMMANDS, fold.partition].rest():
                fold.take(record)
            events.extend(record.value or b"" for record in self._readers[EVENTS, fold.partition].rest())
        return before == [fold.offset for fold in self._folds] and all(
            len(events) >= len(fold.events) and not fold.state.operations()
            for fold, events in zip(self._folds, self._events, strict=True)
        )

    def _compare_events(self) -> None:
        for fold, events in zip(self._folds, self._events, strict=True):
            for number, (found, want) in enumerate(zip(events, fold.events, strict=False)):
                canonical = encode(decode(found))
                assert canonical == want, self._first_difference(fold.partition, number, found, want)
            assert len(events) == len(fold.events), f"{len(events) - len(fold.events)} events records too many"
            events.clear()
            fold.events.clear()

    def _first_difference(self, partition: int, number: int, found: bytes, want: bytes) -> str:
        return (
            f"seed {self.seed}, partition {partition}, record {number}:\n found {decode(found)}\n want {decode(want)}"
        )

    def _compare_tables(self) -> None:
        for fold in self._folds:
            for topic, want in ((STATE, fold.state_rows()), (CLIENT_IDS, fold.id_rows())):
                rows = self._rows[topic, fold.partition]
                last = b""
                for record in self._readers[topic, fold.partition].rest():
                    last = record.key or b""
                    if record.value is None:
                        rows.pop(last, None)
                    else:
                        rows[last] = record.value
                assert rows == want, f"seed {self.seed}: {topic} partition {fold.partition} differs from the fold"
                assert topic != STATE or last in (b"", POSITION_KEY), "the position row is the last of a transaction"

    def _compare_letters(self) -> None:
        for record in self._letters_reader.rest():
            letter = decode(record.value or b"")
            assert isinstance(letter, DeadLetter)
            self._letters[letter.partition].append((letter.offset, letter.item, letter.reason))
        assert self._letters == [fold.letters for fold in self._folds]


def eventually(what: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Polls until it holds; fails after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, f"did not become true in {timeout_s} s"
        time.sleep(0.05)


def copy_stores(source: Path, target: Path) -> None:
    """Replaces `target` by a copy of the stores in `source`; nobody may have either open."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def seed_of_this_run() -> int:
    """ARGOSY_SEED, or a new one."""
    given = os.environ.get("ARGOSY_SEED")
    return int(given) if given else random.randrange(1 << 32)
