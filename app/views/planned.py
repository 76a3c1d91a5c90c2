"""A batch on its way: the haul that it came in, and what it will write.

Input: records that whoever reads the log hands over. Output: values; nothing is done here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.views.source import RawRecord, Saved
from app.views.writer import Stand, ViewWrite


class Haul(Protocol):
    """Records of partitions that this process owns at the moment."""

    @property
    def records(self) -> Sequence[RawRecord]: ...

    def live(self) -> bool:
        """Whether they may still be written: the partitions have not been taken away."""

    def done(self, written: bool) -> None:
        """They stand in the database, or they will not be written by this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """Where source and views were, in some partitions."""

    saved: Saved
    stands: dict[str, dict[int, Stand]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a batch writes, and how to go back before it."""

    writes: tuple[ViewWrite, ...]
    before: Before
    weeks: frozenset[int]
    records: int
    events: int
    positions: dict[int, int]
    log_time_ms: int
