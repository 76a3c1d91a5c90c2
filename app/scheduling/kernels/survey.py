"""One look at every job before the loop: what queues hold and want, which runs may go, who has room at which level."""

import numpy as np

from app.scheduling.kernels.jit import kernel
from app.scheduling.kernels.state import I32, I64, U8

HELD_MAX = 1 << 59
LOW_BITS = 26
"""Amounts are summed in two halves, so that no sum overflows."""
LOW_MASK = (1 << LOW_BITS) - 1
SLOTS = 64
FOREIGN = -(1 << 40)


@kernel
def _add(low: I64, high: I64, amounts: I64, row: int, shape: int, times: int) -> None:
    if times > 0:
        for r in range(amounts.shape[1]):
            low[row, r] += times * (amounts[shape, r] & LOW_MASK)
            high[row, r] += times * (amounts[shape, r] >> LOW_BITS)


@kernel
def add_up(
    queue: I32,
    shape: I32,
    running: U8,
    waiting: U8,
    closed: U8,
    group: I64,
    amounts: I64,
    low: I64,
    high: I64,
    counts: I64,
) -> None:
    """Sums the amounts (S, R) of jobs of listed queues, by queue and group of their shape, in halves.

    closed: by queue, its waiting jobs do not count. low, high: (2 * Q * groups, R), runs first; row queue * groups +
    group. counts: (Q,), the jobs that count.
    """
    half = low.shape[0] // 2
    groups = half // max(closed.size, 1)
    # Neighbours are often alike: what they ask for is added once for all.
    alike, last_row, last_shape = 0, 0, 0
    for job in range(queue.size):
        q = queue[job]
        if q < 0:
            continue
        row = 0
        if not running[job]:
            if not waiting[job] or closed[q]:
                continue
            row = half
        s = shape[job]
        row += q * groups + group[s]
        counts[q] += 1
        if row != last_row or s != last_shape:
            _add(low, high, amounts, last_row, last_shape, alike)
            alike, last_row, last_shape = 0, row, s
        alike += 1
    _add(low, high, amounts, last_row, last_shape, alike)


@kernel
def note_held(holding: U8, shape: I32, node: I32, by_shape: I64, by_node: U8) -> None:
    """How many jobs of each shape hold room, and which nodes have any."""
    for job in range(holding.size):
        if holding[job]:
            by_shape[shape[job]] += 1
            by_node[node[job]] = 1


@kernel
def may_go(running: U8, queue: I32, shape: I32, node: I32, of_shape: U8, of_node: U8, mask: U8) -> None:
    """Marks runs of listed queues whose shape and node allow that they are evicted."""
    for job in range(running.size):
        mask[job] = running[job] and queue[job] >= 0 and of_shape[shape[job]] and of_node[node[job]]


@kernel
def values_of(values: I32, mask: U8, found: I32) -> int:
    """The values where the mask is set, with few repetitions. Returns how many of `found` are written."""
    last = np.full(SLOTS, FOREIGN, np.int64)
    count = 0
    for i in range(values.size):
        if mask[i] and last[values[i] % SLOTS] != values[i]:
            last[values[i] % SLOTS] = values[i]
            found[count] = values[i]
            count += 1
    return count


@kernel
def rank_runs(
    evictable: U8, priority: I32, priorities: I64, queue: I32, over: U8, level: I64, runs: I64, evicted: I64
) -> int:
    """The level of each run that may be evicted: 1 + the place of its priority. Lists those, and those of queues that
    are `over`. Returns how many the latter are."""
    count, balanced = 0, 0
    known, at = FOREIGN, 0
    for job in range(evictable.size):
        if not evictable[job]:
            continue
        if priority[job] != known:
            known = priority[job]
            at = np.searchsorted(priorities, known)
        level[job] = at + 1
        runs[count] = job
        count += 1
        if over[queue[job]]:
            evicted[balanced] = job
            balanced += 1
    return balanced


@kernel
def fill_rooms(
    free: I64, capacity: I64, need: I64, holding: U8, shape: I32, node: I32, evictable: U8, level: I64
) -> None:
    """What nodes (N, R) have left at each level, into `free` (L, N, R), which is 0. Absurd sums stop at HELD_MAX.

    Runs that may be evicted hold room at their level and below, others at all.
    """
    top = free.shape[0] - 1
    largest = 0
    for s in range(need.shape[0]):
        for r in range(need.shape[1]):
            largest = max(largest, need[s, r])
    is_safe = largest <= HELD_MAX // max(holding.size, 1)
    for job in range(holding.size):
        if not holding[job]:
            continue
        at, n, s = level[job] if evictable[job] else top, node[job], shape[job]
        for r in range(free.shape[2]):
            if is_safe or free[at, n, r] < HELD_MAX:
                free[at, n, r] += need[s, r]
    held = np.zeros((free.shape[1], free.shape[2]), np.int64)
    for at in range(top, -1, -1):
        for n in range(free.shape[1]):
            for r in range(free.shape[2]):
                if held[n, r] < HELD_MAX:
                    held[n, r] += free[at, n, r]
                free[at, n, r] = capacity[n, r] - min(held[n, r], HELD_MAX)
