"""Restore: bring a local store to the end of its changelogs, in bulk.

Inputs: a store, its changelogs, the partition. Outputs: the store at the end, and whether commands go on where its
position ends. It runs in a thread, after the fence (only then are the ends final), while the group consumer goes on
heartbeating. Nothing but the end of the partition ends it; any error ends the process. Cut short, the next one goes
on where it stopped.
"""

import threading
import time
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.streams.store import Changelog, Store, Writes

STORE_AGE_MAX_MS = 7 * 60_000
"""An older store may have missed tombstones, so it is emptied: they are kept for 15 min (delete.retention.ms of the
compacted topics)"""
RESTORE_AGE_MAX_MS = 14 * 60_000
"""as long may a store be behind while it is being restored; then the restore starts anew"""
SILENCE_MAX_S = 60.0
ENDS_WAIT_S = 30.0
BATCH_RECORDS = 10_000


class RestoreStalledError(RuntimeError):
    """nothing came from the changelog, although it does not end here: no broker, or a stranger's open transaction"""


class CommandsMissingError(RuntimeError):
    """the commands that come next are not in the log"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What to restore from. topic_ids: topic -> Kafka topic id; pause_s slows every batch down (fault tests)."""

    bootstrap: str
    partition: int
    changelogs: tuple[Changelog, ...]
    topic_ids: dict[str, str]
    pause_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Restored:
    """What a restore did. full: the store was empty, or was emptied."""

    rows: int = 0
    seconds: float = 0.0
    full: bool = False


