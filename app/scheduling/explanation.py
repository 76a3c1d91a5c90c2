"""Why no node takes a shape: nodes counted by the first thing that speaks against them, and what is missing.

Worked out after the round, for a bounded number of shapes, from the room that is left then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

Column = Int64 | Bool
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
    _overdrawn: dict[int, Bool] = field(default_factory=dict)

    def overdrawn(self, level: int) -> Bool:
        """bool by node: too much of some resource is in use at this level."""
        mask = self._overdrawn.get(level)
        if mask is None:
            mask = self._overdrawn[level] = (self.free[level] < 0).any(axis=1)
        return mask


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
        number = int(np.count_nonzero(left & against))
        if number:
            counts[name] = counts.get(name, 0) + number
            np.logical_and(left, ~against, out=left)

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
    allowed, levels = left.copy(), np.flatnonzero(np.bincount(level[left])).tolist()
    is_any = bool(levels)
    strike(OVERCOMMITTED, _by_level(level, {each: room.overdrawn(each) for each in levels}).astype(np.bool_))
    shortfall: dict[str, int] = {}
    others = (column for column in range(len(round_.resources.names)) if column not in room.indexed)
    for column in (*room.indexed, *others):
        amount = int(requests[shape, column])
        if not amount or round_.floating[column] != NOT_FLOATING:
            continue
        name, unit = round_.resources.names[column], int(room.unit[column])
        of_column = _by_level(level, {each: room.free[each, :, column] for each in levels})
        most = int(of_column.max(where=allowed, initial=0)) * unit if is_any else amount
        if amount > most:
            shortfall[name] = amount - most
        strike(f"{INSUFFICIENT}{name}", of_column < -(-amount // unit))
    strike(HAS_ROOM, left.copy())
    return Explanation(nodes=counts, shortfall=shortfall)


def _by_level(level: Int64, columns: Mapping[int, Column]) -> Column:
    """By node, the value of the column of its level; of other levels anything."""
    if not columns:
        return np.zeros(len(level), np.int64)
    (_, result), *others = columns.items()
    for each, column in others:
        result = np.where(level == each, column, result)
    return result


def _levels(round_: Round, shape: int, matcher: NodeMatcher, levels: Levels) -> tuple[Int64, Bool]:
    """The level at which each node would take the shape, and whether its taints are tolerated there."""
    ways = matcher.ways(round_.shapes.specs[shape], round_.classes[int(round_.shapes.priority_class[shape])])
    abroad: Bool = round_.nodes.pool != HOME_POOL
    level = np.zeros(len(round_.nodes), np.int64)
    tolerated = np.zeros(len(round_.nodes), np.bool_)
    for tolerations, priority in reversed(ways):
        mask = matcher.tolerated(tolerations) & ~abroad
        np.copyto(level, levels.of([priority])[0], where=mask)
        tolerated |= mask
    if abroad.any():
        mask = matcher.tolerated(ways[0][0]) & abroad
        np.copyto(level, levels.of([CROSS_POOL_PRIORITY])[0], where=mask)
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
