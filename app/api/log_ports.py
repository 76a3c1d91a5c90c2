"""What this package needs of the log, as protocols: app.log offers it on Kafka, tests offer it in memory."""

from collections.abc import Sequence
from typing import Protocol

from app.domain.clusters import DeadLetter


class SentRecord(Protocol):
    """Where a record was appended."""

    @property
    def offset(self) -> int: ...


class LogWriter(Protocol):
    """Appends one record and returns when the broker has acknowledged it."""

    async def send(self, topic: str, partition: int, value: bytes, key: bytes | None = None) -> SentRecord: ...


class LogRecord(Protocol):
    """A record as it was read."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp_ms(self) -> int: ...


class LogSource(Protocol):
    """A started reader of committed records of some partitions of one topic."""

    async def poll(self, max_records: int, timeout_ms: int) -> Sequence[LogRecord]: ...

    @property
    def at_end(self) -> bool: ...

    async def stop(self) -> None: ...


class PositionedSource(LogSource, Protocol):
    """A reader that says where it stands."""

    def positions(self) -> dict[int, int]: ...


class LetterRecord(Protocol):
    """A dead letter: what an agent could not take."""

    @property
    def number(self) -> int: ...
    @property
    def written_ms(self) -> int: ...
    @property
    def letter(self) -> DeadLetter: ...


class LettersTopic(Protocol):
    """How argosy.dead-letters is read."""

    async def dead_letters(self, limit: int) -> Sequence[LetterRecord]:
        """The last ones, oldest first. Raises LogUnavailable."""
