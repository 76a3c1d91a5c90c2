"""The topics that the API reads, on Kafka: readers and ends of argosy.events, argosy.clusters and argosy.commands."""

import asyncio
import time

from app.log.admin import topic_bounds
from app.log.dead_letters import Letter, list_dead_letters
from app.log.offsets_since import offsets_since
from app.log.reader import LogReader
from app.log.topics import CLUSTERS, COMMANDS, EVENTS


class KafkaTopics:
    """Implements the topics' protocols of app.api.assembly. All methods raise LogUnavailable."""

    def __init__(self, bootstrap: str, *, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """Of argosy.events: partition -> (first offset that is kept, offset after the last one)."""
        bounds = await asyncio.to_thread(topic_bounds, self._bootstrap, EVENTS)
        return {partition: (each.earliest, each.end) for partition, each in bounds.items()}

    async def open(self, start: dict[int, int]) -> LogReader:
        """A started reader of argosy.events."""
        return await self._reader(EVENTS, start)

    async def open_clusters_since(self, age_ms: int) -> LogReader:
        """A started reader of argosy.clusters from the first records that are younger."""
        since_ms = time.time_ns() // 1_000_000 - age_ms
        return await self.open_clusters(await asyncio.to_thread(offsets_since, self._bootstrap, CLUSTERS, since_ms))

    async def open_clusters(self, start: dict[int, int]) -> LogReader:
        """A started reader of argosy.clusters from these offsets."""
        return await self._reader(CLUSTERS, start)

    async def command_ends(self) -> dict[int, int]:
        """partition -> offset after the last command."""
        bounds = await asyncio.to_thread(topic_bounds, self._bootstrap, COMMANDS, read_committed=False)
        return {partition: each.end for partition, each in bounds.items()}

    async def dead_letters(self, limit: int) -> list[Letter]:
        """The last dead letters, oldest first."""
        return await asyncio.to_thread(list_dead_letters, self._bootstrap, limit)

    async def _reader(self, topic: str, start: dict[int, int]) -> LogReader:
        reader = LogReader(self._bootstrap, topic, start=start, client_id=self._client_id)
        await reader.start()
        return reader
