"""The index of nodes: per level and group, blocks of up to BLOCK nodes sorted by exact free amounts.

The order is that of best fit: free amounts of the indexed resources, then node order. Each block knows the largest
amount of every resource in it. A change of room only marks the node (`touch`); `flush` sorts the marked ones in.
Levels are built at their first use. The keys of equally wide nodes are packed into as few words as they need.
"""

import numpy as np

from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.state import BLOCK, NOWHERE, RING, State

FILL = BLOCK * 3 // 4
WORD_BITS, DIGIT_BITS = 64, 8
DIGITS = 1 << DIGIT_BITS


@kernel
def word_of(st: State, level: int, node: int, word: int) -> int:
    """One word of the sort key of a node as it is now."""
    value = 0
    for i in range(st.index_column.size):
        if st.index_word[i] == word:
            # Nodes in deficit are in no block; what they lack has more bits than a key.
            value += max(st.free[level, node, st.index_column[i]], 0) << st.index_shift[i]
    return value


@kernel
def takes(st: State, level: int, node: int, shape: int) -> bool:
    """Whether nothing is short for this shape, and nothing overdrawn."""
    for r in range(st.need.shape[1]):
        if st.need[shape, r] > st.free[level, node, r]:
            return False
    return True


@kernel
def is_before(st: State, level: int, a: int, b: int) -> bool:
    """Whether node a comes before node b, as both are indexed."""
    for k in range(st.key.shape[2]):
        if st.key[level, a, k] != st.key[level, b, k]:
            return st.key[level, a, k] < st.key[level, b, k]
    return a < b


@kernel
def is_smaller(st: State, level: int, a: int, b: int) -> bool:
    """Whether node a comes before node b, as both are now."""
    for i in range(st.index_column.size):
        c = st.index_column[i]
        if st.free[level, a, c] != st.free[level, b, c]:
            return st.free[level, a, c] < st.free[level, b, c]
    return a < b


@kernel
def touch(st: State, level: int, node: int) -> None:
    """Notes that the room of a node changed."""
    if st.built[level]:
        if not st.is_dirty[level, node]:
            st.is_dirty[level, node] = 1
            st.dirty[level, st.dirty_len[level]] = node
            st.dirty_len[level] += 1
        st.ring[level, st.ring_end[level] % RING] = node
        st.ring_end[level] += 1


@kernel
def forget(st: State) -> None:
    """Drops every remembered search: nodes opened or closed."""
    for level in range(st.built.size):
        st.ring_end[level] += RING
    st.witness[:] = NOWHERE


@kernel
def _belongs(st: State, level: int, node: int) -> bool:
    if not st.open[node]:
        return False
    for r in range(st.free.shape[2]):
        if st.free[level, node, r] < 0:
            return False
    return True


@kernel
def summarise(st: State, level: int, block: int) -> None:
    """Makes the maxima of a block exact again: what left it, or shrank, may have been the largest."""
    st.block_loose[level, block] = 0
    for r in range(st.free.shape[2]):
        st.block_max[level, block, r] = -1
    for i in range(st.block_len[level, block]):
        node = st.block_node[level, block, i]
        for r in range(st.free.shape[2]):
            if st.free[level, node, r] > st.block_max[level, block, r]:
                st.block_max[level, block, r] = st.free[level, node, r]


@kernel
def _fill(st: State, level: int, group: int, nodes: np.ndarray, size: int) -> None:
    """Lays sorted nodes out in blocks that are not quite full."""
    start = st.region[group]
    count = 0
    for i in range(size):
        if i % FILL == 0:
            block = st.block_order[level, start + count]
            st.block_len[level, block] = 0
            count += 1
        block = st.block_order[level, start + count - 1]
        st.block_node[level, block, st.block_len[level, block]] = nodes[i]
        st.block_len[level, block] += 1
        st.node_block[level, nodes[i]] = block
    st.region_len[level, group] = count
    for i in range(count):
        summarise(st, level, st.block_order[level, start + i])


@kernel
def _sorted(st: State, level: int, nodes: np.ndarray, count: int) -> np.ndarray:
    """The first nodes of an ascending list in index order: sorted by each byte of their keys, the last one first."""
    if count < 2:
        return nodes
    key, other, other_key = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    place = np.empty(DIGITS, np.int64)
    for word in range(st.key.shape[2] - 1, -1, -1):
        differs = 0
        for i in range(count):
            key[i] = st.key[level, nodes[i], word]
            differs |= key[i] ^ key[0]
        for shift in range(0, WORD_BITS, DIGIT_BITS):
            if (differs >> shift) & (DIGITS - 1) == 0:
                continue
            place[:] = 0
            for i in range(count):
                place[(key[i] >> shift) & (DIGITS - 1)] += 1
            before = 0
            for digit in range(DIGITS):
                size = place[digit]
                place[digit] = before
                before += size
            for i in range(count):
                at = place[(key[i] >> shift) & (DIGITS - 1)]
                other[at], other_key[at] = nodes[i], key[i]
                place[(key[i] >> shift) & (DIGITS - 1)] = at + 1
            nodes, other, key, other_key = other, nodes, other_key, key
    return nodes


