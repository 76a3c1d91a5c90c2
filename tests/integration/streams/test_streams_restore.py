"""Restore on a real broker: the store equals the fold of its changelogs, index included, from every starting point."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.streams import restore as restore_module
from app.streams.restore import CommandsMissingError, Restoration, Restored, RestorePlan
from app.streams.store import Changelog, Store, Writes

pytestmark = pytest.mark.stack

PARTITION = 1
_NUMBERS = iter(range(1_000_000))


def entries(key: bytes, value: bytes) -> tuple[bytes, ...]:
    """Rows of keys k... are indexed by the first byte of their value, and the longer ones by their last one too."""
    if key[:1] != b"k":
        return ()
    by_first = b"X" + value[:1] + key
    return (by_first,) if len(value) < 3 else (by_first, b"Y" + value[-1:] + key)


class Log:
    """Two changelogs with a transactional writer and the fold of what it wrote."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        name = f"restore-{time.time_ns()}-{next(_NUMBERS)}"
        self.topics = (f"{name}-ids", f"{name}-state")
        client = AdminClient({"bootstrap.servers": bootstrap})
        for future in client.create_topics([NewTopic(topic, 2, 1) for topic in self.topics]).values():
            future.result(10)
        self.changelogs = (
            Changelog(topic=self.topics[0], prefix=b"i", entries=entries),
            Changelog(topic=self.topics[1], prefix=b"s"),
        )
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": name, "linger.ms": 1, "compression.type": "zstd"}
        )
        self._producer.init_transactions(10)
        self.fold: dict[bytes, bytes] = {}
        self.written = 0

    def write(self, *rows: tuple[int, bytes, bytes | None], abort: bool = False) -> None:
        self._producer.begin_transaction()
        for which, key, value in rows:
            before = self.fold.get(self.changelogs[which].prefix + key)
            if (
                which == 0
                and before is not None
                and value is not None
                and set(entries(key, before)) - set(entries(key, value))
            ):
                # As a step does: a row whose index entry moves is deleted first.
                self._producer.produce(self.topics[which], None, key, PARTITION)
                self.written += 1
            self._producer.produce(self.topics[which], value, key, PARTITION)
            self._producer.poll(0)
            if abort:
                continue
            self.written += 1
            whole = self.changelogs[which].prefix + key
            if value is None:
                self.fold.pop(whole, None)
            else:
                self.fold[whole] = value
        if abort:
            self._producer.flush(10)
            self._producer.abort_transaction(10)
        else:
            self._producer.commit_transaction(10)

    @property
    def expected(self) -> dict[bytes, bytes]:
        mine = [(key[1:], value) for key, value in self.fold.items() if key[:1] == b"i"]
        index = {found: b"" for key, value in mine for found in entries(key, value)}
        return {**self.fold, **index}

    def plan(self, ids: str = "1", pause_s: float = 0.0) -> RestorePlan:
        return RestorePlan(
            bootstrap=self.bootstrap,
            partition=PARTITION,
            changelogs=self.changelogs,
            topic_ids={topic: f"{topic}-{ids}" for topic in self.topics},
            pause_s=pause_s,
        )


@pytest.fixture
def log(kafka: str) -> Log:
    return Log(kafka)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


def restored(store: Store, plan: RestorePlan) -> Restored:
    restoration = Restoration(store, plan, threading.Event())
    try:
        return restoration.run()
    finally:
        restoration.close()


def content(store: Store) -> dict[bytes, bytes]:
    return {key: value for key, value in store._db.items() if key[:1] != b"\0"}


def fill(log: Log, rounds: int, seed: int = 0) -> None:
    for n in range(seed, seed + rounds):
        rows: list[tuple[int, bytes, bytes | None]] = [(1, b"s%d" % (n * 7 % 50), b"%d" % n)]
        rows += [(0, b"k%d" % (n * 13 % 40), b"%c%d" % (97 + n % 7, n)), (0, b"o%d" % (n % 9), b"v%d" % n)]
        if n % 3 == 0:
            rows += [(0, b"k%d" % (n * 5 % 40), None), (1, b"s%d" % (n % 50), None)]
        log.write(*rows)