class Restoration:
    """One restore. `ending` is asked after every batch."""

    def __init__(self, store: Store, plan: RestorePlan, ending: threading.Event) -> None:
        self._store, self._plan, self._ending = store, plan, ending
        self._consumer = Consumer(
            {
                "bootstrap.servers": plan.bootstrap,
                "group.id": "argosy-restore",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 32 << 10,
                "max.partition.fetch.bytes": 8 << 20,
                # The end of a partition is announced by an empty fetch, which the broker holds back for this long.
                "fetch.wait.max.ms": 10,
                "log_level": 3,
            }
        )
        self.result = Restored()

    def run(self) -> Restored:
        """Returns when the store is at the end, or `ending` was set. Raises KafkaException, RestoreStalledError."""
        started = time.monotonic()
        while not self._ending.is_set() and not self._attempt():
            pass
        self.result.seconds = time.monotonic() - started
        return self.result

    def check_commands(self, topic: str, next_offset: int) -> None:
        """Raises CommandsMissingError unless argosy.commands goes on at `next_offset`."""
        low, high = self._ends(topic)
        where = f"{topic} partition {self._plan.partition}"
        if self._ending.is_set() or low <= next_offset <= high:
            return
        if next_offset < low:
            raise CommandsMissingError(
                f"{where}: command {next_offset} comes next, but retention has deleted everything below {low}; "
                f"commands that were acknowledged are lost, so somebody must decide how to go on"
            )
        raise CommandsMissingError(
            f"{where} ends at {high}, but {next_offset - 1} was decided already: the topic was recreated; "
            f"recreate argosy.state and argosy.client-ids too, or restore the topic"
        )

    def close(self) -> None:
        self._consumer.close()

    def _attempt(self) -> bool:
        """One pass; False: it took too long, begin anew."""
        plan, store = self._plan, self._store
        ends = {changelog.topic: self._ends(changelog.topic) for changelog in plan.changelogs}
        if self._ending.is_set():
            return True
        asked_ms = _now_ms()
        if not self._usable(ends, asked_ms):
            store.begin({changelog.prefix: plan.topic_ids[changelog.topic] for changelog in plan.changelogs})
            store.write(Writes(stamp_ms=asked_ms))
            self.result = Restored(full=True)
        basis_ms = store.stamp_ms
        applied = {changelog.topic: store.applied(changelog.prefix) for changelog in plan.changelogs}
        missing = [topic for topic, (_, high) in ends.items() if applied[topic] + 1 < high]
        self._consumer.assign(
            [TopicPartition(topic, plan.partition, max(ends[topic][0], applied[topic] + 1)) for topic in missing]
        )
        moved = time.monotonic()
        while any(applied[topic] + 1 < ends[topic][1] for topic in missing):
            if self._ending.wait(plan.pause_s):
                return True
            if self._batch(applied):
                moved = time.monotonic()
            elif time.monotonic() - moved > SILENCE_MAX_S:
                raise RestoreStalledError(
                    f"partition {plan.partition}: nothing for {SILENCE_MAX_S:.0f} s, at {applied} of {ends}"
                )
            if _now_ms() - basis_ms > RESTORE_AGE_MAX_MS:
                return False
        if self.result.full:
            store.flush()
        store.write(Writes(stamp_ms=asked_ms))
        return True

    def _usable(self, ends: dict[str, tuple[int, int]], now_ms: int) -> bool:
        """Whether what is stored is a beginning of what the changelogs hold."""
        plan, store = self._plan, self._store
        ids = store.topics([changelog.prefix for changelog in plan.changelogs])
        if ids != [plan.topic_ids[changelog.topic] for changelog in plan.changelogs]:
            return False
        if not 0 <= now_ms - store.stamp_ms <= STORE_AGE_MAX_MS:
            return False
        for changelog in plan.changelogs:
            applied, (low, high) = store.applied(changelog.prefix), ends[changelog.topic]
            if applied >= high or 0 <= applied < low - 1:
                return False
        return True

    def _batch(self, applied: dict[str, int]) -> int:
        """Takes what is there, up to a limit; returns how many messages (ends included) came."""
        rows: dict[str, dict[bytes, bytes | None]] = {changelog.topic: {} for changelog in self._plan.changelogs}
        dropped: dict[str, set[bytes]] = {changelog.topic: set() for changelog in self._plan.changelogs}
        messages = self._consumer.consume(BATCH_RECORDS, timeout=0.05)
        for message in messages:
            error, topic = message.error(), message.topic()
            if error is None:
                key, value = message.key(), message.value()
                rows[topic][key] = value
                if value is None:
                    dropped[topic].add(key)
                applied[topic] = message.offset()
                self.result.rows += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                # Transaction markers take offsets too: what comes next is behind them.
                applied[topic] = message.offset() - 1
            else:
                raise KafkaException(error)
        if messages:
            writes = Writes(applied={changelog.prefix: applied[changelog.topic] for changelog in self._plan.changelogs})
            for changelog in self._plan.changelogs:
                self._fold(changelog, rows[changelog.topic], dropped[changelog.topic], writes.rows)
            # A store that begins empty loses nothing that the changelogs do not have.
            self._store.write(writes, logged=not self.result.full)
        return len(messages)

    def _fold(
        self,
        changelog: Changelog,
        rows: dict[bytes, bytes | None],
        dropped: set[bytes],
        writes: list[tuple[bytes, bytes | None]],
    ) -> None:
        """The writes for the latest values of some keys, with their index entries."""
        prefix, entries = changelog.prefix, changelog.entries
        if entries is None:
            writes.extend((prefix + key, value) for key, value in rows.items())
            return
        # Only these can have an entry that must go. A step writes a tombstone before a row whose entry is another than
        # before; compaction may drop it, but then also the row before it, unless that stands in a store that was kept.
        doubtful = list(dropped if self.result.full else rows)
        for key, old in zip(doubtful, self._store.get([prefix + key for key in doubtful]), strict=True):
            if old is not None:
                writes.extend((was, None) for was in entries(key, old))
        add = writes.append
        for key, value in rows.items():
            add((prefix + key, value))
            if value is not None:
                for now in entries(key, value):
                    add((now, b""))

    def _ends(self, topic: str) -> tuple[int, int]:
        """First offset and the one behind the last. A new topic or leader answers NOT_LEADER for a moment: ask
        again."""
        until = time.monotonic() + ENDS_WAIT_S
        while not self._ending.is_set():
            try:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, self._plan.partition), timeout=2)
                return low, high
            except KafkaException:
                if time.monotonic() > until:
                    raise
                self._ending.wait(0.1)
        return 0, 0


def _now_ms() -> int:
    return int(time.time() * 1000)
