"""What argosy.clusters says: the nodes of every cluster, when a cluster was last heard, and that API processes are
alive.

Input: ClusterUpdate and ApiAlive in the order of the log, with the time of this process's own monotonic clock.
Output: the attributes of `Clusters`. Updates that are older than one that was seen are dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from app.domain.clusters import ClusterUpdate, NodeData

Generation = tuple[bytes, int]
"""(instance, number): generations are numbered by each instance anew."""


@dataclass(slots=True, kw_only=True)
class ClusterView:
    """One cluster. nodes: name -> data; `told`: name -> the generation that named it last; heard_s: monotonic."""

    name: str
    instance: bytes = b""
    sequence: int = -1
    nodes: dict[str, NodeData] = field(default_factory=dict)
    told: dict[str, Generation] = field(default_factory=dict)
    heard_s: float = 0.0
    complete: bool = False
    """all nodes of this instance are known"""


class Clusters:
    """All clusters that were heard of. `nodes_version` grows with every change of a node, `structure_version` when more
    than the usage of foreign pods changed."""

    def __init__(self, instances: Mapping[str, bytes]) -> None:
        """`instances`: cluster -> the instance that argosy.state says speaks for it (changes as the state does)."""
        self.by_name: dict[str, ClusterView] = {}
        self.api_alive_s: dict[int, float] = {}
        """partition of argosy.clusters -> when an API process was last heard there"""
        self.nodes_version = 0
        self.structure_version = 0
        self.dropped_updates = 0
        self._instances = instances

    @property
    def node_count(self) -> int:
        """Nodes of all clusters."""
        return sum(len(cluster.nodes) for cluster in self.by_name.values())

    def api_alive(self, partition: int, now_s: float) -> None:
        """An API process said that it is up."""
        self.api_alive_s[partition] = now_s

    def update(self, update: ClusterUpdate, now_s: float) -> None:
        """Takes one update. `now_s`: when the cluster spoke, on the monotonic clock of this process."""
        cluster = self.by_name.get(update.cluster)
        if cluster is None:
            cluster = self.by_name[update.cluster] = ClusterView(name=update.cluster)
        if not self._is_news(cluster, update):
            self.dropped_updates += 1
            return
        cluster.complete = cluster.complete and update.instance == cluster.instance
        cluster.instance, cluster.sequence = update.instance, update.sequence
        cluster.heard_s = max(cluster.heard_s, now_s)
        generation = (update.instance, update.generation)
        for node in update.changed:
            cluster.told[node.name] = generation
            known = cluster.nodes.get(node.name)
            if known != node:
                cluster.nodes[node.name] = node
                self.nodes_version += 1
                if known is None or replace(known, foreign=node.foreign) != node:
                    self.structure_version += 1
        for name in update.removed:
            self._remove(cluster, name)
        if update.complete_count is not None:
            self._close(cluster, generation, update.complete_count)

    def _is_news(self, cluster: ClusterView, update: ClusterUpdate) -> bool:
        if update.instance == cluster.instance:
            return update.sequence > cluster.sequence
        if update.instance == self._instances.get(update.cluster):
            return True
        # The log of commands says who speaks; where it is not known yet, the later ULID does.
        return cluster.instance != self._instances.get(update.cluster) and update.instance > cluster.instance

    def _close(self, cluster: ClusterView, generation: Generation, count: int) -> None:
        named = sum(1 for told in cluster.told.values() if told == generation)
        if named != count:
            # Its beginning was not seen, or an update was lost: the API asks for a new one, so keep what there is.
            return
        cluster.complete = True
        for name in [name for name, told in cluster.told.items() if told != generation]:
            self._remove(cluster, name)

    def _remove(self, cluster: ClusterView, name: str) -> None:
        cluster.told.pop(name, None)
        if cluster.nodes.pop(name, None) is not None:
            self.nodes_version += 1
            self.structure_version += 1
