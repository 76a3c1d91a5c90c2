"""Fair-share preemption: whose evicted jobs make room for a candidate.

Rule: walk the evicted jobs from the last number to the first, adding up what each frees on its node, until one node
takes the candidate; everything walked on that node is preempted. That node is the one with the largest t, the number
at which its own walk is done. Per way a heap of t, built at first need and corrected at its top: t only falls, except
where room at level 0 grew (`note_freed`), and those nodes are pushed again. Ways beyond HEAPS_MAX walk.
"""

import numpy as np

from app.scheduling.kernels.best_fit import is_avoided, matches
from app.scheduling.kernels.jit import kernel
from app.scheduling.kernels.state import EVICTED, FREED_RING, NOWHERE, STAMP, TAIL, State

HEAPS_MAX = 4096
HEAP_ENTRIES_MAX = 16_000_000
LENGTH, SEEN, PLACE = 0, 1, 2


@kernel
def release_number(st: State, node: int, shape: int, level: int) -> int:
    """t of a node: the number of the evicted job with which it takes the shape; -1 when none is enough."""
    if not st.open[node]:
        return -1
    st.scratch[:] = st.free[0, node]
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
            return st.order[job]
    return -1


@kernel
def _sink(keys: np.ndarray, nodes: np.ndarray, length: int, at: int) -> None:
    key, node = keys[at], nodes[at]
    while True:
        child = 2 * at + 1
        if child >= length:
            break
        if child + 1 < length and keys[child + 1] > keys[child]:
            child += 1
        if keys[child] <= key:
            break
        keys[at] = keys[child]
        nodes[at] = nodes[child]
        at = child
    keys[at] = key
    nodes[at] = node


@kernel
def _push(keys: np.ndarray, nodes: np.ndarray, length: int, key: int, node: int) -> None:
    at = length
    while at > 0 and keys[(at - 1) // 2] < key:
        keys[at] = keys[(at - 1) // 2]
        nodes[at] = nodes[(at - 1) // 2]
        at = (at - 1) // 2
    keys[at] = key
    nodes[at] = node


@kernel
def _build(st: State, way: int, shape: int) -> tuple[np.ndarray, np.ndarray, int]:
    count = 0
    for node in range(st.group.size):
        if st.evicted_node_ptr[node + 1] > st.evicted_node_ptr[node] and matches(st, way, node):
            count += 1
    keys, nodes = np.empty(count + count // 4 + 16, np.int64), np.empty(count + count // 4 + 16, np.int64)
    length = 0
    for node in range(st.group.size):
        if st.evicted_node_ptr[node + 1] > st.evicted_node_ptr[node] and matches(st, way, node):
            number = release_number(st, node, shape, st.way_level[way])
            if number >= 0:
                keys[length] = number
                nodes[length] = node
                length += 1
    for at in range(length // 2 - 1, -1, -1):
        _sink(keys, nodes, length, at)
    return keys, nodes, length


@kernel
def _catch_up(st: State, keys: np.ndarray, nodes: np.ndarray, facts: np.ndarray, way: int, shape: int) -> bool:
    """Pushes the nodes whose t may have grown. False when the heap must be built anew."""
    level = st.way_level[way]
    if st.freed_end[0] - facts[way, SEEN] > FREED_RING:
        return False
    for at in range(facts[way, SEEN], st.freed_end[0]):
        at %= FREED_RING
        if st.freed_low[at] <= level <= st.freed_high[at]:
            continue
        node = st.freed_node[at]
        if not matches(st, way, node):
            continue
        number = release_number(st, node, shape, level)
        if number >= 0:
            if facts[way, LENGTH] == keys.size:
                return False
            _push(keys, nodes, facts[way, LENGTH], number, node)
            facts[way, LENGTH] += 1
    facts[way, SEEN] = st.freed_end[0]
    return True


@kernel
def from_heap(st: State, heaps, facts: np.ndarray, way: int, shape: int) -> int:  # type: ignore[no-untyped-def]
    """The node for a candidate by the heap of its way."""
    keys, nodes = heaps[facts[way, PLACE]]
    if not _catch_up(st, keys, nodes, facts, way, shape):
        keys, nodes, length = _build(st, way, shape)
        heaps[facts[way, PLACE]] = (keys, nodes)
        facts[way, LENGTH] = length
        facts[way, SEEN] = st.freed_end[0]
    length = facts[way, LENGTH]
    found = NOWHERE
    while length > 0:
        number = release_number(st, nodes[0], shape, st.way_level[way])
        if number == keys[0]:
            found = nodes[0]
            break
        if number < 0:
            length -= 1
            keys[0] = keys[length]
            nodes[0] = nodes[length]
        else:
            keys[0] = number
        if length > 0:
            _sink(keys, nodes, length, 0)
    facts[way, LENGTH] = length
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
            st.gathered[node] = st.free[0, node]
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
        if not matches(st, way, nodes[i]) or is_avoided(avoid, nodes[i]):
            continue
        number = release_number(st, nodes[i], shape, st.way_level[way])
        if number > largest:
            best, largest = nodes[i], number
    return best


@kernel
def victim_node(st: State, heaps, facts: np.ndarray, way: int, shape: int) -> int:  # type: ignore[no-untyped-def]
    """The node whose evicted jobs shall make room for a candidate of this way, or NOWHERE."""
    if st.evicted_at.size == 0:
        return NOWHERE
    if facts[way, PLACE] < 0:
        entries = 0
        for i in range(len(heaps)):
            entries += heaps[i][0].size
        if len(heaps) >= HEAPS_MAX or entries > HEAP_ENTRIES_MAX:
            return from_walk(st, way, shape, st.way_node[:0])
        keys, nodes, length = _build(st, way, shape)
        facts[way, PLACE] = len(heaps)
        facts[way, LENGTH] = length
        facts[way, SEEN] = st.freed_end[0]
        heaps.append((keys, nodes))
    return from_heap(st, heaps, facts, way, shape)
