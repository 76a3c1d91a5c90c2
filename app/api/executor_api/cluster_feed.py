"""What argosy.clusters says, as far as the API needs it: which instance spoke last for a cluster, and whether its nodes
are whole.

Input: records of argosy.clusters, from 15 minutes before the start to the present. Output: `ClusterState` by cluster.
The order of the log decides which instance is newer: one that appears after another has replaced it, whatever comes of
the other later.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Protocol

from app.api.log_ports import LogRecord, PositionedSource
from app.domain.clusters import ClusterUpdate, ClusterUpdates
from app.log import codec
from app.log.errors import LogUnavailable

HISTORY_MS = 15 * 60_000
REPLACED_KEPT = 64
POLL_RECORDS_MAX = 500
POLL_TIMEOUT_MS = 200
RETRY_INTERVAL_S = 1.0

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class ClusterState:
    """generation: the last one that was begun (0 = none); complete: it was closed with the right number of nodes.

    wrong: it was closed with a wrong one. names: its nodes so far."""

    instance: bytes
    replaced: list[bytes] = field(default_factory=list)
    sequence: int = 0
    generation: int = 0
    complete: bool = False
    wrong: bool = False
    names: set[str] = field(default_factory=set)

    @property
    def needs_nodes(self) -> bool:
        """Whether the executor has to send a whole generation: none was begun, or the last one does not add up."""
        return self.generation == 0 or self.wrong

    def begin(self, instance: bytes) -> None:
        """Another instance speaks from here on."""
        self.replaced = [*self.replaced, self.instance][-REPLACED_KEPT:]
        self.instance, self.sequence, self.generation = instance, 0, 0
        self.complete = self.wrong = False
        self.names = set()

    def take(self, update: ClusterUpdate) -> None:
        """An update of the instance that speaks; one that is older than what was seen changes nothing."""
        if update.sequence < self.sequence:
            return
        self.sequence = update.sequence
        if not (update.changed or update.removed or update.complete_count is not None):
            return
        if update.generation != self.generation:
            self.generation = update.generation
            self.complete = self.wrong = False
            self.names = set()
        self.names.update(node.name for node in update.changed)
        self.names.difference_update(update.removed)
        if update.complete_count is not None:
            self.complete = len(self.names) == update.complete_count
            self.wrong = not self.complete


class ClusterFeed:
    """Follows argosy.clusters for as long as the process lives."""

    def __init__(self, topic: "ClustersTopic") -> None:
        self._topic = topic
        self.clusters: dict[str, ClusterState] = {}
        self.ready = False
        self._next: dict[int, int] = {}
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Reads until it is cancelled; a broker that stays away is waited for. Raises Undecodable, OffsetsGone."""
        while True:
            try:
                await self._follow()
            except LogUnavailable as error:
                self.ready = False
                logger.warning("argosy.clusters cannot be read now: %s", error)
                await asyncio.sleep(RETRY_INTERVAL_S)

    async def _follow(self) -> None:
        if self._next:
            source = await self._topic.open_clusters(self._next)
        else:
            source = await self._topic.open_clusters_since(HISTORY_MS)
        self._next = {**source.positions(), **self._next}
        try:
            while True:
                if not self.ready and source.at_end:
                    self.ready = True
                for record in await source.poll(POLL_RECORDS_MAX, POLL_TIMEOUT_MS):
                    self.on_record(record)
        finally:
            await source.stop()

    def on_record(self, record: LogRecord) -> None:
        """A record of the topic, in the order of its partition."""
        self._next[record.partition] = record.offset + 1
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        if record.value is None:
            return
        value = codec.decode(record.value)
        if isinstance(value, ClusterUpdates):
            for update in value.updates:
                self._take(update)

    async def passed(self, partition: int, offset: int, *, timeout_s: float) -> bool:
        """Waits until a record was read; False when the time is over first."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._next.get(partition, 0) <= offset:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def begun(self, cluster: str, instance: bytes) -> None:
        """This process has logged that an instance begins; its updates will follow."""
        state = self.clusters.get(cluster)
        if state is None:
            self.clusters[cluster] = ClusterState(instance=instance)
        elif state.instance != instance:
            state.begin(instance)

    def _take(self, update: ClusterUpdate) -> None:
        state = self.clusters.get(update.cluster)
        if state is None:
            state = self.clusters[update.cluster] = ClusterState(instance=update.instance)
        if update.instance in state.replaced:
            return
        if update.instance != state.instance:
            state.begin(update.instance)
        state.take(update)


class ClustersTopic(Protocol):
    """How the feed gets at argosy.clusters."""

    async def open_clusters_since(self, age_ms: int) -> PositionedSource:
        """A started reader of all partitions from the first records that are younger than this."""

    async def open_clusters(self, start: dict[int, int]) -> PositionedSource:
        """A started reader of all partitions from these offsets."""