@kernel
def _build(st: State, level: int) -> None:
    words = st.key.shape[2]
    for i in range(st.block_order.shape[1]):
        st.block_order[level, i] = i
    # In the order of memory first: groups are scattered over it.
    belongs = np.empty(st.group.size, np.uint8)
    for node in range(st.group.size):
        for k in range(words):
            st.key[level, node, k] = word_of(st, level, node, k)
        st.node_block[level, node] = -1
        belongs[node] = _belongs(st, level, node)
    for group in range(st.region.size - 1):
        first, last = st.group_ptr[group], st.group_ptr[group + 1]
        nodes = np.empty(last - first, np.int64)
        count = 0
        for i in range(first, last):
            node = st.group_node[i]
            if belongs[node]:
                nodes[count] = node
                count += 1
        _fill(st, level, group, _sorted(st, level, nodes, count), count)
    st.built[level] = 1
    st.dirty_len[level] = 0
    st.ring_end[level] += RING


@kernel
def _remove(st: State, level: int, node: int) -> None:
    block = st.node_block[level, node]
    if block < 0:
        return
    size = st.block_len[level, block]
    at = 0
    while st.block_node[level, block, at] != node:
        at += 1
    for i in range(at, size - 1):
        st.block_node[level, block, i] = st.block_node[level, block, i + 1]
    st.block_len[level, block] = size - 1
    st.block_loose[level, block] = 1
    st.node_block[level, node] = -1
    if size == 1:
        group = st.group[node]
        start, count = st.region[group], st.region_len[level, group]
        at = start
        while st.block_order[level, at] != block:
            at += 1
        for i in range(at, start + count - 1):
            st.block_order[level, i] = st.block_order[level, i + 1]
        st.block_order[level, start + count - 1] = block
        st.region_len[level, group] = count - 1


@kernel
def _new_block(st: State, level: int, group: int, at: int) -> int:
    """Makes room for a block at this place of the group's order."""
    start, count = st.region[group], st.region_len[level, group]
    block = st.block_order[level, start + count]
    for i in range(start + count, start + at, -1):
        st.block_order[level, i] = st.block_order[level, i - 1]
    st.block_order[level, start + at] = block
    st.block_len[level, block] = 0
    st.block_loose[level, block] = 0
    for r in range(st.free.shape[2]):
        st.block_max[level, block, r] = -1
    st.region_len[level, group] = count + 1
    return block


@kernel
def _repack(st: State, level: int, group: int) -> None:
    start, count = st.region[group], st.region_len[level, group]
    size = 0
    for i in range(count):
        size += st.block_len[level, st.block_order[level, start + i]]
    nodes = np.empty(size, np.int64)
    size = 0
    for i in range(count):
        block = st.block_order[level, start + i]
        for j in range(st.block_len[level, block]):
            nodes[size] = st.block_node[level, block, j]
            size += 1
    _fill(st, level, group, nodes, size)


@kernel
def _block_for(st: State, level: int, group: int, node: int) -> int:
    """The place in the group's order of the last block that begins before the node (0 if none does)."""
    start = st.region[group]
    low, high = 0, st.region_len[level, group]
    while high - low > 1:
        middle = (low + high) // 2
        if is_before(st, level, st.block_node[level, st.block_order[level, start + middle], 0], node):
            low = middle
        else:
            high = middle
    return low


@kernel
def _insert(st: State, level: int, node: int) -> None:
    group = st.group[node]
    start = st.region[group]
    if st.region_len[level, group] == st.region[group + 1] - start:
        _repack(st, level, group)
    if st.region_len[level, group] == 0:
        _new_block(st, level, group, wide(0))
    at = _block_for(st, level, group, node)
    block = st.block_order[level, start + at]
    if st.block_len[level, block] == BLOCK:
        other = _new_block(st, level, group, at + 1)
        half = BLOCK // 2
        for i in range(half):
            moved = st.block_node[level, block, half + i]
            st.block_node[level, other, i] = moved
            st.node_block[level, moved] = other
        st.block_len[level, block] = half
        st.block_len[level, other] = half
        summarise(st, level, block)
        summarise(st, level, other)
        if is_before(st, level, st.block_node[level, other, 0], node):
            block = other
    size = st.block_len[level, block]
    place, high = 0, size
    while place < high:
        middle = (place + high) // 2
        if is_before(st, level, node, st.block_node[level, block, middle]):
            high = middle
        else:
            place = middle + 1
    for i in range(size, place, -1):
        st.block_node[level, block, i] = st.block_node[level, block, i - 1]
    st.block_node[level, block, place] = node
    st.block_len[level, block] = size + 1
    st.node_block[level, node] = block
    for r in range(st.free.shape[2]):
        if st.free[level, node, r] > st.block_max[level, block, r]:
            st.block_max[level, block, r] = st.free[level, node, r]


@kernel
def flush(st: State, level: int) -> None:
    """Sorts in what changed. Maxima of blocks only grow here; `summarise` makes them exact when they mislead."""
    if not st.built[level]:
        _build(st, level)
        return
    for i in range(st.dirty_len[level]):
        node = st.dirty[level, i]
        st.is_dirty[level, node] = 0
        _remove(st, level, node)
        for k in range(st.key.shape[2]):
            st.key[level, node, k] = word_of(st, level, node, k)
        if _belongs(st, level, node):
            _insert(st, level, node)
    st.dirty_len[level] = 0
