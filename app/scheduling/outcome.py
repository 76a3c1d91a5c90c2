"""From the state after the passes to `Decisions`: placements, preemptions with their causes, reasons and shares."""

from functools import cache

import numpy as np

from app.scheduling.decisions import (
    NO_JOB,
    Decisions,
    Explanation,
    Method,
    Preempted,
    PreemptionReason,
    QueueShares,
    Reason,
    Scheduled,
    Unschedulable,
    no_placements,
    no_preemptions,
)
from app.scheduling.explanation import EXPLANATIONS_MAX, Against, Explanations, Room, closed_nodes, explain_shape
from app.scheduling.kernels.state import CONSIDERED, EVICTED, ORDERED, PLACED, PREEMPTED, UNDECIDED, WAITING
from app.scheduling.resources import Float64, Int64
from app.scheduling.round_state import Figures, Prepared

URGENT = (int(Method.URGENCY_PREEMPTION), int(Method.AWAY_URGENCY_PREEMPTION))
Avoided = dict[int, tuple[int, ...]]


class LateDetails:
    """The details of a round, worked out from its state when they are asked for."""

    __slots__ = ("__weakref__", "_explanations", "_figures", "_placed", "_prepared", "_shares", "_unschedulable")

    def __init__(self, figures: Figures, prepared: Prepared, placed: Int64) -> None:
        self._figures, self._prepared, self._placed = figures, prepared, placed
        self._shares: QueueShares | None = None
        self._unschedulable: Unschedulable | None = None
        self._explanations: Explanations | None = None

    @property
    def shares(self) -> QueueShares:
        """Shares by queue."""
        if self._shares is None:
            round_ = self._figures.round
            used = np.bincount(round_.jobs.queue[self._placed], minlength=len(round_.queues))
            unit = self._prepared.scaled.unit.tolist()
            rows = self._prepared.state.charged.tolist()
            charged = [[a * u for a, u in zip(row, unit, strict=True)] for row in rows]
            self._shares = queue_shares(self._figures, charged, used)
        return self._shares

    @property
    def unschedulable(self) -> Unschedulable:
        """Queued jobs that got no node, in job order."""
        if self._unschedulable is None:
            self._unschedulable, subjects = _unschedulable(self._figures, self._prepared)
            self._explanations = _explanations(self._figures, self._prepared, subjects)
        return self._unschedulable

    @property
    def explanations(self) -> Explanations:
        """What `unschedulable.explanation` is an index of."""
        if self._explanations is None:
            _ = self.unschedulable
        assert self._explanations is not None
        return self._explanations

    def settle(self) -> None:
        """Reads what it needs from the state, which is about to be used again."""
        _ = self.shares
        self.explanations.settle()


def conclude(figures: Figures, prepared: Prepared) -> Decisions:
    """The decisions of a round whose passes are done."""
    state, limiter = prepared.state, figures.round.limiter
    placed = state.ordered[: state.counters[ORDERED]]
    if len(placed):
        placed = placed[state.status[placed] == PLACED]
        rows = np.empty((len(placed), 4), np.int64)
        rows[:, 0], rows[:, 1] = placed, state.node[placed]
        rows[:, 2] = prepared.levels.priorities[state.level[placed] - 1]
        rows[:, 3] = state.method[placed]
    return Decisions(
        scheduled=Scheduled.of(rows) if len(placed) else no_placements(),
        preempted=_preempted(figures, prepared, placed),
        details=LateDetails(figures, prepared, placed),
        quarantined=figures.admission.quarantined,
        tokens=None if limiter is None else limiter.tokens - len(placed),
        rejected=(),
        considered=int(state.counters[CONSIDERED]),
    )


def queue_shares(figures: Figures, charged: list[list[int]] | None, used: Int64 | None) -> QueueShares:
    """Shares by queue. `charged`: base units after the round, penalties included; `used`: tokens, by queue."""
    round_, ledger, shares = figures.round, figures.ledger, figures.shares

    def spread(values: tuple[float, ...] | list[float]) -> Float64:
        column = np.zeros(len(round_.queues))
        column[ledger.active] = values
        return column

    penalties = [round_.resources.row(queue.penalty) for queue in round_.queues]
    before = [ledger.costs.cost_with(row, more) for row, more in zip(ledger.held, penalties, strict=True)]
    after = before if charged is None else [ledger.costs.cost(row) for row in charged]
    tokens = np.array([q.limiter.tokens if q.limiter is not None else float("inf") for q in round_.queues], np.float64)
    return QueueShares(
        fair=spread(shares.fair),
        capped=spread(shares.capped),
        uncapped=spread(shares.uncapped),
        demand=np.array(ledger.demand_cost, np.float64),
        before=np.array(before, np.float64),
        after=np.array(after, np.float64),
        tokens=tokens if used is None else tokens - used,
    )