def test_an_empty_store_becomes_the_fold_of_its_changelogs(log: Log, store: Store) -> None:
    fill(log, 120)
    log.write((1, b"never", b"x"), (0, b"knever", b"x"), abort=True)
    result = restored(store, log.plan())
    assert result.full
    assert content(store) == log.expected
    assert time.time() * 1000 - store.stamp_ms < 60_000


def test_a_store_that_was_kept_takes_only_what_is_new_and_its_index_stays_exact(log: Log, store: Store) -> None:
    fill(log, 100)
    restored(store, log.plan())
    fill(log, 60, 100)
    result = restored(store, log.plan())
    assert not result.full
    assert 0 < result.rows < log.written
    assert content(store) == log.expected
    assert restored(store, log.plan()).rows == 0


def test_empty_changelogs_are_a_complete_restore(log: Log, store: Store) -> None:
    result = restored(store, log.plan())
    assert (result.rows, result.full, content(store)) == (0, True, {})


@pytest.mark.parametrize("spoil", ["old", "of 1970", "from the future", "another topic", "ahead of the log"])
def test_a_store_that_cannot_be_trusted_is_emptied_first(log: Log, store: Store, spoil: str) -> None:
    fill(log, 40)
    restored(store, log.plan())
    store.write(Writes(rows=[(b"sstray", b"x"), (b"Xzstray", b"")]))
    now = int(time.time() * 1000)
    plan = log.plan()
    if spoil == "old":
        store.write(Writes(stamp_ms=now - restore_module.STORE_AGE_MAX_MS - 1000))
    elif spoil == "of 1970":
        store.write(Writes(stamp_ms=0))
    elif spoil == "from the future":
        store.write(Writes(stamp_ms=now + 3_600_000))
    elif spoil == "another topic":
        plan = log.plan(ids="2")
    else:
        store.write(Writes(applied={b"s": 1_000_000}))
    assert restored(store, plan).full
    assert content(store) == log.expected


def test_a_restore_that_was_cut_short_goes_on_where_it_stopped(
    log: Log, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, 150)
    monkeypatch.setattr(restore_module, "BATCH_RECORDS", 20)
    ending = threading.Event()
    first = Restoration(store, log.plan(pause_s=0.02), ending)
    thread = threading.Thread(target=first.run)
    thread.start()
    deadline = time.monotonic() + 20
    while first.result.rows < 40 and time.monotonic() < deadline:
        time.sleep(0.005)
    ending.set()
    thread.join(5)
    first.close()
    assert not thread.is_alive()
    assert 40 <= first.result.rows < log.written
    second = restored(store, log.plan())
    assert not second.full
    assert first.result.rows + second.rows == log.written
    assert content(store) == log.expected


def test_a_restore_that_takes_longer_than_tombstones_live_begins_anew(
    log: Log, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, 30)
    clock = iter([1_000_000_000_000, 1_000_000_000_000 + restore_module.RESTORE_AGE_MAX_MS + 1])
    last = 1_000_000_000_000 + restore_module.RESTORE_AGE_MAX_MS + 1
    monkeypatch.setattr(restore_module, "_now_ms", lambda: next(clock, last))
    assert restored(store, log.plan()).full
    assert store.stamp_ms == last
    assert content(store) == log.expected


def test_commands_that_retention_deleted_or_that_were_never_there_are_refused(log: Log, store: Store) -> None:
    fill(log, 10)
    topic = log.topics[1]
    restoration = Restoration(store, log.plan(), threading.Event())
    try:
        _, high = restoration._ends(topic)
        restoration.check_commands(topic, 0)
        restoration.check_commands(topic, high)
        with pytest.raises(CommandsMissingError, match="recreated"):
            restoration.check_commands(topic, high + 1)
        client = AdminClient({"bootstrap.servers": log.bootstrap})
        for future in client.delete_records([TopicPartition(topic, PARTITION, 5)]).values():
            future.result(10)
        with pytest.raises(CommandsMissingError, match="retention has deleted everything below 5"):
            restoration.check_commands(topic, 4)
    finally:
        restoration.close()
