"""The passes of a round: eviction, numbering of the evicted, scheduling, and the repair of overdrawn levels."""

import numpy as np

from app.scheduling.kernels.capped import is_capped, set_capped
from app.scheduling.kernels.floating import is_taken, release, take_back
from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.placing import place_unit, return_unit
from app.scheduling.kernels.queue_heap import append, ask_of, drop_first, set_key, sink, start
from app.scheduling.kernels.rooms import evict
from app.scheduling.kernels.state import (
    BALANCING,
    BOUND,
    BUDGET,
    BURST,
    BURST_TOO_SMALL,
    CONSIDERED,
    DECISIONS,
    EVICTED,
    EXHAUSTED,
    FLOATING,
    FLOATING_MOVES,
    JOURNAL,
    NO_NODE_FITS,
    ORDERED,
    PLACED,
    QUEUE_LIMIT,
    QUEUE_RATE,
    RATE,
    ROUND_LIMIT,
    TAIL,
    TOKENS,
    UNDECIDED,
    WAITING,
    State,
)


@kernel
def charge(st: State, job: int) -> None:
    """Counts a unit that was placed or has returned for its queue."""
    _charge_queue(st, job, wide(1))
    unit = st.unit[job]
    if unit < 0:
        _charge_class(st, job, wide(1))
        return
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        _charge_class(st, st.unit_job[i], wide(1))


@kernel
def _charge_queue(st: State, job: int, sign: int) -> None:
    """Counts a unit for its queue, or no longer (sign -1), but not for its class."""
    queue, unit = st.queue[job], st.unit[job]
    if unit < 0:
        shape = st.shape[job]
        for r in range(st.ask.shape[1]):
            st.charged[queue, r] += sign * st.ask[shape, r]
        return
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        shape = st.shape[st.unit_job[i]]
        for r in range(st.ask.shape[1]):
            st.charged[queue, r] += sign * st.ask[shape, r]


@kernel
def _charge_class(st: State, job: int, sign: int) -> None:
    """Counts a job for its class in its queue, where that is capped."""
    if st.cap_held.shape[0] == 0:
        return
    shape = st.shape[job]
    row = st.cap_row[st.queue[job] * st.class_priority.size + st.class_of[shape]]
    if row >= 0:
        for r in range(st.ask.shape[1]):
            st.cap_held[row, r] += sign * st.ask[shape, r]


@kernel
def evict_all(st: State, jobs: np.ndarray) -> None:
    """Evicts these jobs."""
    for i in range(jobs.size):
        job = jobs[i]
        queue, shape = st.queue[job], st.shape[job]
        evict(st, job)
        for r in range(st.ask.shape[1]):
            st.charged[queue, r] -= st.ask[shape, r]
        _charge_class(st, job, wide(-1))
        if st.counters[FLOATING_MOVES]:
            release(st, job)


@kernel
def _copy(to: np.ndarray, rows: np.ndarray) -> None:
    for i in range(rows.shape[0]):
        for r in range(rows.shape[1]):
            to[i, r] = rows[i, r]


@kernel
def number_evicted(st: State, by_level: bool, large: bool) -> None:
    """Numbers evicted jobs in the order in which they would return if all did."""
    st.turn_length[0] = 0
    at = np.empty(st.rank.size, np.int64)
    before = np.empty((st.charged.shape[0], st.charged.shape[1]), np.int64)
    _copy(before, st.charged)
    count = 0
    for queue in range(st.rank.size):
        at[queue] = st.evicted_ptr[queue]
        if at[queue] < st.evicted_ptr[queue + 1]:
            set_key(st, queue, st.evicted_unit[at[queue]], wide(EVICTED), by_level, large)
            append(st, queue)
    start(st)
    while st.turn_length[0] > 0:
        queue = st.turn_heap[0]
        job = st.evicted_unit[at[queue]]
        unit = st.unit[job]
        if unit < 0:
            st.evicted_at[count] = job
            count += 1
        else:
            for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
                st.evicted_at[count] = st.unit_job[i]
                count += 1
        _charge_queue(st, job, wide(1))
        at[queue] += 1
        if at[queue] < st.evicted_ptr[queue + 1]:
            set_key(st, queue, st.evicted_unit[at[queue]], wide(EVICTED), by_level, large)
            sink(st, wide(0))
        else:
            drop_first(st)
    _copy(st.charged, before)
    st.counters[TAIL] = count
    _list_by_node(st, count)


