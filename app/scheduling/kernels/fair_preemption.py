"""Fair-share preemption: whose evicted jobs make room for a candidate.

Rule: walk the evicted jobs from the last number to the first, adding up what each frees on its node, until one node
takes the candidate; everything walked on that node is preempted. That node is the one with the largest t, the number
at which its own walk is done. Per way a heap of t, built at first need and corrected at its top: t only falls, except
where room at level 0 grew (`note_freed`), and those nodes are pushed again. Ways without room for a heap walk.
"""

import numpy as np

from app.scheduling.kernels.best_fit import is_avoided, matches
from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.state import (
    EVICTED,
    FREED_RING,
    HEAP_SPARE,
    HEAP_USED,
    NODE_BITS,
    NODE_MASK,
    NOWHERE,
    STAMP,
    TAIL,
    State,
)


@kernel
def release_number(st: State, node: int, shape: int, level: int) -> int:
    """t of a node: the number of the evicted job with which it takes the shape; -1 when none is enough."""
    if not st.open[node]:
        return -1
    for r in range(st.scratch.size):
        st.scratch[r] = st.free[0, node, r]
    for i in range(st.evicted_node_ptr[node], st.evicted_node_ptr[node + 1]):
        job = st.evicted_node[i]
        if st.status[job] != EVICTED or st.level[job] > level:
            continue
        enough = True
        for r in range(st.scratch.size):
            st.scratch[r] += st.need[st.shape[job], r]
            if st.need[shape, r] > st.scratch[r]:
                enough = False
        if enough:
            return st.evicted_number[i]
    return -1


@kernel
def _sink(st: State, start: int, length: int, at: int) -> None:
    """Moves an entry of the heap that begins at `start` down to where it belongs."""
    entry = st.heap_entry[start + at]
    while True:
        child = 2 * at + 1
        if child >= length:
            break
        if child + 1 < length and st.heap_entry[start + child + 1] > st.heap_entry[start + child]:
            child += 1
        if st.heap_entry[start + child] <= entry:
            break
        st.heap_entry[start + at] = st.heap_entry[start + child]
        at = child
    st.heap_entry[start + at] = entry


