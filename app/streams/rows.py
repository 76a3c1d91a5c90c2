"""Rows: the typed rows of one table over the raw store, as they stand before a step.

Input: a store and the prefix of a table. Output: decoded rows by key. Recently used rows stay decoded, because a job
is read again at each of its transitions and decoding costs more than all else in reading.
"""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from app.log.codec import decode
from app.streams.store import Store

Row = TypeVar("Row")

_ABSENT = object()


class Rows(Generic[Row]):
    """Not changed during a step; `committed` brings it up to the store afterwards. keep: how many rows a generation
    of the cache holds."""

    def __init__(self, store: Store, prefix: bytes, keep: int) -> None:
        self._store, self._prefix, self._keep = store, prefix, keep
        self._young: dict[bytes, Row | None] = {}
        self._old: dict[bytes, Row | None] = {}

    def get(self, key: bytes) -> Row | None:
        """The row of this key."""
        row = self._young.get(key, _ABSENT)
        if row is not _ABSENT:
            return row  # type: ignore[return-value]  # not the sentinel
        row = self._old.get(key, _ABSENT)
        if row is _ABSENT:
            row = self._decoded(self._store.get([self._prefix + key])[0])
        self._remember(key, row)  # type: ignore[arg-type]  # not the sentinel
        return row  # type: ignore[return-value]  # not the sentinel

    def prefetch(self, keys: Iterable[bytes]) -> None:
        """Reads these rows in one call; `get` finds them then."""
        young, old = self._young, self._old
        missing = []
        for key in keys:
            if key in young:
                continue
            if key in old:
                self._remember(key, old[key])
            else:
                missing.append(key)
        for key, value in zip(missing, self._store.get([self._prefix + key for key in missing]), strict=True):
            # Without a limit here: what was asked for together must be found, however much it is.
            self._young[key] = self._decoded(value)

    def committed(self, changed: Mapping[bytes, Row | None]) -> None:
        """These rows were written to the store."""
        self._young.update(changed)
        self._age()

    def _decoded(self, value: bytes | None) -> Row | None:
        return None if value is None else decode(value)  # type: ignore[return-value]  # the table holds its own rows only

    def _remember(self, key: bytes, row: Row | None) -> None:
        self._young[key] = row
        self._age()

    def _age(self) -> None:
        if len(self._young) > self._keep:
            self._old, self._young = self._young, {}
