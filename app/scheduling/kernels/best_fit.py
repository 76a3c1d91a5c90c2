"""Best fit: the node with the least free room in the order of the indexed resources that takes a shape.

Blocks of the index in which some resource is too small are passed over. The last answer for a way and level is
remembered: as long as few nodes changed since, looking at those is enough; where that node is taken, the search goes
on behind it, since no unchanged node before it takes the shape.
"""

import numpy as np

from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.node_index import flush, is_before, is_smaller, summarise, takes, word_of
from app.scheduling.kernels.state import CATCH_UP, NOWHERE, RING, State


@kernel
def _first_block(st: State, level: int, group: int, least: int) -> int:
    """The place of the first block whose last node has no smaller first word than `least`."""
    start = st.region[group]
    low, high = 0, st.region_len[level, group]
    while low < high:
        middle = (low + high) // 2
        block = st.block_order[level, start + middle]
        last = st.block_node[level, block, st.block_len[level, block] - 1]
        if st.key[level, last, 0] < least:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _search_group(
    st: State, level: int, group: int, shape: int, best: int, least: int, only: np.ndarray, avoid: np.ndarray
) -> int:
    """The best node of a group from the key `least` on, or `best` when that is not worse."""
    start = st.region[group]
    for at in range(_first_block(st, level, group, least), st.region_len[level, group]):
        block = st.block_order[level, start + at]
        if best >= 0 and is_before(st, level, best, st.block_node[level, block, 0]):
            return best
        enough = True
        for r in range(st.need.shape[1]):
            if st.need[shape, r] > st.block_max[level, block, r]:
                enough = False
                break
        if not enough:
            continue
        for i in range(st.block_len[level, block]):
            node = st.block_node[level, block, i]
            if not takes(st, level, node, shape) or is_avoided(avoid, node):
                continue
            if only.size and not is_listed(only, node):
                continue
            if best < 0 or is_before(st, level, node, best):
                return node
            return best
        if st.block_loose[level, block]:
            summarise(st, level, block)
    return best


@kernel
def is_avoided(avoid: np.ndarray, node: int) -> bool:
    """Whether the node is in a (short) list."""
    for i in range(avoid.size):
        if avoid[i] == node:
            return True
    return False


@kernel
def is_listed(nodes: np.ndarray, node: int) -> bool:
    """Whether the node is in an ascending list."""
    low, high = 0, nodes.size
    while low < high:
        middle = (low + high) // 2
        if nodes[middle] < node:
            low = middle + 1
        else:
            high = middle
    return low < nodes.size and nodes[low] == node


@kernel
def search(st: State, level: int, way: int, shape: int, only: np.ndarray, avoid: np.ndarray) -> int:
    """The best node of a way that is not pinned, by the index: of all, or of `only` if it names some."""
    flush(st, level)
    return _search_from(st, level, way, shape, wide(NOWHERE), st.need_key[shape], only, avoid)


@kernel
def _search_from(
    st: State, level: int, way: int, shape: int, best: int, least: int, only: np.ndarray, avoid: np.ndarray
) -> int:
    for i in range(st.way_group_ptr[way], st.way_group_ptr[way + 1]):
        best = _search_group(st, level, st.way_group[i], shape, best, least, only, avoid)
    return best


@kernel
def scan(st: State, level: int, shape: int, nodes: np.ndarray, way: int, avoid: np.ndarray) -> int:
    """The best of these nodes, one by one; way >= 0: of those that it matches."""
    best = wide(NOWHERE)
    for i in range(nodes.size):
        node = nodes[i]
        if not st.open[node] or not takes(st, level, node, shape) or is_avoided(avoid, node):
            continue
        if way >= 0 and not matches(st, way, node):
            continue
        if best < 0 or is_smaller(st, level, node, best):
            best = node
    return best


@kernel
def matches(st: State, way: int, node: int) -> bool:
    """Whether a way leads to a node, whatever room it has."""
    if st.way_pinned[way]:
        for i in range(st.way_node_ptr[way], st.way_node_ptr[way + 1]):
            if st.way_node[i] == node:
                return True
        return False
    return st.way_match[way, st.group[node]] != 0


@kernel
def _remembered(st: State, level: int, way: int, shape: int) -> int:
    """The best node from the last answer and what changed since; -2 when that does not tell."""
    end = st.ring_end[level]
    if st.seen_end[way, level] < 0 or end - st.seen_end[way, level] > CATCH_UP:
        return -2
    best = st.seen_node[way, level]
    if best >= 0:
        if not takes(st, level, best, shape):
            return -2
        for k in range(st.key.shape[2]):
            now = word_of(st, level, best, k)
            if now != st.seen_key[way, level, k]:
                if now > st.seen_key[way, level, k]:
                    return -2
                break
    return _best_changed(st, level, way, shape, best)


@kernel
def _best_changed(st: State, level: int, way: int, shape: int, best: int) -> int:
    """The best of this node (if any) and those that changed since the last answer."""
    for at in range(st.seen_end[way, level], st.ring_end[level]):
        node = st.ring[level, at % RING]
        if node == best or not takes(st, level, node, shape) or not st.open[node] or not matches(st, way, node):
            continue
        if best < 0 or is_smaller(st, level, node, best):
            best = node
    return best


@kernel
def _search_on(st: State, level: int, way: int, shape: int) -> int:
    """The best node of a way where the last answer is no more: from there on, or among what changed since."""
    everywhere = st.value_node[:0]
    seen = st.seen_end[way, level]
    if not st.built[level] or seen < 0 or st.ring_end[level] - seen > CATCH_UP or st.seen_node[way, level] < 0:
        return search(st, level, way, shape, everywhere, everywhere)
    flush(st, level)
    best = _best_changed(st, level, way, shape, wide(NOWHERE))
    least = max(st.need_key[shape], st.seen_key[way, level, 0])
    return _search_from(st, level, way, shape, best, least, everywhere, everywhere)


@kernel
def best_node(st: State, level: int, way: int, shape: int) -> int:
    """The best node of a way at a level, or NOWHERE."""
    if st.way_pinned[way]:
        nodes = st.way_node[st.way_node_ptr[way] : st.way_node_ptr[way + 1]]
        return scan(st, level, shape, nodes, wide(-1), st.way_node[:0])
    best = -2
    if st.built[level]:
        best = _remembered(st, level, way, shape)
    if best == -2:
        best = _search_on(st, level, way, shape)
    st.seen_node[way, level] = best
    st.seen_end[way, level] = st.ring_end[level]
    if best >= 0:
        for k in range(st.key.shape[2]):
            st.seen_key[way, level, k] = word_of(st, level, best, k)
    return best
