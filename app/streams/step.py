"""A step: some consecutive commands of one partition, and the one transaction that applies them.

Inputs: the backlog of a tenure. Outputs: records for any topics, changed rows of the tenure's tables and the
position, committed together; then the same rows in the local store; only then are the commands acknowledged to Faust.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from app.domain.rows import PositionRow
from app.log.codec import encode
from app.streams.exits import Exit, leave
from app.streams.producer import KeyValue, Place, TransactionFailedError
from app.streams.store import Changelog, Store, Writes

if TYPE_CHECKING:
    from app.streams.tenure import Handed, Tenure

log = logging.getLogger(__name__)

LOG_APPEND_TIME = 1
"""Kafka's timestamp type of topics with message.timestamp.type=LogAppendTime"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLimits:
    """When a step is full; it must be over well before a revocation loses patience (GRACE_S of app.streams.claims)."""

    records: int = 500
    bytes: int = 2 << 20
    items: int = 2_000
    seconds: float = 0.2


class Record(NamedTuple):
    """A command record: its offset, key, value, the broker's time and the log time (running maximum), both in ms
    since 1970."""

    offset: int
    key: bytes
    value: bytes
    timestamp_ms: int
    log_time_ms: int


@dataclass(slots=True, kw_only=True)
class Changes:
    """Rows of one table that a step writes, in order (None deletes), and keys of the local index that go or come."""

    table: Changelog
    rows: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    entries: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    """whole keys; None goes, b"" comes"""

    def add(self, key: bytes, value: bytes | None, was: Sequence[bytes], now: Sequence[bytes]) -> None:
        """A row whose index entries were and now are these. A row that loses one is deleted first, so that a restore
        sees it."""
        gone = [(entry, None) for entry in was if entry not in now]
        if gone and value is not None:
            self.rows.append((key, None))
        self.entries += gone
        self.entries += [(entry, b"") for entry in now if entry not in was]
        self.rows.append((key, value))


class Step:
    """Taken record by record until it is full; then committed once. As a context manager it quarantines the partition
    when deciding or encoding fails, and ends the process when its commands were forgotten."""

    def __init__(self, tenure: "Tenure", limits: StepLimits, turn: asyncio.Lock) -> None:
        self.tenure = tenure
        self.turn = turn
        """to be held while taking and deciding: one processor has one decider, or all steps would take as long as
        all of them"""
        self.position: PositionRow = tenure.position
        """the partition's position before this step"""
        self.log_time_ms = self._before_ms = tenure.position.log_time_ms
        self._taken: list[Handed] = []
        self.committed = False
        self._limits = limits
        self._bytes = self._items = 0
        self._until = 0.0

    @property
    def partition(self) -> int:
        return self.tenure.partition

    @property
    def _source(self) -> str:
        return f"{self.tenure.source.topic} partition {self.partition}"

    @property
    def store(self) -> Store:
        return self.tenure.store

    @property
    def view(self) -> Any:
        """What the leading table opened over the store of this tenure (TransactionalTable.opens)."""
        return self.tenure.view

    @property
    def empty(self) -> bool:
        """No record was taken, or all were put back."""
        return not self._taken

    @property
    def last_offset(self) -> int:
        """Offset of the record taken last; the position's before the first."""
        return self.position.offset + len(self._taken)

    @property
    def events(self) -> list[Any]:
        """Faust events to acknowledge when the step is committed."""
        return [handed.event for handed in self._taken if handed.event is not None]

    @property
    def more_waits(self) -> bool:
        """Further commands of this partition are here already."""
        return self.tenure.in_hand_records > 0

    def take(self) -> Record | None:
        """The next command; None when there is none or the step is full. Leaves the process at a hole."""
        limits, tenure, now = self._limits, self.tenure, time.monotonic()
        if not self._taken:
            self._until = now + limits.seconds
        full = (
            len(self._taken) >= limits.records
            or self._bytes >= limits.bytes
            or self._items >= limits.items
            or now >= self._until
        )
        if not tenure.backlog or not tenure.live or (full and self._taken):
            return None
        handed = tenure.take()
        record, due = handed.record, self.last_offset + 1
        if record.offset != due:
            leave(Exit.HOLE, f"hole in {self._source}: offset {record.offset} where {due} was due")
        if record.timestamp_type != LOG_APPEND_TIME:
            leave(
                Exit.HOLE, f"{self._source} needs message.timestamp.type=LogAppendTime: see argosy-admin topics apply"
            )
        self._taken.append(handed)
        value = record.value or b""
        self._bytes += len(value)
        self._before_ms = self.log_time_ms
        self.log_time_ms = max(self.log_time_ms, record.timestamp)
        return Record(record.offset, record.key or b"", value, record.timestamp, self.log_time_ms)

    def put_back(self) -> None:
        """The record taken last belongs to a later step."""
        self.tenure.give_back(self._taken.pop())
        self.log_time_ms = self._before_ms
        self._items = self._limits.items

    def spend(self, items: int) -> None:
        """Counts items of the record taken last against the step's limit."""
        self._items += items

    async def commit(
        self,
        sends: Mapping[Place, Sequence[KeyValue]],
        changes: Sequence[Changes],
        position_key: bytes,
        position: PositionRow,
    ) -> None:
        """One transaction: `sends`, then the changed rows of each table; in the table given last the position row comes
        after all of them.

        Then the local store. An error leaves the process: never a retry by hand."""
        assert position.offset == self.last_offset, "a step commits the records that it took"
        tenure, started = self.tenure, time.monotonic()
        leading = changes[-1]
        leading.rows.append((position_key, encode(position)))
        outgoing: dict[Place, Sequence[KeyValue]] = dict(sends)
        for change in changes:
            if change.rows:
                outgoing[change.table.topic, tenure.partition] = change.rows
        owned_ms = int(time.time() * 1000)
        try:
            offsets = await tenure.producer.commit(outgoing)
        except TransactionFailedError as error:
            leave(Exit.FAILED, f"partition {tenure.partition}: {error}", error)
        committed = time.monotonic()
        try:
            # After the commit: the store is never ahead of the log.
            self._write(changes, offsets, owned_ms)
        except Exception as error:
            leave(Exit.FAILED, f"partition {tenure.partition}: the local store failed: {error}", error)
        tenure.position = position
        self.committed = True
        tenure.metrics.committed(tenure.partition, len(self._taken), committed - started, position.offset)

    def _write(self, changes: Sequence[Changes], offsets: dict[Place, int], owned_ms: int) -> None:
        writes = Writes(stamp_ms=owned_ms)
        for change in changes:
            prefix = change.table.prefix
            writes.rows += [(prefix + key, value) for key, value in change.rows]
            writes.rows += change.entries
            offset = offsets.get((change.table.topic, self.tenure.partition))
            if offset is not None:
                writes.applied[prefix] = offset
        self.store.write(writes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            at = max(self.last_offset, self.position.offset + 1)
            log.error("partition %d is quarantined at command %d", self.partition, at, exc_info=error)
            self.tenure.quarantine(f"command {at}: {type(error).__name__}: {error}")
            return True
        if error is None and not self.empty and not self.committed:
            leave(
                Exit.UNCOMMITTED,
                f"partition {self.partition}: {len(self._taken)} commands were taken and not committed",
            )
        return False
