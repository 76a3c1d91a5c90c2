"""The nodes of a round as columns, and the builder that makes them.

Node order is the order of adding; it decides between nodes that are equally good, so a shell adds them by name.
Building costs microseconds a node: keep the `Nodes` of the last round while no node changed, and replace single
columns (`dataclasses.replace(nodes, held=...)`) when only room or cordons did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.clusters import Taint
from app.scheduling.errors import RoundError
from app.scheduling.matching import taint_order
from app.scheduling.resources import Bool, Int32, Int64, Resources

HOME_POOL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """N nodes as columns; R resources in base units.

    `names`: by node, unique; where clusters have nodes of one name, `cluster/name`, and Kubernetes' name is what
    follows the slash. `cluster`: int32 (N,), index in the round's clusters. `pool`: int32 (N,), index in the round's
    pools where the node's home is another pool, else HOME_POOL. `capacity`, `held`: int64 (N, R), what the node has,
    and what pods hold that are no runs of this round. `unschedulable`: bool (N,).
    Labels are sparse: those of node n are the entries label_start[n]:label_start[n + 1] of `label_key` and
    `label_value` (int32), which index `strings`. `taint_set`: int32 (N,), index in `taint_sets`.
    """

    names: tuple[str, ...]
    cluster: Int32
    pool: Int32
    capacity: Int64
    held: Int64
    unschedulable: Bool
    label_start: Int64
    label_key: Int32
    label_value: Int32
    strings: tuple[str, ...]
    taint_set: Int32
    taint_sets: tuple[tuple[Taint, ...], ...]

    def __len__(self) -> int:
        return len(self.names)

    def labels(self, node: int) -> dict[str, str]:
        """The labels of one node."""
        entries = range(int(self.label_start[node]), int(self.label_start[node + 1]))
        return {self.strings[self.label_key[e]]: self.strings[self.label_value[e]] for e in entries}


class NodesBuilder:
    """Collects nodes in node order and makes their columns."""

    def __init__(self) -> None:
        self.indices: dict[str, int] = {}
        self._cluster: list[int] = []
        self._pool: list[int] = []
        self._capacity: list[Mapping[str, int]] = []
        self._held: list[Mapping[str, int]] = []
        self._unschedulable: list[bool] = []
        self._label_start: list[int] = [0]
        self._label_key: list[int] = []
        self._label_value: list[int] = []
        self._strings: dict[str, int] = {}
        self._taint_set: list[int] = []
        self._taint_sets: dict[tuple[Taint, ...], int] = {}

    def __len__(self) -> int:
        return len(self._cluster)

    def add(
        self,
        name: str,
        *,
        cluster: int,
        pool: int = HOME_POOL,
        capacity: Mapping[str, int],
        held: Mapping[str, int],
        labels: Mapping[str, str],
        taints: Sequence[Taint],
        unschedulable: bool,
    ) -> int:
        """Adds a node, amounts in base units, and returns its index. Raises RoundError when the name is taken."""
        index = len(self._cluster)
        if self.indices.setdefault(name, index) != index:
            raise RoundError(f"nodes[{index}].name", f"{name!r} is already the name of nodes[{self.indices[name]}]")
        self._cluster.append(cluster)
        self._pool.append(pool)
        self._capacity.append(capacity)
        self._held.append(held)
        self._unschedulable.append(unschedulable)
        for key, value in labels.items():
            self._label_key.append(self._strings.setdefault(key, len(self._strings)))
            self._label_value.append(self._strings.setdefault(value, len(self._strings)))
        self._label_start.append(len(self._label_key))
        taint_set = tuple(sorted(set(taints), key=taint_order))
        self._taint_set.append(self._taint_sets.setdefault(taint_set, len(self._taint_sets)))
        return index

    def resource_names(self) -> set[str]:
        """Every resource that some node has or holds."""
        return {name for amounts in (*self._capacity, *self._held) for name in amounts}

    def build(self, resources: Resources) -> Nodes:
        """The columns of all nodes added so far."""
        return Nodes(
            names=tuple(self.indices),
            cluster=np.array(self._cluster, np.int32),
            pool=np.array(self._pool, np.int32),
            capacity=_rows(self._capacity, resources),
            held=_rows(self._held, resources),
            unschedulable=np.array(self._unschedulable, np.bool_),
            label_start=np.array(self._label_start, np.int64),
            label_key=np.array(self._label_key, np.int32),
            label_value=np.array(self._label_value, np.int32),
            strings=tuple(self._strings),
            taint_set=np.array(self._taint_set, np.int32),
            taint_sets=tuple(self._taint_sets),
        )


def _rows(amounts: Sequence[Mapping[str, int]], resources: Resources) -> Int64:
    rows = np.zeros((len(amounts), len(resources.names)), np.int64)
    for row, of_node in enumerate(amounts):
        for name, amount in of_node.items():
            rows[row, resources.columns[name]] = amount
    return rows
