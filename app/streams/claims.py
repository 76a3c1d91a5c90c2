"""Claims: what this process must know of a partition that the group gave it, before it may look at one record.

Inputs: assignments and revocations from Faust's signals. Output: per (topic, partition) a `Claim` that says whether
records may come, from which offset, and how many more. The protocol is eager: every rebalance ends all claims, and
each assigned partition begins a new one.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

GRACE_S = 5.0
"""how long a step, a batch or a restore may outlive the revocation; the whole group stands still meanwhile"""
IN_HAND_RECORDS_MAX = 1_000
IN_HAND_BYTES_MAX = 32 << 20
"""records of one partition that were fetched and not yet taken: at the limit nothing more is fetched (a record has at
most 16 MiB)"""


class Source(NamedTuple):
    """A partition of a topic that is consumed; equal, as a key, to Faust's TP."""

    topic: str
    partition: int


class Claim(ABC):
    """One assigned partition. Fetched records carry their claim, so that what comes too late finds it ended."""

    bundled = False
    """records that are fetched together come as one Faust event (`event.message.records`)"""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.ready = False
        """it is known where to begin"""
        self.sought = False
        """the consumer stands there"""
        self.ended = False
        self.quarantined: str | None = None
        """why no record of this partition is taken any more, until a restart"""
        self.busy = False
        """an actor is turning the backlog into steps"""
        self.idle = asyncio.Event()
        """nothing taken from the backlog is being worked on"""
        self.idle.set()
        self.backlog: deque[Any] = deque()
        """Faust events that were received and not taken"""
        self.given_offset = -1
        """offset of the last record that the consumer gave out"""
        self.in_hand_records = 0
        self.in_hand_bytes = 0

    @property
    def partition(self) -> int:
        return self.source.partition

    @property
    @abstractmethod
    def next_offset(self) -> int:
        """Where records begin, once ready."""

    @property
    def live(self) -> bool:
        """Records may still be worked on."""
        return not self.ended and self.quarantined is None

    @property
    def hungry(self) -> bool:
        """More records may be fetched."""
        return (
            self.sought
            and self.live
            and self.in_hand_records < IN_HAND_RECORDS_MAX
            and self.in_hand_bytes < IN_HAND_BYTES_MAX
        )

    def sift(self, records: list[Any]) -> list[Any]:
        """Those of fetched records that this reader has any use for: the others cost it no more than their fetch."""
        return records

    def given(self, records: list[Any]) -> None:
        """The consumer fetched these (aiokafka ConsumerRecords) and hands them to Faust."""
        self.given_offset = records[-1].offset
        self.in_hand_records += len(records)
        self.in_hand_bytes += sum(len(record.value or b"") for record in records)

    def received(self, event: Any) -> None:
        """An agent got a record of this claim."""
        if self.live:
            self.backlog.append(event)

    def took(self, event: Any) -> None:
        """An event of the backlog is being worked on."""
        self._moved(event.message, -1)

    def _moved(self, record: Any, count: int) -> None:
        """So many records like this one came into the hand."""
        self.in_hand_records += count
        self.in_hand_bytes += count * len(record.value or b"")

    def quarantine(self, why: str) -> None:
        """Nothing of this partition is worked on until somebody looked and restarted; other partitions go on."""
        self.quarantined = why
        self.backlog.clear()

    @abstractmethod
    async def end(self) -> None:
        """The partition is given up: when this returns, nothing of it is written any more."""


class Claims(Mapping[Source, Claim]):
    """The claims of this process."""

    def __init__(self) -> None:
        self._claims: dict[Source, Claim] = {}
        self._makers: dict[str, Callable[[Source], Claim]] = {}
        self.assigned = False
        """the group has answered at least once"""

    def __getitem__(self, source: Source) -> Claim:
        return self._claims[source]

    def __iter__(self) -> Iterator[Source]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def make_with(self, topic: str, make: Callable[[Source], Claim]) -> None:
        """Partitions of this topic are claimed by `make`. Raises ValueError when the topic has a maker already."""
        if topic in self._makers:
            raise ValueError(f"{topic} is claimed twice")
        self._makers[topic] = make

    async def on_assigned(self, assigned: Iterable[tuple[str, int]]) -> None:
        """The group gave us these partitions, and no others."""
        await self.end()
        for source in (Source(*tp) for tp in assigned):
            if source.topic in self._makers:
                self._claims[source] = self._makers[source.topic](source)
        self.assigned = True

    async def end(self) -> None:
        """Everything is taken away, or the process stops."""
        claims, self._claims = self._claims, {}
        await asyncio.gather(*(claim.end() for claim in claims.values()))

    def troubles(self) -> list[str]:
        """Why this process is not ready, one line each; empty = ready."""
        if not self.assigned:
            return ["the group has not assigned partitions yet"]
        found = []
        for (topic, partition), claim in sorted(self._claims.items()):
            if claim.quarantined is not None:
                found.append(f"{topic} partition {partition} is quarantined: {claim.quarantined}")
            elif not claim.ready:
                found.append(f"{topic} partition {partition} is being restored")
        return found
