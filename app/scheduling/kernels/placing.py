"""The four steps of placing a job, gangs all or nothing, and the return of evicted units.

For each way of the job's shape, home first: (1) a node where nobody is hurt; (2) is there room at its own level at
all; (3) fair-share preemption; (4) urgency preemption, at the lowest level that has room.
"""

import numpy as np

from app.scheduling.kernels.best_fit import best_node, is_avoided, is_listed, scan, search
from app.scheduling.kernels.fair_preemption import from_list, victim_node
from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.node_index import takes
from app.scheduling.kernels.rooms import has_returned, place, preempt, undo
from app.scheduling.kernels.state import (
    AWAY_OFFSET,
    BALANCING,
    EVICTED,
    EXHAUSTED,
    FAIR,
    FAIR_LEFT,
    FREE,
    JOURNAL,
    NEVER,
    NOWHERE,
    URGENCY,
    URGENT,
    State,
)

FOR_FAIRNESS, FOR_GANG = 0, 2
SCANNED_MAX = 256
"""More nodes of a label value than this are searched by the index."""


@kernel
def _find(st: State, level: int, way: int, shape: int, only: np.ndarray, avoid: np.ndarray) -> int:
    """The best node at a level: of all, or of `only` if it names some, and not in `avoid`."""
    if only.size and (only.size <= SCANNED_MAX or st.way_pinned[way]):
        return scan(st, level, shape, only, way, avoid)
    if st.way_pinned[way]:
        return scan(st, level, shape, st.way_node[st.way_node_ptr[way] : st.way_node_ptr[way + 1]], wide(-1), avoid)
    if only.size:
        best = best_node(st, level, way, shape)
        if best < 0 or (is_listed(only, best) and not is_avoided(avoid, best)):
            return best
    if only.size or avoid.size:
        return search(st, level, way, shape, only, avoid)
    return best_node(st, level, way, shape)


@kernel
def _is_feasible(st: State, way: int, shape: int, only: np.ndarray, avoid: np.ndarray) -> bool:
    """Whether some node has room at the level of the way."""
    level = st.way_level[way]
    plain = only.size == 0 and avoid.size == 0
    if plain:
        node = st.witness[way]
        if node >= 0 and takes(st, level, node, shape):
            return True
    node = _find(st, level, way, shape, only, avoid)
    if plain:
        # What is on the journal may be undone; all else that took room stays.
        st.witness[way] = NEVER if node < 0 and st.counters[JOURNAL] == 0 else node
    return node >= 0


@kernel
def _victims(st: State, way: int, shape: int, only: np.ndarray, avoid: np.ndarray) -> int:
    if only.size:
        return from_list(st, only, way, shape, avoid)
    if st.way_pinned[way]:
        return from_list(st, st.way_node[st.way_node_ptr[way] : st.way_node_ptr[way + 1]], way, shape, avoid)
    return victim_node(st, way, shape, avoid)


@kernel
def _preempt_unit(st: State, job: int, by: int, low: int, high: int) -> None:
    """Preempts an evicted job, and its gang with it."""
    preempt(st, job, by, wide(FOR_FAIRNESS), low, high)
    unit = st.unit[job]
    if unit >= 0:
        for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
            if st.status[st.unit_job[i]] == EVICTED:
                preempt(st, st.unit_job[i], by, wide(FOR_GANG), wide(1), wide(0))


@kernel
def _make_room(st: State, node: int, job: int, level: int) -> int:
    """Preempts what must go from a node. Returns the highest level of it, or EXHAUSTED with some of it preempted."""
    shape = st.shape[job]
    highest = 0
    for r in range(st.scratch.size):
        st.scratch[r] = st.free[0, node, r]
    end = st.evicted_node_ptr[node]
    enough = False
    while not enough:
        victim = st.evicted_node[end]
        end += 1
        if st.status[victim] != EVICTED or st.level[victim] > level:
            continue
        highest = max(highest, st.level[victim])
        enough = True
        for r in range(st.scratch.size):
            st.scratch[r] += st.need[st.shape[victim], r]
            if st.need[shape, r] > st.scratch[r]:
                enough = False
    for i in range(st.evicted_node_ptr[node], end):
        victim = st.evicted_node[i]
        if st.status[victim] == EVICTED and st.level[victim] <= level:
            _preempt_unit(st, victim, job, highest, level)
            if st.counters[FAIR_LEFT] < 0:
                return EXHAUSTED
    return highest


