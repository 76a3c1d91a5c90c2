"""Which executor process speaks for a cluster (rule 1).

The first request of an instance is logged as BeginInstance in every partition before its reports. Inputs: cluster and
instance of a request. Output: `Instance.begins`, the vector that view `leases` must have passed before this instance is
offered leases.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from app.api.command_log import CommandLog
from app.api.errors import ApiError
from app.api.executor_api.cluster_feed import ClusterFeed
from app.api.executor_api.errors import replaced, unavailable
from app.domain.commands import BeginInstance
from app.domain.ids import format_id
from app.domain.positions import Vector


class CommandsTopic(Protocol):
    """Where argosy.commands ends."""

    async def command_ends(self) -> dict[int, int]:
        """partition -> offset after the last command."""


class Instances:
    """One per process."""

    def __init__(self, log: CommandLog, feed: ClusterFeed, topic: CommandsTopic) -> None:
        self._log = log
        self._feed = feed
        self._topic = topic
        self._begins: dict[str, tuple[bytes, asyncio.Task[Vector]]] = {}

    async def begins(self, cluster: str, instance: bytes) -> Vector:
        """Makes sure that the instance has begun in every partition, and says where. Raises SyncRefused 409 or 503."""
        state = self._feed.clusters.get(cluster)
        if state is not None and instance in state.replaced:
            raise replaced(format_id(instance))
        known = self._begins.get(cluster)
        if known is None or known[0] != instance:
            is_known = state is not None and state.instance == instance
            work = self._begun_elsewhere() if is_known else self._begin(cluster, instance)
            known = (instance, asyncio.create_task(work))
            self._begins[cluster] = known
        task = known[1]
        try:
            # A request that is given up must not take the work away from the one that is sent again.
            return await asyncio.shield(task)
        except ApiError as error:
            if self._begins.get(cluster) is known:
                del self._begins[cluster]
            raise unavailable(error.message) from error

    async def _begin(self, cluster: str, instance: bytes) -> Vector:
        command = BeginInstance(cluster=cluster, instance=instance)
        partitions = range(self._log.partitions)
        offsets = await asyncio.gather(*(self._log.send(p, command, key=cluster) for p in partitions))
        self._feed.begun(cluster, instance)
        return dict(zip(partitions, offsets, strict=True))

    async def _begun_elsewhere(self) -> Vector:
        """It has updates in argosy.clusters, so it began everywhere before; where exactly does not matter."""
        return {partition: end - 1 for partition, end in (await self._topic.command_ends()).items() if end > 0}


def passed(reached: Mapping[int, int], begins: Vector) -> set[int]:
    """The partitions in which a view has passed the begin of an instance."""
    return {partition for partition, offset in reached.items() if offset >= begins.get(partition, -1)}
