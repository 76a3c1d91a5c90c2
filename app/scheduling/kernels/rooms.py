"""Who holds room where: placing, evicting, returning and preempting single jobs, with a journal that undoes them.

A job at level p counts at the levels 0..p of its node, one that may not be preempted at all of them. An evicted job
counts at level 0 only, until it returns or is preempted.
"""

from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.node_index import forget, touch
from app.scheduling.kernels.state import (
    BOUND,
    DID_PLACE,
    DID_PREEMPT,
    DID_RETURN,
    EVICTED,
    FAIR_LEFT,
    FREED_RING,
    JOURNAL,
    PLACED,
    PREEMPTED,
    TAIL,
    WAITING,
    State,
)


@kernel
def add_room(st: State, node: int, shape: int, first: int, last: int, sign: int) -> None:
    """Gives room back at the levels first..last (sign 1), or takes it (sign -1)."""
    for level in range(first, last + 1):
        for r in range(st.need.shape[1]):
            st.free[level, node, r] += sign * st.need[shape, r]
        touch(st, level, node)


@kernel
def top_level(st: State, job: int) -> int:
    """The highest level at which a job counts."""
    if st.class_fixed[st.class_of[st.shape[job]]]:
        return st.free.shape[0] - 1
    return st.level[job]


@kernel
def note(st: State, kind: int, job: int) -> None:
    """Writes the journal."""
    at = st.counters[JOURNAL]
    st.journal[at, 0] = kind
    st.journal[at, 1] = job
    st.counters[JOURNAL] = at + 1


@kernel
def note_freed(st: State, node: int, low: int, high: int) -> None:
    """Room at level 0 grew. For candidates at the levels low..high that makes nothing easier than it was."""
    at = st.freed_end[0] % FREED_RING
    st.freed_node[at] = node
    st.freed_low[at] = low
    st.freed_high[at] = high
    st.freed_end[0] += 1


@kernel
def set_cluster(st: State, cluster: int, is_open: int) -> None:
    """Opens or closes the nodes of a cluster for new jobs."""
    for i in range(st.cluster_ptr[cluster], st.cluster_ptr[cluster + 1]):
        node = st.cluster_node[i]
        st.open[node] = is_open
        for level in range(st.free.shape[0]):
            touch(st, level, node)
        if is_open:
            note_freed(st, node, wide(1), wide(0))
    forget(st)


@kernel
def place(st: State, job: int, node: int, level: int, method: int) -> None:
    """Puts a waiting job on a node."""
    st.node[job] = node
    st.level[job] = level
    st.method[job] = method
    st.status[job] = PLACED
    st.fresh[job] = 1
    add_room(st, node, st.shape[job], wide(0), top_level(st, job), wide(-1))
    cluster = st.cluster[node]
    st.cluster_left[cluster] -= 1
    if st.cluster_left[cluster] == 0:
        set_cluster(st, cluster, wide(0))
    note(st, wide(DID_PLACE), job)


@kernel
def evict(st: State, job: int) -> None:
    """Makes a job's room free for all but candidates that hurt nobody."""
    st.status[job] = EVICTED
    st.by[job] = -1
    add_room(st, st.node[job], st.shape[job], wide(1), st.level[job], wide(1))


@kernel
def has_returned(st: State, job: int, check_level: int) -> bool:
    """Lets an evicted job return to its node if what it asks for is there."""
    node, shape = st.node[job], st.shape[job]
    if not st.always[node]:
        for r in range(st.need.shape[1]):
            if st.need[shape, r] > 0 and st.need[shape, r] > st.free[check_level, node, r]:
                return False
    add_room(st, node, shape, wide(1), st.level[job], wide(-1))
    st.status[job] = PLACED if st.fresh[job] else BOUND
    note(st, wide(DID_RETURN), job)
    return True


@kernel
def preempt(st: State, job: int, by: int, reason: int, low: int, high: int) -> None:
    """Takes the place of an evicted job away for good."""
    st.journal[st.counters[JOURNAL], 2] = st.by[job]
    st.status[job] = PREEMPTED
    st.by[job] = by
    st.reason[job] = reason
    add_room(st, st.node[job], st.shape[job], wide(0), wide(0), wide(1))
    st.counters[FAIR_LEFT] -= 1
    note_freed(st, st.node[job], low, high)
    note(st, wide(DID_PREEMPT), job)


@kernel
def undo(st: State, mark: int) -> None:
    """Takes back everything since the journal had this length."""
    while st.counters[JOURNAL] > mark:
        st.counters[JOURNAL] -= 1
        kind, job = st.journal[st.counters[JOURNAL], 0], st.journal[st.counters[JOURNAL], 1]
        node, shape = st.node[job], st.shape[job]
        if kind == DID_PLACE:
            add_room(st, node, shape, wide(0), top_level(st, job), wide(1))
            st.status[job] = WAITING
            st.fresh[job] = 0
            cluster = st.cluster[node]
            st.cluster_left[cluster] += 1
            if st.cluster_left[cluster] == 1:
                set_cluster(st, cluster, wide(1))
            note_freed(st, node, wide(1), wide(0))
        elif kind == DID_PREEMPT:
            add_room(st, node, shape, wide(0), wide(0), wide(-1))
            st.status[job] = EVICTED
            st.by[job] = st.journal[st.counters[JOURNAL], 2]
            st.counters[FAIR_LEFT] += 1
            st.counters[TAIL] = st.evicted_at.size
            note_freed(st, node, wide(1), wide(0))
        else:
            add_room(st, node, shape, wide(1), st.level[job], wide(1))
            st.status[job] = EVICTED
