"""Whole steps: rows of argosy.state are held back until the position row of their step has come.

Input: records of one or more partitions in offset order, cut anywhere. Output: per partition the latest value of
every key of the steps that are complete, and the position row of the last of them. A reader that applies only those
never sees half of what one transaction wrote.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from app.domain.rows import POSITION_KEY


class StateRecord(Protocol):
    """A record of argosy.state."""

    @property
    def partition(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class WholeSteps(NamedTuple):
    """Steps of one partition, folded. position: the bytes of the last position row."""

    partition: int
    rows: dict[bytes, bytes | None]
    position: bytes


class Steps:
    """Buffers of all partitions."""

    def __init__(self) -> None:
        self._open: dict[int, dict[bytes, bytes | None]] = {}

    @property
    def held_back(self) -> int:
        """Rows whose step is not complete yet."""
        return sum(map(len, self._open.values()))

    def add(self, records: Iterable[StateRecord]) -> list[WholeSteps]:
        """Takes records in the order of the log; returns what they complete, at most one entry per partition."""
        ready: dict[int, dict[bytes, bytes | None]] = {}
        positions: dict[int, bytes] = {}
        opened = self._open
        for record in records:
            partition, key, value = record.partition, record.key, record.value
            rows = opened.get(partition)
            if rows is None:
                rows = opened[partition] = {}
            if key != POSITION_KEY:
                if key is not None:
                    rows[key] = value
                continue
            if value is None:
                continue
            done = ready.get(partition)
            if done is None:
                ready[partition] = rows
                opened[partition] = {}
            elif rows:
                done.update(rows)
                rows.clear()
            positions[partition] = value
        return [WholeSteps(partition, rows, positions[partition]) for partition, rows in ready.items()]
