"""Whose turn it is: a binary heap of queues by the key of their heads.

Order: class priority (in the repair: level) of the head desc; then cost of what the queue holds with the head, by
weight; then name. With prefer-large: queues within their budget first, by cost without the head, larger heads first;
then those above it by cost with the head. A key is made when a head becomes one, and kept.
"""

from typing import NamedTuple

import numpy as np

from app.scheduling.kernels.jit import kernel
from app.scheduling.kernels.state import EVICTED, F64, I64, WAITING, State


class Keys(NamedTuple):
    """The keys of all queues, the heap of queues, and its length."""

    priority: I64
    over: I64
    cost: F64
    size: F64
    heap: I64
    length: I64
    ask: I64  # (R,) of the head being judged


@kernel
def new_keys(st: State) -> Keys:
    """No queue in the heap."""
    queues = st.rank.size
    return Keys(
        np.zeros(queues, np.int64),
        np.zeros(queues, np.int64),
        np.zeros(queues, np.float64),
        np.zeros(queues, np.float64),
        np.zeros(queues, np.int64),
        np.zeros(1, np.int64),
        np.zeros(st.ask.shape[1], np.int64),
    )


@kernel
def cost_of(st: State, held: np.ndarray, more: np.ndarray) -> float:
    """The largest share of any resource that both amounts together take, not below 0."""
    largest = 0.0
    for i in range(st.cost_column.size):
        c = st.cost_column[i]
        share = (held[c] + more[c]) / st.cost_total[i] * st.cost_factor[i]
        if share > largest:
            largest = share
    return largest


@kernel
def ask_of(st: State, job: int, evicted: bool, ask: np.ndarray) -> int:
    """Adds up what the unit of a job asks for; of evicted gangs what is evicted still. Returns its members."""
    unit = st.unit[job]
    if unit < 0:
        ask[:] = st.ask[st.shape[job]]
        return 1
    ask[:] = 0
    members = 0
    wanted = EVICTED if evicted else WAITING
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        member = st.unit_job[i]
        if st.status[member] == wanted:
            ask += st.ask[st.shape[member]]
            members += 1
    return members


@kernel
def set_key(st: State, keys: Keys, queue: int, job: int, evicted: bool, by_level: bool, large: bool) -> None:
    """Makes the key of a queue from its head."""
    ask_of(st, job, evicted, keys.ask)
    if by_level:
        keys.priority[queue] = st.level[job]
    else:
        keys.priority[queue] = st.class_priority[st.class_of[st.shape[job]]]
    charged = st.charged[queue]
    cost = cost_of(st, charged, keys.ask) / st.weight[queue]
    keys.over[queue] = 0
    keys.size[queue] = 0.0
    if large:
        if cost > st.budget[queue]:
            keys.over[queue] = 1
        else:
            size = cost_of(st, np.zeros_like(keys.ask), keys.ask)
            keys.size[queue] = size * st.weight[queue]
            cost = cost_of(st, charged, np.zeros_like(keys.ask)) / st.weight[queue]
    keys.cost[queue] = cost


@kernel
def _is_first(st: State, keys: Keys, a: int, b: int) -> bool:
    if keys.priority[a] != keys.priority[b]:
        return keys.priority[a] > keys.priority[b]
    if keys.over[a] != keys.over[b]:
        return keys.over[a] < keys.over[b]
    if keys.cost[a] != keys.cost[b]:
        return keys.cost[a] < keys.cost[b]
    if keys.size[a] != keys.size[b]:
        return keys.size[a] > keys.size[b]
    return st.rank[a] < st.rank[b]


@kernel
def sink(st: State, keys: Keys, at: int) -> None:
    """Moves the queue at this place of the heap down to where it belongs."""
    heap, length = keys.heap, keys.length[0]
    queue = heap[at]
    while True:
        child = 2 * at + 1
        if child >= length:
            break
        if child + 1 < length and _is_first(st, keys, heap[child + 1], heap[child]):
            child += 1
        if not _is_first(st, keys, heap[child], queue):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = queue


@kernel
def start(st: State, keys: Keys) -> None:
    """Makes a heap of the queues that were appended."""
    for at in range(keys.length[0] // 2 - 1, -1, -1):
        sink(st, keys, at)


@kernel
def append(keys: Keys, queue: int) -> None:
    """Adds a queue; `start` must follow."""
    keys.heap[keys.length[0]] = queue
    keys.length[0] += 1


@kernel
def drop_first(st: State, keys: Keys) -> None:
    """Removes the first queue."""
    keys.length[0] -= 1
    keys.heap[0] = keys.heap[keys.length[0]]
    if keys.length[0] > 0:
        sink(st, keys, 0)