@kernel
def _push(st: State, start: int, length: int, entry: int) -> None:
    at = length
    while at > 0 and st.heap_entry[start + (at - 1) // 2] < entry:
        st.heap_entry[start + at] = st.heap_entry[start + (at - 1) // 2]
        at = (at - 1) // 2
    st.heap_entry[start + at] = entry


@kernel
def _build(st: State, way: int, shape: int) -> None:
    """Makes the heap of a way anew, in its place."""
    start, level = st.heap_start[way], st.way_level[way]
    length = 0
    for node in range(st.group.size):
        if st.evicted_node_ptr[node + 1] > st.evicted_node_ptr[node] and matches(st, way, node):
            number = release_number(st, node, shape, level)
            if number >= 0:
                st.heap_entry[start + length] = (number << NODE_BITS) + node
                length += 1
    for at in range(length // 2 - 1, -1, -1):
        _sink(st, start, length, at)
    st.heap_length[way] = length
    st.heap_seen[way] = st.freed_end[0]


@kernel
def _has_heap(st: State, way: int, shape: int) -> bool:
    """Makes a heap for the way, if there is room for one."""
    if st.heap_start[way] >= 0:
        return True
    count = 0
    for node in range(st.group.size):
        if st.evicted_node_ptr[node + 1] > st.evicted_node_ptr[node] and matches(st, way, node):
            count += 1
    size = count + count // 4 + HEAP_SPARE
    if st.counters[HEAP_USED] + size > st.heap_entry.size:
        return False
    st.heap_start[way] = st.counters[HEAP_USED]
    st.heap_size[way] = size
    st.counters[HEAP_USED] += size
    _build(st, way, shape)
    return True


@kernel
def _catch_up(st: State, way: int, shape: int) -> bool:
    """Pushes the nodes whose t may have grown. False when the heap must be built anew."""
    level = st.way_level[way]
    if st.freed_end[0] - st.heap_seen[way] > FREED_RING:
        return False
    for at in range(st.heap_seen[way], st.freed_end[0]):
        entry = at % FREED_RING
        if st.freed_low[entry] <= level <= st.freed_high[entry]:
            continue
        node = st.freed_node[entry]
        if not matches(st, way, node):
            continue
        number = release_number(st, node, shape, level)
        if number >= 0:
            if st.heap_length[way] == st.heap_size[way]:
                return False
            _push(st, st.heap_start[way], st.heap_length[way], (number << NODE_BITS) + node)
            st.heap_length[way] += 1
    st.heap_seen[way] = st.freed_end[0]
    return True


@kernel
def from_heap(st: State, way: int, shape: int, avoid: np.ndarray) -> int:
    """The node for a candidate by the heap of its way. Avoided nodes at the top are taken out and put back."""
    if not _catch_up(st, way, shape):
        _build(st, way, shape)
    start, length = st.heap_start[way], st.heap_length[way]
    aside = np.empty(avoid.size, np.int64)
    count = 0
    found = wide(NOWHERE)
    while length > 0:
        node = st.heap_entry[start] & NODE_MASK
        number = release_number(st, node, shape, st.way_level[way])
        if number == st.heap_entry[start] >> NODE_BITS:
            if not is_avoided(avoid, node):
                found = node
                break
            if not is_avoided(aside[:count], st.heap_entry[start]):
                aside[count] = st.heap_entry[start]
                count += 1
            number = wide(-1)
        if number < 0:
            length -= 1
            st.heap_entry[start] = st.heap_entry[start + length]
        else:
            st.heap_entry[start] = (number << NODE_BITS) + node
        if length > 0:
            _sink(st, start, length, wide(0))
    for i in range(count):
        _push(st, start, length, aside[i])
        length += 1
    st.heap_length[way] = length
    return found


@kernel
def from_walk(st: State, way: int, shape: int, avoid: np.ndarray) -> int:
    """The node for a candidate by walking over the evicted jobs."""
    st.counters[STAMP] += 1
    stamp, level = st.counters[STAMP], st.way_level[way]
    while st.counters[TAIL] > 0 and st.status[st.evicted_at[st.counters[TAIL] - 1]] != EVICTED:
        st.counters[TAIL] -= 1
    for at in range(st.counters[TAIL] - 1, -1, -1):
        job = st.evicted_at[at]
        node = st.node[job]
        if st.status[job] != EVICTED or st.level[job] > level or not st.open[node]:
            continue
        if not matches(st, way, node) or is_avoided(avoid, node):
            continue
        if st.stamp[node] != stamp:
            st.stamp[node] = stamp
            for r in range(st.gathered.shape[1]):
                st.gathered[node, r] = st.free[0, node, r]
        enough = True
        for r in range(st.gathered.shape[1]):
            st.gathered[node, r] += st.need[st.shape[job], r]
            if st.need[shape, r] > st.gathered[node, r]:
                enough = False
        if enough:
            return node
    return NOWHERE


@kernel
def from_list(st: State, nodes: np.ndarray, way: int, shape: int, avoid: np.ndarray) -> int:
    """The node for a candidate among a few."""
    best, largest = NOWHERE, -1
    for i in range(nodes.size):
        first = st.evicted_node_ptr[nodes[i]]
        if first == st.evicted_node_ptr[nodes[i] + 1] or st.evicted_number[first] <= largest:
            continue
        if not matches(st, way, nodes[i]) or is_avoided(avoid, nodes[i]):
            continue
        number = release_number(st, nodes[i], shape, st.way_level[way])
        if number > largest:
            best, largest = nodes[i], number
    return best


@kernel
def victim_node(st: State, way: int, shape: int, avoid: np.ndarray) -> int:
    """The node whose evicted jobs shall make room for a candidate of this way, or NOWHERE."""
    if st.evicted_at.size == 0:
        return NOWHERE
    if _has_heap(st, way, shape):
        return from_heap(st, way, shape, avoid)
    return from_walk(st, way, shape, avoid)