def _preempted(figures: Figures, prepared: Prepared, placed: Int64) -> Preempted:
    """Runs that were evicted and have not returned, in job order, with the job that took their place."""
    jobs, state, runs = figures.round.jobs, prepared.state, prepared.runs
    now = state.status[runs]
    gone = runs[(now == EVICTED) | (now == PREEMPTED)]
    if not len(gone):
        return no_preemptions()
    reason = state.reason[gone].copy()
    by = state.by[gone].copy()
    urgent = placed[np.isin(state.method[placed], URGENT)]
    taker = np.full(len(figures.round.nodes), NO_JOB, np.int32)
    first_last = urgent[np.lexsort((-np.arange(len(urgent)), state.level[urgent]))]
    taker[state.node[first_last]] = first_last

    def takers_of(runs: Int64) -> Int64:
        """The first of the most urgent jobs on the node of each run, if it is more urgent than the run."""
        found = taker[state.node[runs]]
        return np.where((found >= 0) & (state.level[found] > state.level[runs]), found, NO_JOB)

    # Where a job is named already, it took a floating resource of the run.
    evicted = state.status[gone] == EVICTED
    reason[evicted & (by >= 0)] = PreemptionReason.FAIR_SHARE
    left = np.flatnonzero(evicted & (by < 0))
    by[left] = takers_of(gone[left])
    reason[left] = np.where(by[left] >= 0, PreemptionReason.URGENCY, PreemptionReason.OVERCOMMITTED)
    for at in left[(by[left] < 0) & (state.unit[gone[left]] >= 0)].tolist():
        unit = state.unit[gone[at]]
        mates = state.unit_job[state.unit_ptr[unit] : state.unit_ptr[unit + 1]]
        takers = takers_of(mates)
        if (takers >= 0).any():
            reason[at], by[at] = PreemptionReason.GANG, takers[takers >= 0][0]
    return Preempted(
        job=gone.astype(np.int32), node=jobs.run_node[gone].astype(np.int32), reason=reason, by=by.astype(np.int32)
    )


def _unschedulable(figures: Figures, prepared: Prepared) -> tuple[Unschedulable, list[tuple[int, tuple[int, ...]]]]:
    """Waiting jobs without a node, in job order, and what to explain: shapes, and jobs that avoid nodes."""
    state, round_ = prepared.state, figures.round
    waiting = figures.admission.waiting
    closed = state.closed
    rest = np.flatnonzero(waiting & (state.status == WAITING) & (state.reason == UNDECIDED))
    if len(rest):
        # Passed over because their shape is blocked, or not reached because their queue was closed.
        codes = closed[round_.jobs.queue[rest]] - 1
        blocked = state.blocked[round_.jobs.shape[rest]]
        state.reason[rest] = np.where((blocked > 0) & (state.unit[rest] < 0), blocked - 1, codes)
    state.reason[waiting & (state.status == EVICTED)] = Reason.OUTRANKED
    jobs = np.flatnonzero(waiting & (state.status != PLACED))
    reasons, shapes = state.reason[jobs], round_.jobs.shape[jobs]
    unfit = reasons == Reason.NO_NODE_FITS
    by_shape = unfit & ((state.blocked[shapes] > 0) | (state.unit[jobs] >= 0))
    waits = np.bincount(shapes[by_shape], minlength=len(round_.shapes))
    by_need = np.lexsort((np.arange(len(waits)), -waits))
    subjects: list[tuple[int, tuple[int, ...]]] = [(s, ()) for s in by_need[:EXPLANATIONS_MAX].tolist() if waits[s]]
    of_shape = np.full(len(round_.shapes), -1, np.int32)
    of_shape[[shape for shape, _ in subjects]] = np.arange(len(subjects))
    explanation = np.where(by_shape, of_shape[shapes], -1).astype(np.int32)
    for position in np.flatnonzero(unfit & ~by_shape)[:EXPLANATIONS_MAX].tolist():
        if len(subjects) == EXPLANATIONS_MAX:
            break
        explanation[position] = len(subjects)
        job = int(jobs[position])
        avoid = state.avoid_node[state.avoid_ptr[job] : state.avoid_ptr[job + 1]]
        subjects.append((int(shapes[position]), tuple(avoid.tolist())))
    return Unschedulable(job=jobs.astype(np.int32), reason=reasons, explanation=explanation), subjects


def _explanations(figures: Figures, prepared: Prepared, subjects: list[tuple[int, tuple[int, ...]]]) -> Explanations:
    state, round_, admission = prepared.state, figures.round, figures.admission
    room = Room(
        free=state.free,
        full=state.cluster_left <= 0,
        unit=prepared.scaled.unit,
        indexed=figures.indexed,
        levels=prepared.levels,
    )

    @cache
    def closed() -> Against:
        return closed_nodes(round_, admission, room.full)

    def explain(shape: int, avoid: tuple[int, ...], now: Room) -> Explanation:
        return explain_shape(round_, admission.requests, shape, avoid, figures.matcher, now, closed())

    return Explanations(subjects, explain, room)
