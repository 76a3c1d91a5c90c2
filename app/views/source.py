"""From raw records of a topic to what views take: decoded, complete, without holes, and how far that brings them.

Three kinds of topics: argosy.events (positions of commands, no command may be missing), argosy.state (rows count when
their step's position row has come), others (the offset is the position). Pure; no I/O.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from app.domain.events import EventsRecord
from app.domain.rows import POSITION_KEY, PositionRow
from app.log.codec import decode, decode_as
from app.log.reader import Record as RawRecord
from app.log.topics import EVENTS, STATE
from app.views.view import SourceRecord
from app.views.writer import Stand

__all__ = ["Cut", "EventsSource", "PlainSource", "PoisonRecord", "RawRecord", "Source", "StateSource", "source_of"]


class PoisonRecord(Exception):
    """a record cannot be taken; whoever reads this topic stands there until somebody looked"""

    def __init__(self, raw: RawRecord, why: str) -> None:
        super().__init__(f"partition {raw.partition} offset {raw.offset}: {why}")
        self.raw = raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Records that may be written, in order within each partition, and where each partition stands after them."""

    records: list[SourceRecord]
    stands: dict[int, Stand]


class Saved(NamedTuple):
    """Where a source was. waiting: rows of steps that were not complete."""

    stands: dict[int, Stand]
    waiting: dict[int, list[SourceRecord]]


class Source(ABC):
    """Remembers per partition how far it has cut; `reset` puts it back."""

    compacted = False

    def __init__(self) -> None:
        self._stands: dict[int, Stand] = {}

    def reset(self, partition: int, stand: Stand) -> None:
        """The partition goes on behind this stand."""
        self._stands[partition] = stand

    def stand(self, partition: int) -> Stand:
        return self._stands.get(partition, Stand())

    def save(self, partitions: set[int]) -> Saved:
        """How far it is in these, for `restore`."""
        return Saved({partition: self.stand(partition) for partition in partitions}, {})

    def restore(self, saved: Saved) -> None:
        """Back to where it was in these partitions; what was cut since then is cut again."""
        self._stands.update(saved.stands)

    def cut(self, raw: Sequence[RawRecord]) -> Cut:
        """Decodes what follows. Raises PoisonRecord; then nothing has moved."""
        before = self.save({one.partition for one in raw})
        records: list[SourceRecord] = []
        moved: dict[int, Stand] = {}
        try:
            for one in raw:
                self._take(one, records, moved)
        except Exception as error:
            self.restore(before)
            if isinstance(error, PoisonRecord):
                raise
            raise PoisonRecord(one, f"{type(error).__name__}: {error}") from error
        return Cut(records=records, stands=moved)

    @abstractmethod
    def _take(self, raw: RawRecord, records: list[SourceRecord], moved: dict[int, Stand]) -> None: ...


class PlainSource(Source):
    """Every record stands for itself."""

    def _take(self, raw: RawRecord, records: list[SourceRecord], moved: dict[int, Stand]) -> None:
        stand = self.stand(raw.partition)
        records.append(
            SourceRecord(raw.partition, raw.offset, raw.key or b"", decode(raw.value or b""), raw.timestamp_ms)
        )
        self._stands[raw.partition] = moved[raw.partition] = Stand(
            position=raw.offset,
            source_offset=raw.offset,
            first_offset=raw.offset if stand.first_offset < 0 else stand.first_offset,
            log_time_ms=max(raw.timestamp_ms, stand.log_time_ms),
        )


class EventsSource(Source):
    """argosy.events. Commands have contiguous offsets, and each yields at least one record, the last of them marked."""

    def _take(self, raw: RawRecord, records: list[SourceRecord], moved: dict[int, Stand]) -> None:
        value = decode_as(EventsRecord, raw.value or b"")
        stand = self.stand(raw.partition)
        if stand.first_offset < 0:
            # The log's beginning, as far as it is kept: perhaps the middle of a command.
            stand = replace(
                stand, position=value.offset - 1, next_ordinal=value.first_ordinal, first_offset=value.offset
            )
        if (value.offset, value.first_ordinal) != (stand.position + 1, stand.next_ordinal):
            raise PoisonRecord(
                raw,
                f"a hole in the log: command {stand.position + 1} from event {stand.next_ordinal} on was expected, "
                f"command {value.offset} from event {value.first_ordinal} on came",
            )
        records.append(SourceRecord(raw.partition, raw.offset, raw.key or b"", value, value.log_time_ms))
        self._stands[raw.partition] = moved[raw.partition] = Stand(
            position=value.offset if value.last else stand.position,
            next_ordinal=0 if value.last else value.first_ordinal + value.count,
            source_offset=raw.offset,
            first_offset=stand.first_offset,
            log_time_ms=value.log_time_ms,
        )


class StateSource(Source):
    """argosy.state: changed rows, then the position row that makes them count. keys: first bytes of the keys wanted."""

    compacted = True

    def __init__(self, keys: bytes) -> None:
        super().__init__()
        self._keys = keys
        self._wanted = first_bytes(keys)
        self._waiting: dict[int, list[SourceRecord]] = {}

    def reset(self, partition: int, stand: Stand) -> None:
        super().reset(partition, stand)
        self._waiting.pop(partition, None)

    def save(self, partitions: set[int]) -> Saved:
        waiting = {partition: list(self._waiting.get(partition, ())) for partition in partitions}
        return Saved(super().save(partitions).stands, waiting)

    def restore(self, saved: Saved) -> None:
        super().restore(saved)
        self._waiting.update(saved.waiting)

    def _take(self, raw: RawRecord, records: list[SourceRecord], moved: dict[int, Stand]) -> None:
        key = raw.key or b""
        if key == POSITION_KEY:
            row = decode_as(PositionRow, raw.value or b"")
            waiting = self._waiting.pop(raw.partition, [])
            for record in waiting:
                record.log_time_ms = row.log_time_ms
            records += waiting
            stand = self.stand(raw.partition)
            self._stands[raw.partition] = moved[raw.partition] = Stand(
                position=row.offset,
                source_offset=raw.offset,
                first_offset=row.offset if stand.first_offset < 0 else stand.first_offset,
                log_time_ms=row.log_time_ms,
            )
        elif not self._keys or key[:1] in self._wanted:
            value = decode(raw.value) if raw.value else None
            record = SourceRecord(raw.partition, raw.offset, key, value, raw.timestamp_ms)
            self._waiting.setdefault(raw.partition, []).append(record)


def source_of(topic: str, keys: bytes) -> Source:
    """The kind of source that a topic is."""
    if topic == EVENTS:
        return EventsSource()
    if topic == STATE:
        return StateSource(keys)
    return PlainSource()


@cache
def first_bytes(keys: bytes) -> frozenset[bytes]:
    """Each first byte of keys as bytes: an empty key has none."""
    return frozenset(bytes((byte,)) for byte in keys)
