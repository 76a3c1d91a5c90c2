"""Best fit: the node with the least free room, in the order of the indexed resources, that still takes a shape.

Room only shrinks during a round of this algorithm, so what stops fitting never fits again. The first search of a shape
is one pass over all nodes; the second sorts the nodes that fit, and from then on only nodes that changed since are
looked at: a sorted list and a heap, both with stale entries dropped as they come up.
"""

from heapq import heappop, heappush

import numpy as np

from app.scheduling.resources import Bool, Int32, Int64
from app.scheduling.round import NOT_FLOATING, Cluster, Round

NOWHERE = -1

Needs = tuple[tuple[int, int], ...]
"""(column, amount) of every resource that is needed, amounts above 0."""


class Room:
    """Free room of all nodes in one round, and which nodes are open.

    `free`: int64 (R, N) by column, changed by `take`. `open_nodes`: bool by node (a view), changed by `close_cluster`.
    """

    def __init__(self, free: Int64, open_nodes: Bool, indexed: tuple[int, ...], cluster: Int32) -> None:
        """`free`: int64 (N, R). Nodes with a deficit in any resource are closed."""
        self.free = np.ascontiguousarray(free.T)
        self.rows: list[list[int]] = free.tolist()
        self.indexed = indexed
        self.cluster: list[int] = cluster.tolist()
        self._cluster_column = cluster
        self.is_open = bytearray((open_nodes & (free >= 0).all(axis=1)).tobytes())
        self.open_nodes = np.frombuffer(self.is_open, np.bool_)
        self.log: list[int] = []
        self.changed_at = [0] * len(self.rows)

    def take(self, node: int, needs: Needs) -> None:
        """Gives room of a node away: (column, amount) pairs."""
        row = self.rows[node]
        for column, amount in needs:
            row[column] -= amount
            self.free[column, node] -= amount
        self.log.append(node)
        self.changed_at[node] = len(self.log)

    def close_cluster(self, cluster: int) -> None:
        """No node of this cluster takes anything more in this round."""
        self.open_nodes[self._cluster_column == cluster] = False

    def key(self, node: int) -> tuple[int, ...]:
        """What nodes are compared by; ties go to the lower index."""
        row = self.rows[node]
        return tuple([row[column] for column in self.indexed])


class ClusterLimits:
    """Counts the runs that clusters have not acknowledged, and closes a cluster at its limit."""

    def __init__(self, clusters: tuple[Cluster, ...], room: Room) -> None:
        self._room = room
        self._left = [cluster.unacknowledged_limit - cluster.unacknowledged for cluster in clusters]
        for index, left in enumerate(self._left):
            if left <= 0:
                room.close_cluster(index)

    def placed_on(self, node: int) -> None:
        """One more run for the cluster of this node."""
        cluster = self._room.cluster[node]
        self._left[cluster] -= 1
        if self._left[cluster] <= 0:
            self._room.close_cluster(cluster)

    def is_full(self, cluster: int) -> bool:
        """Whether the cluster is at its limit."""
        return self._left[cluster] <= 0


class Finder:
    """Finds nodes for jobs that need `needs` ((column, amount) pairs, amounts above 0) and may stand on `allowed`."""

    def __init__(self, room: Room, needs: Needs, allowed: Bool) -> None:
        self._room = room
        self._needs = needs
        self._allowed = allowed
        self._searches = 0
        self._sorted: list[int] = []
        self._next = 0
        self._built_at = 0
        self._seen = 0
        self._heap: list[tuple[tuple[int, ...], int]] = []
        self._exhausted = False

    def find(self) -> int:
        """The best node now, or NOWHERE (and then for the rest of the round)."""
        if self._exhausted:
            return NOWHERE
        self._searches += 1
        if self._searches == 1:
            node = self.scan(())
        else:
            if self._searches == 2:
                self._build()
            node = self._best()
        self._exhausted = node == NOWHERE
        return node

    def candidates(self) -> Int64:
        """The open nodes that take the shape now, in node order."""
        fits = self._allowed & self._room.open_nodes
        for column, amount in self._needs:
            fits &= self._room.free[column] >= amount
        return np.flatnonzero(fits)

    def scan(self, avoid: tuple[int, ...]) -> int:
        """The best node now that is not in `avoid`, by looking at all of them."""
        nodes = self.candidates()
        if avoid:
            nodes = nodes[~np.isin(nodes, avoid)]
        for column in self._room.indexed:
            if len(nodes) < 2:
                break
            free = self._room.free[column][nodes]
            nodes = nodes[free == free.min()]
        return int(nodes[0]) if len(nodes) else NOWHERE

    def _build(self) -> None:
        nodes = self.candidates()
        if self._room.indexed and len(nodes):
            nodes = nodes[np.lexsort([self._room.free[column][nodes] for column in reversed(self._room.indexed)])]
        self._sorted = nodes.tolist()
        self._built_at = self._seen = len(self._room.log)

    def _best(self) -> int:
        room, heap = self._room, self._heap
        for node in set(room.log[self._seen :]):
            if self._takes(node):
                heappush(heap, (room.key(node), node))
        self._seen = len(room.log)
        # An entry that is out of date has a larger key than the one that replaced it: it never gets to the top alone.
        while heap and not self._takes(heap[0][1]):
            heappop(heap)
        position, nodes = self._next, self._sorted
        while position < len(nodes):
            node = nodes[position]
            if room.is_open[node] and room.changed_at[node] <= self._built_at:
                break
            position += 1
        self._next = position
        if position == len(nodes):
            return heap[0][1] if heap else NOWHERE
        node = nodes[position]
        return heap[0][1] if heap and heap[0] < (room.key(node), node) else node

    def _takes(self, node: int) -> bool:
        room = self._room
        if not room.is_open[node] or not self._allowed[node]:
            return False
        row = room.rows[node]
        for column, amount in self._needs:  # noqa: SIM110 (a generator doubles the cost of the hottest line)
            if row[column] < amount:
                return False
        return True


def needs_of(requests: list[int], floating: tuple[int, ...]) -> tuple[Needs, Needs]:
    """What a request (by column) takes of a node, and what of the pool's floating resources."""
    needs = [(column, amount) for column, amount in enumerate(requests) if amount]
    return (
        tuple(need for need in needs if floating[need[0]] == NOT_FLOATING),
        tuple(need for need in needs if floating[need[0]] != NOT_FLOATING),
    )


def nodes_to_avoid(round_: Round) -> dict[int, tuple[int, ...]]:
    """The nodes that a job must not go to again, by job; nodes that the round has not are no danger."""
    avoid: dict[int, tuple[int, ...]] = {}
    for job, node in zip(round_.jobs.avoid_job.tolist(), round_.jobs.avoid_node.tolist(), strict=True):
        if node >= 0:
            avoid[job] = (*avoid.get(job, ()), node)
    return avoid
