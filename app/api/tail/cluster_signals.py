"""Which clusters the log has something new for: the long polls of executors wait here.

Input: leases and stops in events records. Output: per cluster the last command (partition -> offset) that concerns it,
and a wake-up.
"""

import asyncio
from collections.abc import Mapping

from app.domain.events import EventsRecord


class ClusterSignals:
    """The bell of each cluster."""

    def __init__(self) -> None:
        self._latest: dict[str, dict[int, int]] = {}
        self._bells: dict[str, asyncio.Event] = {}

    def on_record(self, partition: int, record: EventsRecord) -> None:
        """A record of the tail."""
        for cluster in {lease.cluster for lease in record.leases} | {stop.cluster for stop in record.stops}:
            self._latest.setdefault(cluster, {})[partition] = record.offset
            bell = self._bells.pop(cluster, None)
            if bell is not None:
                bell.set()

    def latest(self, cluster: str) -> Mapping[int, int]:
        """The last command of each partition that concerned the cluster, as far as the tail has seen."""
        return dict(self._latest.get(cluster, {}))

    async def changed(self, cluster: str, known: Mapping[int, int], *, timeout_s: float) -> bool:
        """Waits until `latest(cluster)` differs from `known`; False when the time is over first."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._latest.get(cluster, {}) == known:
                    await self._bells.setdefault(cluster, asyncio.Event()).wait()
        except TimeoutError:
            return False
        return True
