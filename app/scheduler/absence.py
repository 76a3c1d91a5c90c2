"""Whether enough is known of the clusters to say that a job fits nowhere.

Input: what argosy.clusters and argosy.state say of clusters, and time, about once a second. Output: yes or no.

Rule. A cluster that is silent, or has not told all of its nodes, keeps every job from being rejected: it may be the
only one that could take it. It does so for a day (settings): while somebody listens and another cluster is heard, its
absence is counted, and after that it is no longer waited for, so that a cluster that is gone for good does not stop
rejection for ever. The nodes that it told last count as long as this process remembers them. Where no cluster is heard
at all, nothing is known and no time counts.
"""

from collections.abc import Mapping

from app.scheduler.clusters import Clusters
from app.scheduler.silence import HEARD_S, TICK_MAX_S


class Absence:
    """Of one leader, which counts anew. Ask `is_clear` again and again."""

    def __init__(self, clusters: Clusters, instances: Mapping[str, bytes], max_s: float) -> None:
        """`instances`: clusters that argosy.state knows (changes as the state does). `max_s`: see the rule."""
        self._clusters, self._instances, self._max_s = clusters, instances, max_s
        self._absent_s: dict[str, float] = {}
        self._ticked_s: float | None = None

    def is_clear(self, now_s: float) -> bool:
        """Whether every known cluster is heard and has told all of its nodes, or has been absent for too long."""
        passed_s = 0.0 if self._ticked_s is None else min(max(now_s - self._ticked_s, 0.0), TICK_MAX_S)
        self._ticked_s = now_s
        known = {*self._clusters.by_name, *self._instances}
        absent = {name for name in known if not self._is_present(name, now_s)}
        if len(absent) == len(known):
            return False
        self._absent_s = {name: self._absent_s.get(name, 0.0) + passed_s for name in absent}
        return all(seconds >= self._max_s for seconds in self._absent_s.values())

    def _is_present(self, name: str, now_s: float) -> bool:
        view = self._clusters.by_name.get(name)
        return view is not None and view.complete and now_s - view.heard_s <= HEARD_S
