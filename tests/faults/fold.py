"""The independent check: argosy.commands folded in memory, one command at a time, and what the logs and stores must
then hold.

It shares deciding with the queue agent, and nothing else: no steps, no transactions, no store, no restore.
"""

from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, TopicPartition

from app.domain.commands import Command, ReportRuns
from app.domain.errors import ErrorCode
from app.domain.memory import MemoryState
from app.domain.records import records_of, undecided
from app.domain.rows import JobGang, JobRow
from app.domain.state import Overlay
from app.log.codec import Undecodable, decode, encode, encode_events
from tests.faults.poisoned_queue import decide_or_raise

Letter = tuple[int, int, str]
"""of a dead letter: offset, item, reason"""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record as a reader gets it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class PartitionReader:
    """Committed records of one partition, from where the last call ended up to the end."""

    def __init__(self, bootstrap: str, topic: str, partition: int) -> None:
        self._next = TopicPartition(topic, partition, 0)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "fold",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                "log_level": 3,
            }
        )

    def rest(self) -> list[LogRecord]:
        found: list[LogRecord] = []
        self._consumer.assign([self._next])
        while True:
            for message in self._consumer.consume(10_000, timeout=0.1):
                error = message.error()
                if error is None:
                    found.append(LogRecord(message.offset(), message.key(), message.value(), message.timestamp()[1]))
                    self._next.offset = message.offset() + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._next.offset = message.offset()
                    return found

    def close(self) -> None:
        self._consumer.close()


@dataclass(slots=True)
class Fold:
    """One partition, decided again."""

    partition: int
    state: MemoryState = field(default_factory=MemoryState)
    offset: int = -1
    log_time_ms: int = 0
    events: list[bytes] = field(default_factory=list)
    """encoded events records that no reader was asked for yet"""
    letters: list[Letter] = field(default_factory=list)

    def take(self, record: LogRecord) -> None:
        """Decides the next command."""
        assert record.offset == self.offset + 1, "argosy.commands has no holes"
        self.offset, self.log_time_ms = record.offset, max(self.log_time_ms, record.timestamp_ms)
        overlay = Overlay(self.state)
        name, code = "", ErrorCode.INVALID
        try:
            command = decode(record.value or b"")
            name, code = type(command).__name__, ErrorCode.INTERNAL
            assert isinstance(command, Command)
            decision = decide_or_raise(overlay, command, self.partition, self.offset, self.log_time_ms)
        except Undecodable as error:
            self._refuse(name, code, str(error), "UNDECODABLE")
        except Exception as error:
            overlay.drop()
            self._refuse(name, code, f"{type(error).__name__}: {error}", "INTERNAL")
        else:
            records = records_of(
                decision,
                offset=self.offset,
                log_time_ms=self.log_time_ms,
                command=name,
                encode_events=encode_events,
            )
            overlay.keep()
            self.events.extend(encode(part) for part in records)
            assert isinstance(command, ReportRuns) or not decision.failed_items
            self.letters.extend((self.offset, item, "INTERNAL") for item, _ in decision.failed_items)
        self.state.commit(overlay, self.offset, self.log_time_ms)

    def state_rows(self) -> dict[bytes, bytes]:
        """What argosy.state must come to."""
        return {key: encode(row) for key, row in self.state.rows.items()}

    def id_rows(self) -> dict[bytes, bytes]:
        """What argosy.client-ids must come to."""
        return {key: encode(row) for key, row in self.state.ids.items()}

    def store(self) -> dict[bytes, bytes]:
        """What a local store must hold, its index included, written down here a second time."""
        jobs = {
            set_entry(row.incarnation, row.job_set.encode(), key[1:]): b""
            for key, row in self.state.rows.items()
            if isinstance(row, JobRow)
        }
        gangs = {
            gang_entry(row.incarnation, row.more.gang, key[1:]): b""
            for key, row in self.state.rows.items()
            if isinstance(row, JobRow) and row.more is not None and row.more.gang is not None
        }
        ids = {b"T" + row.log_time_ms.to_bytes(8, "big") + key: b"" for key, row in self.state.ids.items()}
        state = {b"s" + key: value for key, value in self.state_rows().items()}
        return {**state, **{b"i" + key: value for key, value in self.id_rows().items()}, **jobs, **gangs, **ids}

    def _refuse(self, name: str, code: ErrorCode, message: str, reason: str) -> None:
        self.events.append(encode(undecided(self.offset, self.log_time_ms, name, code, message)))
        self.letters.append((self.offset, -1, reason))


def gang_entry(incarnation: int, gang: JobGang, job_id: bytes) -> bytes:
    name = gang.gang_id.encode()
    prefix = b"G" + incarnation.to_bytes(8, "big") + len(name).to_bytes(2, "big") + name
    return prefix + gang.generation.to_bytes(4, "big") + job_id


def set_entry(incarnation: int, job_set: bytes, job_id: bytes) -> bytes:
    return b"J" + incarnation.to_bytes(8, "big") + len(job_set).to_bytes(2, "big") + job_set + job_id
