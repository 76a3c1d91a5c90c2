"""The surface of views: all that a view says of itself, and all that it may do to its tables.

A view is one value of `View`: name, version, topic, tables, and a pure function from records to row operations. The
platform reads the topic, cuts it into batches (any cut gives the same rows), runs the operations and the view's
position in one transaction, creates tables and weekly partitions, and shows `<view>_v<version>_<part>` as
`<view>_<part>`. Contract tests for any view: app.views.contract.

    VIEW = View(name="depth", version=1, topic=EVENTS, metadata=METADATA, rows=rows)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from msgspec import Struct
from sqlalchemy import MetaData, Table

from app.domain.events import Block, Event, EventsRecord
from app.log.codec import decode_events
from app.log.topics import EVENTS

NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
WEEK_MS = 7 * 24 * 3_600_000
FIRST_MONDAY_MS = 946_857_600_000
"""2000-01-03, where weeks are counted from"""


class SourceRecord:
    """A record of the view's topic, decoded. value is None for a tombstone of a compacted topic.

    log_time_ms: of the command (argosy.events), else the time that the broker gave the record."""

    __slots__ = ("_blocks", "key", "log_time_ms", "offset", "partition", "value")

    def __init__(self, partition: int, offset: int, key: bytes, value: Struct | None, log_time_ms: int) -> None:
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value
        self.log_time_ms = log_time_ms
        self._blocks: list[tuple[Block, list[Event]]] | None = None

    def blocks(self) -> list[tuple[Block, list[Event]]]:
        """The events of an EventsRecord by job set, decoded once for all views of the app."""
        if self._blocks is None:
            assert isinstance(self.value, EventsRecord), "only argosy.events has blocks"
            self._blocks = [(block, decode_events(block.body)) for block in self.value.blocks]
        return self._blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records in order within each partition. Of the partitions `anew` they are all that there is: what the tables hold
    of them from before is void (compacted topics only)."""

    records: Sequence[SourceRecord]
    anew: frozenset[int] = frozenset()


Row = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """New rows; one that is there already is an error."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """Rows that replace those of the same key; all columns that are given are set."""

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Rows of these keys go; one that is not there is no error."""

    table: str
    key: tuple[str, ...]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intern:
    """Rows that never change, written once: the first column is the key. The platform remembers what stands already."""

    table: str
    columns: tuple[str, ...]
    rows: Mapping[object, Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """New rows in the binary form of COPY, header and trailer included: for views that must be fast."""

    table: str
    columns: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """One statement for the whole batch, as set-based as it can be. purpose names it in errors."""

    purpose: str
    statement: str
    arguments: tuple[object, ...] = ()


Operation = Insert | Upsert | Delete | Intern | Copy | Execute


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """A table partitioned by a log time, one partition a week, created ahead and dropped when it is older than the
    log is kept. indexes: statements with `{table}` for the partition."""

    parent: str
    indexes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    retention_days: int = 30


@dataclass(frozen=True, kw_only=True)
class View:
    """A view. app: views of one app share a process and its transactions (by default the view's own name).

    keys: first bytes of the keys that it wants (compacted topics; empty = all). ddl: statements after the tables,
    indexes: after those, or last in a rebuild; both run once, when the version is installed, so changing them is a new
    version. session: statements for each connection that writes (repeatable)."""

    name: str
    version: int
    topic: str
    metadata: MetaData
    rows: Callable[[Batch], Sequence[Operation]]
    app: str = ""
    keys: bytes = b""
    ddl: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    weekly: tuple[Weekly, ...] = field(default=())

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"view {self.name!r}: a name is a-z, 0-9 and _, at most 30, beginning with a letter")
        if not NAME.fullmatch(self.app_name):
            raise ValueError(f"view {self.name}: its app {self.app!r} must be named like a view")
        if self.version < 1:
            raise ValueError(f"view {self.name}: versions begin at 1")
        for table in self.metadata.tables:
            if table != self.prefix and not table.startswith(f"{self.prefix}_"):
                raise ValueError(
                    f"view {self.name}: its table {table!r} must be called {self.prefix} or {self.prefix}_..."
                )

    @property
    def prefix(self) -> str:
        """What the names of its tables begin with."""
        return f"{self.name}_v{self.version}"

    @property
    def app_name(self) -> str:
        return self.app or self.name

    @property
    def on_events(self) -> bool:
        """Its records are EventsRecords; positions are those of the commands."""
        return self.topic == EVENTS

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Its tables, those that are referred to first."""
        return tuple(self.metadata.sorted_tables)

    def stable_name(self, table: str) -> str:
        """The name under which queries see a table, whatever version is in force."""
        return self.name + table.removeprefix(self.prefix)


def week_of(time_ms: int) -> int:
    """The Monday (UTC, ms since 1970) with which the week of a time begins."""
    return time_ms - (time_ms - FIRST_MONDAY_MS) % WEEK_MS
