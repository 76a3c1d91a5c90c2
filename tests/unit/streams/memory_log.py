"""A queue agent without Kafka: commands in a list, a producer that keeps what it is given, a real store and real
deciding."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from agents.queue import Decide, decide_step
from app.domain.rows import PositionRow
from app.domain.state import FIRST_POSITION
from app.streams.claims import Claim, Source
from app.streams.metrics import StreamMetrics
from app.streams.producer import KeyValue, Place
from app.streams.step import LOG_APPEND_TIME, Step, StepLimits
from app.streams.store import Store
from app.streams.tenure import Tenure
from tables.state import PartitionState


class KeptLog:
    """Stands where the transactional producer stands."""

    def __init__(self) -> None:
        self.records: dict[str, list[KeyValue]] = {}
        self.transactions = 0

    async def commit(self, outgoing: Mapping[Place, Sequence[KeyValue]]) -> dict[Place, int]:
        self.transactions += 1
        for (topic, _), records in outgoing.items():
            self.records.setdefault(topic, []).extend(records)
        return {place: len(self.records[place[0]]) - 1 for place in outgoing}

    def values(self, topic: str) -> list[bytes]:
        return [value or b"" for _, value in self.records.get(topic, [])]

    def latest(self, topic: str) -> dict[bytes, bytes]:
        """What compaction would leave."""
        rows: dict[bytes, bytes] = {}
        for key, value in self.records.get(topic, []):
            if value is None:
                rows.pop(key or b"", None)
            else:
                rows[key or b""] = value
        return rows


class MemoryTenure(Tenure):
    """A tenure that is ready, of a partition whose log is kept in memory."""

    def __init__(self, directory: Path, partition: int) -> None:
        Claim.__init__(self, Source("argosy.commands", partition))
        self.position: PositionRow = FIRST_POSITION
        self.metrics = StreamMetrics(CollectorRegistry())
        self.store = Store(directory / "store")
        self.view = PartitionState(self.store)
        self.log = KeptLog()
        self.producer: Any = self.log
        self.ready = self.sought = True
        self._offset = 0

    def feed(self, value: bytes, timestamp_ms: int, key: bytes = b"q") -> None:
        """One command record."""
        record = SimpleNamespace(
            offset=self._offset, timestamp=timestamp_ms, timestamp_type=LOG_APPEND_TIME, key=key, value=value
        )
        self._offset += 1
        self.given([record])
        self.received(SimpleNamespace(message=SimpleNamespace(records=[record])))

    async def step(self, decide: Decide, limits: StepLimits) -> Step:
        """One step over what is in hand."""
        step = Step(self, limits, asyncio.Lock())
        async with step:
            await decide_step(step, decide)
        return step

    async def all_steps(self, decide: Decide, chance: random.Random) -> None:
        """Steps of random sizes until nothing is in hand."""
        while self.backlog and self.live:
            await self.step(decide, StepLimits(records=chance.randint(1, 9)))

    def reopen(self) -> None:
        """As after a restart with the store kept."""
        self.store.close()
        self.store = Store(self.store.path)
        self.view = PartitionState(self.store)

    def held(self) -> dict[bytes, bytes]:
        """The rows and index entries of the store."""
        return {key: value for key, value in self.store._db.items() if key[:1] != b"\0"}