@kernel
def _list_by_node(st: State, count: int) -> None:
    pointer = st.evicted_node_ptr
    for i in range(count):
        pointer[st.node[st.evicted_at[i]] + 1] += 1
    for node in range(st.group.size):
        pointer[node + 1] += pointer[node]
    at = np.empty(st.group.size, np.int64)
    for node in range(st.group.size):
        at[node] = pointer[node]
    for i in range(count - 1, -1, -1):
        job = st.evicted_at[i]
        st.evicted_node[at[st.node[job]]] = job
        st.evicted_number[at[st.node[job]]] = i
        at[st.node[job]] += 1


@kernel
def _give_reason(st: State, job: int, reason: int) -> None:
    unit = st.unit[job]
    if unit < 0:
        st.reason[job] = reason
        return
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        st.reason[st.unit_job[i]] = reason


@kernel
def _over(st: State) -> int:
    """Why nothing new may be looked at any more, or UNDECIDED."""
    if st.counters[CONSIDERED] >= st.counters[BUDGET]:
        return DECISIONS
    for r in range(st.round_limit.size):
        if st.round_placed[r] > st.round_limit[r]:
            return ROUND_LIMIT
    if st.tokens[TOKENS] < 1:
        return RATE
    return UNDECIDED


@kernel
def refusal(st: State, queue: int, job: int, ask: np.ndarray, members: int) -> int:
    """Why limits forbid a candidate, or UNDECIDED."""
    if members > 1:
        if members > st.tokens[BURST] or members > st.queue_burst[queue]:
            return BURST_TOO_SMALL
        if st.tokens[TOKENS] < members:
            return RATE
        if st.queue_tokens[queue] < members:
            return QUEUE_RATE
    shape = st.shape[job]
    single = st.unit[job] < 0
    row = st.cap_row[queue * st.class_priority.size + st.class_of[shape]]
    if row >= 0:
        for r in range(ask.size):
            if st.cap_held[row, r] + ask[r] > st.cap_limit[row, r]:
                if single:
                    set_capped(st, queue * st.ask.shape[0] + shape)
                return QUEUE_LIMIT
    for r in range(ask.size):
        if st.is_floating[r] and ask[r] > 0 and ask[r] > st.floating_left[r]:
            if single:
                st.blocked[shape] = FLOATING + 1
            return FLOATING
    return UNDECIDED


@kernel
def _try_return(st: State, job: int, check_level: int) -> None:
    """An evicted unit returns, if its floating resources and its room are still there."""
    moves = st.counters[FLOATING_MOVES]
    if moves and is_taken(st, job):
        return
    if return_unit(st, job, check_level):
        if moves:
            take_back(st)
        charge(st, job)
        st.counters[JOURNAL] = 0


@kernel
def _return_all(st: State) -> None:
    """Balancing is over: whoever is evicted still returns, in order of number."""
    st.counters[BALANCING] = 0
    for i in range(st.evicted_at.size):
        job = st.evicted_at[i]
        if st.status[job] == EVICTED and return_unit(st, job, wide(-1)):
            charge(st, job)
            st.counters[JOURNAL] = 0


@kernel
def _try_new(st: State, queue: int, job: int) -> None:
    """A queue's next candidate tries its luck."""
    shape = st.shape[job]
    single = st.unit[job] < 0
    if single and st.blocked[shape]:
        st.reason[job] = st.blocked[shape] - 1
        return
    st.counters[CONSIDERED] += 1
    ask = st.unit_ask
    members = ask_of(st, job, wide(WAITING), ask)
    reason = refusal(st, queue, job, ask, members)
    if reason != UNDECIDED:
        _give_reason(st, job, reason)
        return
    hurt = place_unit(st, job)
    if hurt == EXHAUSTED:
        _return_all(st)
        hurt = place_unit(st, job)
    if hurt < 0:
        _give_reason(st, job, wide(NO_NODE_FITS))
        if single and st.avoid_ptr[job] == st.avoid_ptr[job + 1]:
            st.blocked[shape] = NO_NODE_FITS + 1
        return
    st.counters[JOURNAL] = 0
    for r in range(ask.size):
        st.round_placed[r] += ask[r]
        if st.is_floating[r]:
            st.floating_left[r] -= ask[r]
            if ask[r] > 0:
                st.floating_taker[r] = job
    st.tokens[TOKENS] -= members
    st.queue_tokens[queue] -= members
    charge(st, job)
    _note_placed(st, job)


