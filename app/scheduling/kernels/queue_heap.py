"""Whose turn it is: a binary heap of queues by the key of their heads.

Order: class priority (in the repair: level) of the head desc; then cost of what the queue holds with the head, by
weight; then name. With prefer-large: queues within their budget first, by cost without the head, larger heads first;
then those above it by cost with the head. A key is made when a head becomes one, and kept.
"""

import numpy as np

from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.state import State


@kernel
def cost_of(st: State, queue: int, with_held: int, more: np.ndarray, with_more: int) -> float:
    """The largest share of any resource that what a queue is charged with (if 1) and `more` (if 1) take, at least 0."""
    largest = 0.0
    for i in range(st.cost_column.size):
        c = st.cost_column[i]
        amount = with_held * st.charged[queue, c] + with_more * more[c]
        share = amount / st.cost_total[i] * st.cost_factor[i]
        if share > largest:
            largest = share
    return largest


@kernel
def ask_of(st: State, job: int, wanted: int, ask: np.ndarray) -> int:
    """Adds up what the members of a unit that have the status `wanted` ask for. Returns how many they are."""
    unit, shape = st.unit[job], st.shape[job]
    if unit < 0:
        for r in range(ask.size):
            ask[r] = st.ask[shape, r]
        return 1
    for r in range(ask.size):
        ask[r] = 0
    members = 0
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        member = st.unit_job[i]
        if st.status[member] == wanted:
            for r in range(ask.size):
                ask[r] += st.ask[st.shape[member], r]
            members += 1
    return members


@kernel
def set_key(st: State, queue: int, job: int, wanted: int, by_level: bool, large: bool) -> None:
    """Makes the key of a queue from its head, of whose members those with the status `wanted` count."""
    ask_of(st, job, wanted, st.head_ask)
    if by_level:
        st.turn_priority[queue] = st.level[job]
    else:
        st.turn_priority[queue] = st.class_priority[st.class_of[st.shape[job]]]
    cost = cost_of(st, queue, wide(1), st.head_ask, wide(1)) / st.weight[queue]
    st.turn_over[queue] = 0
    st.turn_size[queue] = 0.0
    if large:
        if cost > st.budget[queue]:
            st.turn_over[queue] = 1
        else:
            st.turn_size[queue] = cost_of(st, queue, wide(0), st.head_ask, wide(1)) * st.weight[queue]
            cost = cost_of(st, queue, wide(1), st.head_ask, wide(0)) / st.weight[queue]
    st.turn_cost[queue] = cost


@kernel
def _is_first(st: State, a: int, b: int) -> bool:
    if st.turn_priority[a] != st.turn_priority[b]:
        return st.turn_priority[a] > st.turn_priority[b]
    if st.turn_over[a] != st.turn_over[b]:
        return st.turn_over[a] < st.turn_over[b]
    if st.turn_cost[a] != st.turn_cost[b]:
        return st.turn_cost[a] < st.turn_cost[b]
    if st.turn_size[a] != st.turn_size[b]:
        return st.turn_size[a] > st.turn_size[b]
    return st.rank[a] < st.rank[b]


@kernel
def sink(st: State, at: int) -> None:
    """Moves the queue at this place of the heap down to where it belongs."""
    heap, length = st.turn_heap, st.turn_length[0]
    queue = heap[at]
    while True:
        child = 2 * at + 1
        if child >= length:
            break
        if child + 1 < length and _is_first(st, heap[child + 1], heap[child]):
            child += 1
        if not _is_first(st, heap[child], queue):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = queue


@kernel
def start(st: State) -> None:
    """Makes a heap of the queues that were appended."""
    for at in range(st.turn_length[0] // 2 - 1, -1, -1):
        sink(st, at)


@kernel
def append(st: State, queue: int) -> None:
    """Adds a queue; `start` must follow."""
    st.turn_heap[st.turn_length[0]] = queue
    st.turn_length[0] += 1


@kernel
def drop_first(st: State) -> None:
    """Removes the first queue."""
    st.turn_length[0] -= 1
    st.turn_heap[0] = st.turn_heap[st.turn_length[0]]
    if st.turn_length[0] > 0:
        sink(st, wide(0))
