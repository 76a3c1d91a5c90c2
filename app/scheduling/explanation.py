"""Why no node takes a shape: nodes counted by the first thing that speaks against them, and what is missing.

Worked out after the round, for a bounded number of shapes, from the room that is left then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from app.scheduling.decisions import Explanation
from app.scheduling.levels import CROSS_POOL_PRIORITY, Levels
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.nodes import HOME_POOL
from app.scheduling.quarantine import Admission
from app.scheduling.resources import Bool, Int64
from app.scheduling.round import NOT_FLOATING, Round

INVALID = "invalid"
UNSCHEDULABLE = "unschedulable"
CLUSTER_CORDONED = "cluster cordoned"
CLUSTER_FULL = "cluster has too many unacknowledged runs"
TAINT = "taint"
NODE_SELECTOR = "node selector"
NODE_AFFINITY = "node affinity"
AVOIDED = "avoided"
OVERCOMMITTED = "overcommitted"
INSUFFICIENT = "insufficient "
HAS_ROOM = "has room"
EXPLANATIONS_MAX = 100
"""Shapes explained in one round; of more, those with the most waiting jobs."""

Against = Sequence[tuple[str, Bool]]
"""Reasons in the order in which they are looked at, each with the nodes (bool by node) that it holds for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is free by level: int64 (L, N, R) in units of `unit` (R,) base units; `indexed` columns come first.

    `full`: bool by cluster, at its limit.
    """

    free: Int64
    full: Bool
    unit: Int64
    indexed: tuple[int, ...]
    levels: Levels


def closed_nodes(round_: Round, admission: Admission, full: Bool) -> Against:
    """What speaks against nodes whatever the job is. `full`: bool by cluster, at its limit."""
    nodes, clusters = round_.nodes, round_.clusters
    cordoned = np.array([cluster.cordoned for cluster in clusters], np.bool_)
    return [
        (INVALID, ~admission.node_valid),
        (UNSCHEDULABLE, nodes.unschedulable),
        (CLUSTER_CORDONED, cordoned[nodes.cluster]),
        (CLUSTER_FULL, full[nodes.cluster]),
    ]


def explain_shape(
    round_: Round,
    requests: Int64,
    shape: int,
    avoid: tuple[int, ...],
    matcher: NodeMatcher,
    room: Room,
    closed: Against,
) -> Explanation:
    """Explains a shape, or one job of it that avoids nodes (indices).

    `requests`: int64 (S, R). Every node counts once, under the first reason that holds for it; of resources the
    indexed ones come first. A node is short of what no node that is allowed otherwise has enough of.
    """
    left = np.ones(len(round_.nodes), np.bool_)
    counts: dict[str, int] = {}

    def strike(name: str, against: Bool) -> None:
        number = int((left & against).sum())
        if number:
            counts[name] = counts.get(name, 0) + number
            left[against] = False

    spec = round_.shapes.specs[shape]
    level, tolerated = _levels(round_, shape, matcher, room.levels)
    avoided = np.zeros(len(round_.nodes), np.bool_)
    avoided[list(avoid)] = True
    static = [
        (TAINT, ~tolerated),
        (NODE_SELECTOR, ~matcher.selected(spec)),
        (NODE_AFFINITY, ~matcher.affine(spec)),
        (AVOIDED, avoided),
    ]
    for name, against in (*closed, *static):
        strike(name, against)
    allowed = np.flatnonzero(left)
    free = np.zeros((len(round_.nodes), len(round_.resources.names)), np.int64)
    free[allowed] = room.free[level[allowed], allowed]
    strike(OVERCOMMITTED, np.any(free < 0, axis=1))
    shortfall: dict[str, int] = {}
    others = (column for column in range(len(round_.resources.names)) if column not in room.indexed)
    for column in (*room.indexed, *others):
        amount = int(requests[shape, column])
        if not amount or round_.floating[column] != NOT_FLOATING:
            continue
        name, of_column = round_.resources.names[column], free[:, column] * int(room.unit[column])
        most = int(of_column[allowed].max()) if len(allowed) else amount
        if amount > most:
            shortfall[name] = amount - max(most, 0)
        strike(f"{INSUFFICIENT}{name}", of_column < amount)
    strike(HAS_ROOM, left.copy())
    return Explanation(nodes=counts, shortfall=shortfall)


def _levels(round_: Round, shape: int, matcher: NodeMatcher, levels: Levels) -> tuple[Int64, Bool]:
    """The level at which each node would take the shape, and whether its taints are tolerated there."""
    ways = matcher.ways(round_.shapes.specs[shape], round_.classes[int(round_.shapes.priority_class[shape])])
    abroad: Bool = round_.nodes.pool != HOME_POOL
    level = np.zeros(len(round_.nodes), np.int64)
    tolerated = np.zeros(len(round_.nodes), np.bool_)
    for tolerations, priority in reversed(ways):
        mask = matcher.tolerated(tolerations) & ~abroad
        level[mask] = levels.of([priority])[0]
        tolerated |= mask
    if abroad.any():
        mask = matcher.tolerated(ways[0][0]) & abroad
        level[mask] = levels.of([CROSS_POOL_PRIORITY])[0]
        tolerated |= mask
    return level, tolerated


Explain = Callable[[int, tuple[int, ...], Room], Explanation]


class Explanations(Sequence[Explanation]):
    """Explanations that are worked out when they are asked for: most never are."""

    def __init__(self, subjects: Sequence[tuple[int, tuple[int, ...]]], explain: Explain, room: Room) -> None:
        self._subjects = subjects
        self._explain = explain
        self._room = room
        self._known: dict[int, Explanation] = {}

    def __len__(self) -> int:
        return len(self._subjects)

    @overload
    def __getitem__(self, index: int) -> Explanation: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Explanation]: ...
    def __getitem__(self, index: int | slice) -> Explanation | Sequence[Explanation]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(index)
        if at not in self._known:
            self._known[at] = self._explain(*self._subjects[at], self._room)
        return self._known[at]

    def settle(self) -> None:
        """Keeps the room as it is now for what was not asked for yet."""
        if len(self._known) < len(self):
            self._room = replace(self._room, free=self._room.free.copy())