@kernel
def _note_placed(st: State, job: int) -> None:
    unit = st.unit[job]
    if unit < 0:
        st.ordered[st.counters[ORDERED]] = job
        st.counters[ORDERED] += 1
        return
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        st.ordered[st.counters[ORDERED]] = st.unit_job[i]
        st.counters[ORDERED] += 1


@kernel
def _advance(st: State, queue: int, by_level: bool, large: bool) -> bool:
    """Makes the queue's next unit its head; False when there is none."""
    at, end = st.evicted_turn[queue], st.evicted_ptr[queue + 1]
    while at < end and st.status[st.evicted_unit[at]] != EVICTED:
        at += 1
    st.evicted_turn[queue] = at
    if at < end:
        set_key(st, queue, st.evicted_unit[at], wide(EVICTED), by_level, large)
        return True
    if st.closed[queue]:
        return False
    at, end = st.waiting_turn[queue], st.waiting_ptr[queue + 1]
    base = queue * st.ask.shape[0]
    while at < end:
        job = st.waiting_unit[at]
        if st.unit[job] >= 0:
            break
        shape = st.shape[job]
        if st.blocked[shape]:
            at = st.waiting_run[at]
        elif st.capped.size and is_capped(st, base + shape):
            st.reason[job] = QUEUE_LIMIT
            at += 1
        else:
            break
    st.waiting_turn[queue] = at
    if at < end:
        set_key(st, queue, st.waiting_unit[at], wide(WAITING), by_level, large)
        return True
    return False


@kernel
def run(st: State, by_level: bool, large: bool) -> int:
    """Takes turns until nobody has anything left to try. Returns why new work ended early, or UNDECIDED.

    by_level: the repair, where evicted units only are listed and return at any level.
    """
    st.turn_length[0] = 0
    over = UNDECIDED
    for queue in range(st.rank.size):
        if _advance(st, queue, by_level, large):
            append(st, queue)
    start(st)
    while st.turn_length[0] > 0:
        queue = st.turn_heap[0]
        if st.evicted_turn[queue] < st.evicted_ptr[queue + 1]:
            job = st.evicted_unit[st.evicted_turn[queue]]
            st.evicted_turn[queue] += 1
            if st.status[job] == EVICTED:
                _try_return(st, job, wide(1) if by_level else wide(-1))
        else:
            if over == UNDECIDED:
                over = _over(st)
            if over == UNDECIDED and st.queue_tokens[queue] < 1:
                st.closed[queue] = QUEUE_RATE + 1
            if over != UNDECIDED:
                st.closed[queue] = over + 1
            if not st.closed[queue]:
                job = st.waiting_unit[st.waiting_turn[queue]]
                st.waiting_turn[queue] += 1
                _try_new(st, queue, job)
        if _advance(st, queue, by_level, large):
            sink(st, wide(0))
        else:
            drop_first(st)
    return over


@kernel
def _overdrawn_nodes(st: State, marks: np.ndarray) -> bool:
    """Marks the nodes that are overdrawn at some level of jobs. Returns whether there are any."""
    found = False
    for level in range(1, st.free.shape[0]):
        for node in range(st.free.shape[1]):
            for r in range(st.free.shape[2]):
                if st.free[level, node, r] < 0:
                    marks[node] = 1
                    found = True
    return found


@kernel
def _is_overdrawn(st: State, job: int) -> bool:
    for r in range(st.free.shape[2]):
        if st.free[st.level[job], st.node[job], r] < 0:
            return True
    return False


@kernel
def overdrawn_jobs(st: State, runs: np.ndarray) -> np.ndarray:
    """Of these runs (that may be evicted) and what was placed, those that hold room at an overdrawn level."""
    marks = np.zeros(st.group.size, np.uint8)
    if not _overdrawn_nodes(st, marks):
        return np.empty(0, np.int64)
    count = 0
    result = np.empty(runs.size + st.counters[ORDERED], np.int64)
    for i in range(runs.size):
        job = runs[i]
        if st.status[job] == BOUND and marks[st.node[job]] and _is_overdrawn(st, job):
            result[count] = job
            count += 1
    for i in range(st.counters[ORDERED]):
        job = st.ordered[i]
        if st.status[job] != PLACED or st.class_fixed[st.class_of[st.shape[job]]] or not marks[st.node[job]]:
            continue
        if _is_overdrawn(st, job):
            result[count] = job
            count += 1
    return result[:count]
