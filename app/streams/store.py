"""The local store of one tenure: one RocksDB that holds all changelog tables of a partition, and what is derived from
them.

Keys: one byte of prefix per table, then the table's own key; prefix 0 is the store's own (how far it came, when, of
which topics). A table may have a local index (`Changelog.entries`): keys that stand here only, are written with the
rows and come back with a restore.
"""

import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

_APPLIED = b"\0a"
"""+ prefix of the table: offset of the last changelog record that the store holds"""
_STAMP = b"\0s"
"""ms since 1970 at which the store held all there was"""
_TOPIC = b"\0t"
"""+ prefix of the table: Kafka topic id of its changelog"""
_INT = struct.Struct(">q")

_NOT_LOGGED = WriteOptions()
_NOT_LOGGED.disable_wal = True

BLOCK_CACHE_BYTES = 128 << 20
"""of all stores of the process together"""
WRITE_BUFFER_BYTES = 8 << 20
"""of one store; two may be full"""
_BLOCKS = Cache(BLOCK_CACHE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changelog:
    """A table of a tenure: its compacted topic, its prefix in the store, and what is derived from its rows.

    entries(key, value) are the keys of the row's local index entries (each with a prefix byte of its own)."""

    topic: str
    prefix: bytes
    entries: Callable[[bytes, bytes], Sequence[bytes]] | None = None


@dataclass(slots=True, kw_only=True)
class Writes:
    """Changes of the store that become visible together. Keys are whole (with prefix); None deletes."""

    rows: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    applied: dict[bytes, int] = field(default_factory=dict)
    """prefix -> changelog offset"""
    stamp_ms: int | None = None


class Store:
    """Not thread-safe by intent: the restore thread is joined before the event loop touches it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        options, blocks = Options(raw_mode=True), BlockBasedOptions()
        blocks.set_block_cache(_BLOCKS)
        blocks.set_bloom_filter(10, False)
        options.create_if_missing(True)
        options.set_write_buffer_size(WRITE_BUFFER_BYTES)
        options.set_keep_log_file_num(2)
        options.set_block_based_table_factory(blocks)
        self._db = Rdict(str(self.path), options)

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of these keys, None where there is none."""
        return self._db.get(list(keys)) if keys else []

    def keys(self, start: bytes, prefix: bytes) -> Iterator[bytes]:
        """Keys that begin with `prefix`, ascending, from `start` on."""
        for key in self._db.keys(from_key=start):
            if not key.startswith(prefix):
                return
            yield key

    def items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with `prefix`, ascending, and their values."""
        for key, value in self._db.items(from_key=prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def write(self, writes: Writes, *, logged: bool = True) -> None:
        """All of it or nothing, also when the process is killed in the middle.

        Not logged: a kill may take the latest of these writes back; `flush` comes before the next logged one."""
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in writes.rows:
            if value is None:
                delete(key)
            else:
                put(key, value)
        for prefix, offset in writes.applied.items():
            put(_APPLIED + prefix, _INT.pack(offset))
        if writes.stamp_ms is not None:
            put(_STAMP, _INT.pack(writes.stamp_ms))
        self._db.write(batch, None if logged else _NOT_LOGGED)

    def flush(self) -> None:
        """What was written without the log stands on disk."""
        self._db.flush()

    def applied(self, prefix: bytes) -> int:
        """Offset of the last record of this table's changelog that the store holds; -1 = none."""
        return self._number(_APPLIED + prefix, -1)

    @property
    def stamp_ms(self) -> int:
        """When the store last held all there was; 0 = never."""
        return self._number(_STAMP, 0)

    def topics(self, prefixes: Iterable[bytes]) -> list[str]:
        """The topic ids that the rows came from, "" where there are none."""
        return [(value or b"").decode() for value in self.get([_TOPIC + prefix for prefix in prefixes])]

    def begin(self, topics: dict[bytes, str]) -> None:
        """Empties the store for changelogs with these topic ids (by prefix)."""
        self.close()
        shutil.rmtree(self.path)
        self._open()
        self.write(Writes(rows=[(_TOPIC + prefix, topic.encode()) for prefix, topic in topics.items()]))

    def close(self) -> None:
        self._db.close()

    def _number(self, key: bytes, missing: int) -> int:
        value = self._db.get(key)
        return missing if value is None else int(_INT.unpack(value)[0])