@kernel
def place_job(st: State, job: int, only: np.ndarray) -> int:
    """Places one job. Returns the highest level that it preempts (0: none), NOWHERE, or EXHAUSTED."""
    shape = st.shape[job]
    avoid = st.avoid_node[st.avoid_ptr[job] : st.avoid_ptr[job + 1]]
    for way in range(st.way_ptr[shape], st.way_ptr[shape + 1]):
        if st.witness[way] == NEVER:
            # Nor at level 0, where nothing has more room.
            continue
        level = st.way_level[way]
        method, hurt = FREE, 0
        node = _find(st, wide(0), way, shape, only, avoid)
        if node < 0:
            if not _is_feasible(st, way, shape, only, avoid):
                continue
            if st.counters[BALANCING]:
                node = _victims(st, way, shape, only, avoid)
                method = FAIR
            if node >= 0:
                hurt = _make_room(st, node, job, level)
                if hurt == EXHAUSTED:
                    return EXHAUSTED
            elif st.counters[URGENCY]:
                method = URGENT
                while node < 0 and hurt < level:
                    hurt += 1
                    node = _find(st, hurt, way, shape, only, avoid)
        if node >= 0:
            place(st, job, node, level, method + AWAY_OFFSET * st.way_away[way])
            return hurt
    return NOWHERE


@kernel
def _place_members(st: State, unit: int, only: np.ndarray) -> int:
    """Places all members of a gang or none. Returns the sum of what they preempt by weight of level, or why not."""
    mark = st.counters[JOURNAL]
    total = 0
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        hurt = place_job(st, st.unit_job[i], only)
        if hurt < 0:
            undo(st, mark)
            return hurt
        total += st.level_weight[hurt]
    return total


@kernel
def _has_capacity(st: State, unit: int, only: np.ndarray) -> bool:
    """Whether the nodes of a label value can hold the gang's total request of the resource it needs most nodes for."""
    members = st.unit_ptr[unit + 1] - st.unit_ptr[unit]
    shape = st.shape[st.unit_job[st.unit_ptr[unit]]]
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        if st.shape[st.unit_job[i]] != shape:
            return True
    highest = st.free.shape[0] - 1
    room = 0
    for i in range(only.size):
        fit = members
        for r in range(st.need.shape[1]):
            need, have = st.need[shape, r], st.free[highest, only[i], r]
            if need > 0 and have < fit * need:
                fit = have // need if have >= need else 0
        room += fit
        if room >= members:
            return True
    return False


@kernel
def place_gang(st: State, unit: int) -> int:
    """Places a gang. With a uniformity label: on nodes of one value, the one that preempts at the lowest priorities."""
    label = st.unit_label[unit]
    if label < 0:
        return _place_members(st, unit, st.value_node[:0])
    best, least = NOWHERE, 0
    for value in range(st.label_ptr[label], st.label_ptr[label + 1]):
        only = st.value_node[st.value_ptr[value] : st.value_ptr[value + 1]]
        if not _has_capacity(st, unit, only):
            continue
        mark = st.counters[JOURNAL]
        hurt = _place_members(st, unit, only)
        if hurt == 0 or hurt == EXHAUSTED:
            return hurt
        if hurt > 0:
            if best < 0 or hurt < least:
                best, least = value, hurt
            undo(st, mark)
    if best < 0:
        return NOWHERE
    return _place_members(st, unit, st.value_node[st.value_ptr[best] : st.value_ptr[best + 1]])


@kernel
def place_unit(st: State, job: int) -> int:
    """Places a job or the gang that it stands for. Returns what `place_job` returns."""
    if st.unit[job] >= 0:
        return place_gang(st, st.unit[job])
    mark = st.counters[JOURNAL]
    hurt = place_job(st, job, st.value_node[:0])
    if hurt < 0:
        undo(st, mark)
    return hurt


@kernel
def return_unit(st: State, job: int, check_level: int) -> bool:
    """Lets an evicted unit return as a whole. check_level < 0: each job at its own level."""
    unit = st.unit[job]
    if unit < 0:
        return has_returned(st, job, st.level[job] if check_level < 0 else check_level)
    mark = st.counters[JOURNAL]
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        member = st.unit_job[i]
        if st.status[member] == EVICTED and not has_returned(
            st, member, st.level[member] if check_level < 0 else check_level
        ):
            undo(st, mark)
            return False
    return True
