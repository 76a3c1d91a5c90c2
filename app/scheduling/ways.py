"""Ways: for every shape the choices of nodes and level to place it with, best first; and the groups of equal nodes.

Static matching (taints, selectors, affinity) is done here, once per distinct set of requirements and kind of node. A
way to few nodes lists them (hostname selectors would make every node a group of its own); the other ways define the
groups: nodes are in one group when no such way tells them apart.
"""

from dataclasses import dataclass

import numpy as np

from app.scheduling.levels import CROSS_POOL_PRIORITY, Levels
from app.scheduling.node_kinds import NodeKinds
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.nodes import HOME_POOL
from app.scheduling.resources import Bool, Int32, Int64
from app.scheduling.round import Round

PINNED_MAX = 32
"""A way to so few nodes is a list."""
UInt8 = np.typing.NDArray[np.uint8]
UInt64 = np.typing.NDArray[np.uint64]
MIXER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Ways start[s]:start[s + 1] are those of shape s; each has a level, an away mark and a set of nodes.

    Set k is a list set_node[set_start[k]:set_start[k + 1]] when pinned[k], else the groups where match[k] is set.
    `group`: int32 by node.
    """

    start: Int64
    level: Int32
    away: UInt8
    node_set: Int64
    pinned: Bool
    set_start: Int64
    set_node: Int32
    match: UInt8
    group: Int32
    groups: int


@dataclass(slots=True)
class _Sets:
    """Distinct sets of nodes, found by the mask object (masks are shared by the matcher) and by pool."""

    masks: list[Bool]
    index: dict[tuple[int, bool], int]
    kept: list[Bool]

    def add(self, mask: Bool, at_home: Bool, *, home: bool) -> int:
        known = self.index.get((id(mask), home))
        if known is None:
            known = self.index[(id(mask), home)] = len(self.masks)
            self.kept.append(mask)
            self.masks.append(mask & (at_home if home else ~at_home))
        return known


def ways_of(round_: Round, matcher: NodeMatcher, levels: Levels, used: Bool) -> Ways:
    """The ways of the shapes that are `used` (bool by shape); others have none."""
    specs = round_.shapes.specs
    kinds = NodeKinds.of(matcher, [specs[shape] for shape in np.flatnonzero(used).tolist()])
    at_home: Bool = round_.nodes.pool[kinds.first] == HOME_POOL
    abroad = not bool(at_home.all())
    sets = _Sets([], {}, [])
    start = np.zeros(len(round_.shapes) + 1, np.int64)
    rows: list[tuple[int, int, int]] = []
    known: dict[tuple[object, ...], list[tuple[int, int, int]]] = {}
    for shape, is_used in enumerate(used.tolist()):
        if is_used:
            spec = specs[shape]
            key = (spec.priority_class, spec.node_selector, spec.tolerations, spec.affinity)
            of_shape = known.get(key)
            if of_shape is None:
                of_class = round_.classes[int(round_.shapes.priority_class[shape])]
                placements = kinds.matcher.placements(spec, of_class)
                of_shape = known[key] = [
                    (priority, int(place > 0), sets.add(mask, at_home, home=True))
                    for place, (mask, priority) in enumerate(placements)
                ]
                if abroad:
                    of_shape.append((CROSS_POOL_PRIORITY, 1, sets.add(placements[0][0], at_home, home=False)))
            rows.extend(of_shape)
        start[shape + 1] = len(rows)
    table = np.array(rows, np.int64).reshape(-1, 3)
    counts = np.array([int(kinds.size[np.flatnonzero(mask)].sum()) for mask in sets.masks], np.int64)
    pinned = counts <= PINNED_MAX
    group, groups = _groups([mask for mask, few in zip(sets.masks, pinned, strict=True) if not few], len(kinds.first))
    first = np.zeros(groups, np.int64)
    first[group[::-1]] = np.arange(len(group) - 1, -1, -1)
    match = np.zeros((len(sets.masks), groups), np.uint8)
    lists: list[Int64] = []
    for row, mask in enumerate(sets.masks):
        if pinned[row]:
            lists.append(np.flatnonzero(mask[kinds.kind]))
        else:
            lists.append(np.zeros(0, np.int64))
            match[row] = mask[first]
    set_start = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(each) for each in lists], out=set_start[1:])
    return Ways(
        start=start,
        level=levels.of(table[:, 0]),
        away=table[:, 1].astype(np.uint8),
        node_set=table[:, 2],
        pinned=pinned,
        set_start=set_start,
        set_node=(np.concatenate(lists) if lists else np.zeros(0)).astype(np.int32),
        match=match,
        group=group[kinds.kind],
        groups=groups,
    )


def _groups(masks: list[Bool], nodes: int) -> tuple[Int32, int]:
    """The group of each kind of node: equal where all masks are. Numbered by their first node."""
    if not nodes:
        return np.zeros(0, np.int32), 0
    words = _words(masks, nodes)
    mixed = words[0].copy()
    for word in words[1:]:
        mixed = (mixed ^ (mixed >> np.uint64(29))) * MIXER + word
    first, inverse = _numbered(mixed)
    if any((word != word[first][inverse]).any() for word in words):
        # Two different rows were mixed into one number: compare the rows themselves.
        rows = np.ascontiguousarray(words.T)
        first, inverse = _numbered(rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel())
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    result: Int32 = number[inverse].astype(np.int32)
    return result, len(first)


def _words(masks: list[Bool], nodes: int) -> UInt64:
    """uint64 (words, nodes): the masks as bits."""
    words = np.zeros((max(-(-len(masks) // 64), 1), nodes), np.uint64)
    bits = np.empty(nodes, np.uint64)
    for row, mask in enumerate(masks):
        np.multiply(mask, np.uint64(1 << (row % 64)), out=bits)
        np.bitwise_or(words[row // 64], bits, out=words[row // 64])
    return words


def _numbered(values: np.typing.NDArray[np.generic]) -> tuple[Int64, Int64]:
    """The first place of each distinct value, and by place which of them it is."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first, inverse
