"""A log in memory with a decider behind it, for tests of the API that need no broker.

`MemoryLog` offers what app.api.log_ports and the topics' protocols ask for; `decide_all` is the queue agent: it decides
commands with app.domain and appends their events. Offsets of argosy.events leave gaps, as transaction markers do.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain import clusters
from app.domain.clusters import DeadLetter
from app.domain.commands import Report, ReportRuns
from app.domain.decide import decide
from app.domain.memory import MemoryState
from app.domain.records import records_of
from app.domain.state import Overlay
from app.log import codec
from app.log.dead_letters import Letter
from app.log.errors import LogUnavailable
from app.log.topics import CLUSTERS, COMMANDS, DEAD_LETTERS, EVENTS

PARTITIONS = 4
CLUSTER_PARTITIONS = 12


@dataclass(frozen=True, slots=True)
class Record:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Sent:
    offset: int


class MemorySource:
    """A reader of some partitions of a topic."""

    def __init__(self, log: "MemoryLog", topic: str, start: dict[int, int]) -> None:
        self._log = log
        self._topic = topic
        self._next = dict(start)

    async def poll(self, max_records: int, timeout_ms: int) -> Sequence[Record]:
        was_at_end = self.at_end
        found = self._fetch(max_records)
        if not found and (was_at_end or not self.at_end):
            changed = self._log.changed
            try:
                async with asyncio.timeout(timeout_ms / 1_000):
                    await changed.wait()
            except TimeoutError:
                return []
            found = self._fetch(max_records)
        return found

    @property
    def at_end(self) -> bool:
        return all(at >= self._log.end(self._topic, partition) for partition, at in self._next.items())

    def positions(self) -> dict[int, int]:
        return dict(self._next)

    async def stop(self) -> None:
        """Nothing is held."""

    def _fetch(self, max_records: int) -> list[Record]:
        found: list[Record] = []
        for partition, at in self._next.items():
            new = [each for each in self._log.records[self._topic, partition] if each.offset >= at]
            found += new[: max_records - len(found)]
            if found and found[-1].partition == partition:
                self._next[partition] = found[-1].offset + 1
            elif not new:
                self._next[partition] = max(at, self._log.end(self._topic, partition))
        return found


class MemoryLog:
    """All topics. `away`: the broker does not answer."""

    def __init__(self) -> None:
        self.records: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        self.ends: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.changed = asyncio.Event()
        self.away = False

    def end(self, topic: str, partition: int) -> int:
        return self.ends[topic, partition]

    def append(self, topic: str, partition: int, value: bytes, key: bytes | None = None, *, gap: int = 0) -> int:
        offset = self.ends[topic, partition]
        self.records[topic, partition].append(Record(partition, offset, key, value, time.time_ns() // 1_000_000))
        self.ends[topic, partition] = offset + 1 + gap
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        return offset

    async def send(self, topic: str, partition: int, value: bytes, key: bytes | None = None) -> Sent:
        await asyncio.sleep(0)
        if self.away:
            raise LogUnavailable("the broker does not answer")
        return Sent(self.append(topic, partition, value, key))

    async def bounds(self) -> dict[int, tuple[int, int]]:
        return {partition: (0, self.end(EVENTS, partition)) for partition in range(PARTITIONS)}

    async def open(self, start: dict[int, int]) -> MemorySource:
        return MemorySource(self, EVENTS, start)

    async def open_clusters_since(self, age_ms: int) -> MemorySource:
        return MemorySource(self, CLUSTERS, dict.fromkeys(range(CLUSTER_PARTITIONS), 0))

    async def open_clusters(self, start: dict[int, int]) -> MemorySource:
        return MemorySource(self, CLUSTERS, start)

    async def dead_letters(self, limit: int) -> list[Letter]:
        """Those of argosy.dead-letters."""
        return [
            Letter(record.offset, record.timestamp_ms, codec.decode_as(DeadLetter, record.value))
            for record in self.records[DEAD_LETTERS, 0][-limit:]
            if record.value is not None
        ]

    async def command_ends(self) -> dict[int, int]:
        return {partition: self.end(COMMANDS, partition) for partition in range(PARTITIONS)}

    def values(self, topic: str) -> list[object]:
        """Everything in a topic, decoded."""
        return [
            codec.decode(record.value)
            for (name, _), records in sorted(self.records.items())
            if name == topic
            for record in records
            if record.value is not None
        ]


class Reports:
    """Collects nothing: each call is a record."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def add(self, partition: int, items: list[Report]) -> Sent:
        return await self._log.send(COMMANDS, partition, codec.encode(ReportRuns(reports=tuple(items))))


class Updates:
    """Collects nothing: each call is a record."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def add(self, partition: int, items: list[clusters.ClusterUpdate]) -> Sent:
        return await self._log.send(CLUSTERS, partition, codec.encode(clusters.ClusterUpdates(updates=tuple(items))))


class Decider:
    """The queue agent of all partitions."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._states = [MemoryState() for _ in range(PARTITIONS)]
        self._next = [0] * PARTITIONS

    def decide_all(self) -> None:
        """Decides every command that was not decided yet."""
        for partition in range(PARTITIONS):
            for record in self._log.records[COMMANDS, partition][self._next[partition] :]:
                self._decide(partition, record)
                self._next[partition] += 1

    async def run(self) -> None:
        """Decides whatever comes, until it is cancelled."""
        while True:
            changed = self._log.changed
            self.decide_all()
            await changed.wait()

    def _decide(self, partition: int, record: Record) -> None:
        assert record.value is not None
        command = codec.decode(record.value)
        overlay = Overlay(self._states[partition])
        decision = decide(overlay, command, partition, record.offset, record.timestamp_ms)  # type: ignore[arg-type]
        overlay.keep()
        self._states[partition].commit(overlay, record.offset, record.timestamp_ms)
        records = records_of(
            decision,
            offset=record.offset,
            log_time_ms=record.timestamp_ms,
            command=type(command).__name__,
            encode_events=codec.encode_events,
        )
        for number, each in enumerate(records):
            is_last = number == len(records) - 1
            self._log.append(EVENTS, partition, codec.encode(each), gap=1 if is_last else 0)
