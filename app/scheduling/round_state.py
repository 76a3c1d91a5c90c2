"""From a `Round` to what the kernels work on: who is evicted, at which levels, with which nodes open.

Input: a round, who takes part in it, its figures. Output: the `State`, and the lists of units by queue.
"""

from dataclasses import dataclass

import numpy as np

from app.scheduling.arrays import NO_REASON, RECYCLED, Arrays, Bytes, Parts, state_of
from app.scheduling.compiler import Handle, Kernels
from app.scheduling.decisions import Reason
from app.scheduling.kernels.state import State
from app.scheduling.ledger import Ledger, placeable_nodes
from app.scheduling.levels import Levels, levels_of
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.ordering import queue_starts, running_order, waiting_order
from app.scheduling.quarantine import Admission
from app.scheduling.resources import Bool, Int32, Int64, as_bytes
from app.scheduling.round import Round
from app.scheduling.sameness import has_same_amounts, has_same_matches, is_same
from app.scheduling.scaled import Scaled
from app.scheduling.shares import Shares
from app.scheduling.units import Units, units_of
from app.scheduling.ways import Ways, ways_of

SUM_MAX = 2**58
EXACT_MAX = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A round, who takes part, and what the pool and its queues have."""

    round: Round
    admission: Admission
    ledger: Ledger
    shares: Shares
    matcher: NodeMatcher
    indexed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A round ready for the kernels. `arena`: what deciding it changes (arrays.WORKING). `evicted`: jobs, in order.

    `runs`: jobs that run and may be evicted. `used`: bool by shape, some waiting job has it.
    """

    state: State
    handle: Handle
    arena: Bytes
    levels: Levels
    scaled: Scaled
    ways: Ways
    evicted: Int64
    runs: Int64
    used: Bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What later rounds may take over from one that nobody decides any more. `recycled`: arrays.RECYCLED by name."""

    round: Round
    matcher: NodeMatcher
    levels: Levels
    scaled: Scaled
    ways: Ways
    used: Bool
    recycled: Arrays

    @classmethod
    def of(cls, figures: Figures, prepared: Prepared) -> "Earlier":
        """Of a round that was decided."""
        return cls(
            round=figures.round,
            matcher=figures.matcher,
            levels=prepared.levels,
            scaled=prepared.scaled,
            ways=prepared.ways,
            used=prepared.used,
            recycled={name: getattr(prepared.state, name) for name in RECYCLED},
        )


def prepare(figures: Figures, kernels: Kernels, earlier: Earlier | None = None) -> Prepared:
    """Lays a round out, with what it has in common with an earlier one."""
    round_, admission = figures.round, figures.admission
    evictable = evictable_jobs(round_, admission, kernels)
    scaled = _scaled(figures, earlier)
    if int(scaled.need.max(initial=0)) * len(round_.jobs) > SUM_MAX:
        # Room that such jobs hold is not added up exactly, so it is never given back in the round.
        evictable &= (scaled.need.max(axis=1, initial=0) <= EXACT_MAX)[round_.jobs.shape]
    levels = levels_of(round_, _priorities(round_, evictable, kernels))
    level, runs, balanced = _ranked(figures, evictable, levels, kernels)
    free = np.zeros((len(levels), *scaled.capacity.shape), np.int64)
    kernels.fill_rooms(
        *(free, scaled.capacity, scaled.need, as_bytes(admission.holding), round_.jobs.shape, round_.jobs.run_node),
        *(as_bytes(evictable), level),
    )
    evicted = running_order(round_, balanced)
    waiting = waiting_order(round_, admission.waiting)
    reason, offered = _offered(round_, admission, waiting)
    units = units_of(admission.gangs.key, (offered, _in_gangs(round_, admission, evictable)), len(round_.jobs))
    used = _used_shapes(round_, admission)
    ways = _ways(figures, levels, used, earlier)
    state, arena = state_of(
        Parts(
            round=round_,
            admission=admission,
            ledger=figures.ledger,
            shares=figures.shares,
            levels=levels,
            ways=ways,
            units=units,
            level=level,
            evictable=evictable,
            evicted=evicted,
            open_nodes=placeable_nodes(round_, admission),
            always=round_.nodes.unschedulable & np.any(free[0] < 0, axis=1),
            free=free,
            scaled=scaled,
            indexed=figures.indexed,
            reason=reason,
            evicted_units=representatives(evicted, units),
            offered_units=representatives(offered, units),
            recycled={} if earlier is None else earlier.recycled,
        )
    )
    return Prepared(
        state=state,
        handle=kernels.handle(state),
        arena=arena,
        levels=levels,
        scaled=scaled,
        ways=ways,
        evicted=evicted,
        runs=runs,
        used=used,
    )


def _scaled(figures: Figures, earlier: Earlier | None) -> Scaled:
    if earlier is not None and has_same_amounts(earlier.round, figures.round):
        return earlier.scaled
    return Scaled.of(figures.round, figures.admission)


def _ways(figures: Figures, levels: Levels, used: Bool, earlier: Earlier | None) -> Ways:
    if earlier is not None and has_same_matches(earlier.round, figures.round):
        covered = not bool((used & ~earlier.used).any())
        if covered and is_same(earlier.levels.priorities, levels.priorities):
            return earlier.ways
    return ways_of(figures.round, figures.matcher, levels, used)


def evictable_jobs(round_: Round, admission: Admission, kernels: Kernels) -> Bool:
    """bool by job: runs that may be preempted. A gang with a member that may not be is left alone."""
    jobs = round_.jobs
    preemptible = np.array([each.preemptible for each in round_.classes] or [False], np.bool_)
    of_class = round_.shapes.priority_class
    of_shape = (of_class >= 0) & preemptible[np.maximum(of_class, 0)]
    mask = np.empty(len(jobs), np.bool_)
    kernels.may_go(
        *(as_bytes(admission.running), jobs.queue, jobs.shape, jobs.run_node),
        *(as_bytes(of_shape), as_bytes(admission.node_valid), as_bytes(mask)),
    )
    members = admission.gangs.members[admission.running[admission.gangs.members]]
    key = admission.gangs.key[members]
    mask[members] &= ~np.isin(key, key[~mask[members]])
    return mask


def _priorities(round_: Round, evictable: Bool, kernels: Kernels) -> Int32:
    """The priorities that these runs were scheduled at."""
    found = np.empty(len(evictable), np.int32)
    return found[: kernels.values_of(round_.jobs.run_priority, as_bytes(evictable), found)]


def _ranked(figures: Figures, evictable: Bool, levels: Levels, kernels: Kernels) -> tuple[Int64, Int64, Int64]:
    """The level of each run that may be evicted (a gang has the highest of its members), those runs, and those of them
    that balancing evicts."""
    round_, gangs = figures.round, figures.admission.gangs
    level = np.zeros(len(evictable), np.int64)
    runs = np.empty(np.count_nonzero(evictable), np.int64)
    balanced = np.empty(len(runs), np.int64)
    count = kernels.rank_runs(
        *(as_bytes(evictable), round_.jobs.run_priority, levels.priorities, round_.jobs.queue),
        *(as_bytes(_overfull(figures)), level, runs, balanced),
    )
    members = gangs.members[evictable[gangs.members]]
    if len(members):
        key = gangs.key[members]
        highest = np.zeros(int(key.max()) + 1, np.int64)
        np.maximum.at(highest, key, level[members])
        level[members] = highest[key]
    return level, runs, balanced[:count]


def _overfull(figures: Figures) -> Bool:
    """bool by queue: those above the protected fraction of their share. Balancing evicts what runs there."""
    round_, ledger, shares = figures.round, figures.ledger, figures.shares
    over = np.zeros(len(round_.queues), np.bool_)
    if round_.config.fair_share_preemption:
        for at, queue in enumerate(ledger.active):
            penalty = round_.resources.row(round_.queues[queue].penalty)
            actual = ledger.costs.cost_with(ledger.held[queue], penalty)
            due = max(shares.capped[at], shares.fair[at])
            over[queue] = actual / due > round_.config.protected_fraction_of_fair_share
    return over


def _in_gangs(round_: Round, admission: Admission, evictable: Bool) -> Int64:
    """Runs that may be evicted and are in gangs, in order; if balancing evicts none of them, the repair still may."""
    members = admission.gangs.members
    rows = members[evictable[members]]
    return running_order(round_, rows) if len(rows) else rows


def _used_shapes(round_: Round, admission: Admission) -> Bool:
    """bool by shape: some waiting job has it."""
    used = np.zeros(len(round_.shapes), np.bool_)
    used[round_.jobs.shape[admission.waiting]] = True
    return used


def _offered(round_: Round, admission: Admission, waiting: Int64) -> tuple[np.typing.NDArray[np.uint8], Int64]:
    """Reasons (by job) of those that get no turn, and the jobs that do, in order."""
    jobs, gangs = round_.jobs, admission.gangs
    reason = np.full(len(jobs), NO_REASON, np.uint8)
    queue = jobs.queue[waiting]
    starts = queue_starts(queue, len(round_.queues))
    position = np.arange(len(waiting)) - starts[queue] if len(waiting) else waiting
    behind = position >= round_.config.lookback
    reason[waiting[behind]] = Reason.LOOKBACK
    keys = gangs.key[waiting]
    late = np.unique(keys[behind & (keys >= 0)])
    if len(late):
        reason[waiting[np.isin(keys, late)]] = Reason.LOOKBACK
    reason[gangs.incomplete[admission.waiting[gangs.incomplete]]] = Reason.GANG_INCOMPLETE
    cordoned = np.array([each.cordoned for each in round_.queues], np.bool_)
    if cordoned.any():
        reason[waiting[cordoned[queue]]] = Reason.QUEUE_CORDONED
    return reason, waiting[reason[waiting] == NO_REASON]


def representatives(ordered: Int64, units: Units) -> Int64:
    """Of an ordered list, the jobs that units are yielded with: jobs alone, and the last member of each gang."""
    if not len(units):
        return ordered
    unit = units.unit[ordered]
    keep = unit < 0
    members = np.flatnonzero(~keep)[::-1]
    _, last = np.unique(unit[members], return_index=True)
    keep[members[last]] = True
    return ordered[keep]
