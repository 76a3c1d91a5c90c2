"""How long each cluster has been silent, counted so that no outage of ours ends the jobs of others.

Rule (DESIGN.md 7): silence counts on this process's monotonic clock, anew with each leader, and only while (1) the
feed is at the end of its topics, (2) API processes are heard in the cluster's own partition of argosy.clusters, and
(3) at least half of the clusters are heard. Where there is only one cluster, it is never expired by itself.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.domain.routing import partition_of_name
from app.scheduler.clusters import Clusters

TICK_MAX_S = 5.0
"""One tick counts for no more than this: a process that was paused has not listened."""
HEARD_S = 30.0
"""A cluster (heartbeats every 5 s) or an API process that was quiet for longer is not heard."""


class _Count(NamedTuple):
    silent_s: float
    heard_s: float


class Silence:
    """Counts for one leader. Ask `silent_s` after each `tick`."""

    def __init__(self, clusters: Clusters, partitions: int, now_s: float) -> None:
        """`partitions`: of argosy.clusters."""
        self._clusters, self._partitions = clusters, partitions
        self._began_s = self._ticked_s = now_s
        self._counts: dict[str, _Count] = {}
        self._spoken: dict[str, float] = {}

    def tick(self, now_s: float, *, at_end: bool, relevant: Iterable[str]) -> None:
        """Lets time go on. `relevant`: clusters that have runs, whether they were heard or not."""
        passed_s = min(max(now_s - self._ticked_s, 0.0), TICK_MAX_S)
        paused = now_s - self._ticked_s > TICK_MAX_S
        self._ticked_s = now_s
        known = {*self._clusters.by_name, *relevant}
        silent = {}
        for name in known:
            view = self._clusters.by_name.get(name)
            count = self._counts.get(name, _Count(0.0, 0.0))
            spoken_s = view.heard_s if view is not None else 0.0
            if spoken_s > max(self._spoken.get(name, self._began_s), self._began_s):
                self._spoken[name] = spoken_s
                heard_s = 0.0 if count.silent_s > HEARD_S else count.heard_s + passed_s
                self._counts[name] = _Count(0.0, heard_s)
            else:
                self._counts.setdefault(name, count)
                silent[name] = count
        heard = sum(1 for name in known if self._counts[name].silent_s <= HEARD_S)
        if not at_end or paused or len(known) < 2 or 2 * heard < len(known):
            return
        for name, count in silent.items():
            if self._api_is_heard(partition_of_name(name, self._partitions), now_s):
                still_heard = count.silent_s + passed_s <= HEARD_S
                heard_s = count.heard_s + passed_s if still_heard else 0.0
                self._counts[name] = _Count(count.silent_s + passed_s, heard_s)

    def silent_s(self, name: str) -> float:
        """Seconds of silence that count, 0 for a cluster that is heard."""
        count = self._counts.get(name)
        return 0.0 if count is None else count.silent_s

    def heard_s(self, name: str) -> float:
        """Seconds for which the cluster has been heard without a gap, as far as this leader knows."""
        count = self._counts.get(name)
        return 0.0 if count is None else count.heard_s

    def totals(self) -> Mapping[str, float]:
        """Seconds of silence by cluster."""
        return {name: count.silent_s for name, count in self._counts.items()}

    def _api_is_heard(self, partition: int, now_s: float) -> bool:
        return now_s - self._clusters.api_alive_s.get(partition, float("-inf")) <= HEARD_S
