"""The latest events of one partition, from a known position to the present without a hole.

Input: events records in the order of the log. Output: blocks of a job set above a position; from where on the buffer is
complete.
"""

import time
from collections import deque
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from app.api.coordinates import WHOLE_COMMAND, Reached
from app.domain.events import Block, EventsRecord

_RECORD_OVERHEAD_BYTES = 400


class HoleFound(Exception):
    """Records of argosy.events do not follow each other: something was lost, and nothing after it may be believed."""


class Held(NamedTuple):
    """What the buffer keeps of a record. source_offset: its own in argosy.events; received_s: monotonic."""

    offset: int
    first_ordinal: int
    reached: Reached
    log_time_ms: int
    blocks: tuple[Block, ...]
    size: int
    source_offset: int
    received_s: float


class PartitionBuffer:
    """Bounded by bytes; the oldest records go first."""

    def __init__(self, partition: int, bytes_max: int) -> None:
        self.partition = partition
        self.reached: Reached | None = None
        """the last record that was read; None before the first"""
        self.complete_from: tuple[int, int] | None = None
        """(offset, ordinal): the buffer holds every event from here on; None before the first record"""
        self._bytes_max = bytes_max
        self._bytes = 0
        self._held: deque[Held] = deque()

    def begin_empty(self) -> None:
        """The partition has never held a record."""
        self.complete_from = (0, 0)

    def add(self, record: EventsRecord, source_offset: int) -> Held:
        """Takes the next record. Raises HoleFound."""
        self._check_follows(record)
        ordinal = WHOLE_COMMAND if record.last else record.first_ordinal + record.count - 1
        size = _RECORD_OVERHEAD_BYTES + sum(len(block.body) for block in record.blocks)
        held = Held(
            record.offset,
            record.first_ordinal,
            Reached(record.offset, ordinal),
            record.log_time_ms,
            record.blocks,
            size,
            source_offset,
            time.monotonic(),
        )
        if self.complete_from is None:
            self.complete_from = (record.offset, record.first_ordinal)
        self.reached = held.reached
        self._held.append(held)
        self._bytes += size
        while self._bytes > self._bytes_max and len(self._held) > 1:
            gone = self._held.popleft()
            self._bytes -= gone.size
            self.complete_from = gone.reached.next
        return held

    def covers(self, reached: Reached) -> bool:
        """Whether everything after `reached` is held here."""
        return self.complete_from is not None and reached.next >= self.complete_from

    def after(self, reached: Reached) -> Iterator[Held]:
        """Records with something above `reached`, in order."""
        newest_first = takewhile(lambda held: held.reached > reached, reversed(self._held))
        yield from reversed(list(newest_first))

    def _check_follows(self, record: EventsRecord) -> None:
        if self.reached is None:
            return
        expected = self.reached.next
        if (record.offset, record.first_ordinal) != expected:
            raise HoleFound(
                f"argosy.events, partition {self.partition}: expected event {expected[1]} of command {expected[0]}, "
                f"found {record.first_ordinal} of {record.offset}"
            )
