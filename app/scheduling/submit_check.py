"""The submit check: would a job, or a gang, fit the pool if it were alone in it? Else it can never be scheduled.

The pool is empty and nothing is cordoned here: what passes with time does not count against a job. What counts: taints,
labels, the size of nodes, floating resources, the queue's limits, and limiters that never hold tokens for a gang.
"""

from dataclasses import replace

import numpy as np

from app.scheduling.compiler import Kernels
from app.scheduling.decisions import (
    Decisions,
    Explanation,
    KnownDetails,
    Reason,
    Scheduled,
    UInt8,
    Unschedulable,
    no_preemptions,
)
from app.scheduling.explanation import EXPLANATIONS_MAX, INVALID, Explanations, Room, explain_shape
from app.scheduling.kernels.state import UNDECIDED
from app.scheduling.ledger import fraction_of
from app.scheduling.nodes import HOME_POOL
from app.scheduling.outcome import queue_shares
from app.scheduling.quarantine import floating_columns
from app.scheduling.resources import Int64, exact_total
from app.scheduling.round import Round
from app.scheduling.round_state import Figures, Prepared, prepare
from app.scheduling.units import Units


def check_submissions(figures: Figures, kernels: Kernels) -> Decisions:
    """The decisions of a round with submitCheck: "scheduled" then means that the job would fit."""
    empty = emptied(figures)
    prepared = prepare(empty, kernels)
    state = prepared.state
    offered = state.waiting_unit
    asked, answer_of = _questions(empty.round, prepared, offered)
    verdict = np.full(len(asked), UNDECIDED, np.int64)
    kernels.check_alone(prepared.handle.argument, asked, verdict)
    units = Units(unit=state.unit, start=state.unit_ptr, jobs=state.unit_job.astype(np.int64))
    fits: list[Int64] = []
    reason = state.reason
    places = _places(state.node[asked], state.level[asked], state.method[asked])
    for at, job in enumerate(offered.tolist()):
        answer = int(answer_of[at])
        unit = int(units.unit[job])
        members = np.array([job]) if unit < 0 else units.jobs[units.start[unit] : units.start[unit + 1]]
        if verdict[answer] != UNDECIDED:
            reason[members] = verdict[answer]
            continue
        place = (
            places[answer : answer + 1]
            if unit < 0
            else _places(state.node[members], state.level[members], state.method[members])
        )
        fits.append(np.column_stack((members, place)))
    placed = np.concatenate(fits) if fits else np.zeros((0, 4), np.int64)
    placed[:, 2] = prepared.levels.priorities[placed[:, 2] - 1] if len(placed) else 0
    fails = np.setdiff1d(np.flatnonzero(figures.admission.waiting), placed[:, 0])
    shapes = figures.round.jobs.shape[fails]
    unfit = reason[fails] == Reason.NO_NODE_FITS
    subjects: dict[tuple[int, tuple[int, ...]], int] = {}
    explanation = np.full(len(fails), -1, np.int32)
    for at in np.flatnonzero(unfit).tolist():
        job = int(fails[at])
        avoid = tuple(state.avoid_node[state.avoid_ptr[job] : state.avoid_ptr[job + 1]].tolist())
        key = (int(shapes[at]), avoid)
        if key in subjects or len(subjects) < EXPLANATIONS_MAX:
            explanation[at] = subjects.setdefault(key, len(subjects))
    return Decisions(
        scheduled=Scheduled.of(placed),
        preempted=no_preemptions(),
        details=KnownDetails(
            shares=queue_shares(figures, None, None),
            unschedulable=Unschedulable(job=fails.astype(np.int32), reason=reason[fails], explanation=explanation),
            explanations=_explanations(empty, prepared, list(subjects)),
        ),
        quarantined=figures.admission.quarantined,
        tokens=None if figures.round.limiter is None else figures.round.limiter.tokens,
        rejected=(),
        considered=len(offered),
    )


def emptied(figures: Figures) -> Figures:
    """The same pool with nothing running, held or cordoned, and full buckets."""
    round_, admission = figures.round, figures.admission
    nobody = np.zeros(len(round_.jobs), np.bool_)
    queues = tuple(
        replace(
            queue,
            cordoned=False,
            penalty={},
            limiter=None if queue.limiter is None else replace(queue.limiter, tokens=queue.limiter.burst),
        )
        for queue in round_.queues
    )
    limiter = round_.limiter
    limits = len(round_.jobs) + 1
    empty = replace(
        round_,
        config=replace(round_.config, lookback=len(round_.jobs)),
        limiter=None if limiter is None else replace(limiter, tokens=limiter.burst),
        queues=queues,
        clusters=tuple(
            replace(c, cordoned=False, unacknowledged=0, unacknowledged_limit=limits) for c in round_.clusters
        ),
        nodes=replace(
            round_.nodes,
            held=np.zeros_like(round_.nodes.held),
            unschedulable=np.zeros(len(round_.nodes), np.bool_),
        ),
    )
    at_home = admission.node_valid & (round_.nodes.pool == HOME_POOL)
    floating = floating_columns(round_)
    totals = exact_total(round_.nodes.capacity[at_home])
    totals = [round_.floating[c] if floating[c] else total for c, total in enumerate(totals)]
    caps = [
        fraction_of(queue.max_fraction_per_queue.get(of_class.name, of_class.max_fraction_per_queue), totals, round_)
        for queue in round_.queues
        for of_class in round_.classes
    ]
    nothing = [[0] * len(totals)]
    return replace(
        figures,
        round=empty,
        admission=replace(admission, running=nobody, holding=nobody),
        ledger=replace(
            figures.ledger,
            totals=totals,
            caps=caps,
            holders=np.zeros_like(figures.ledger.holders),
            held=nothing * len(queues),
            held_in_class=nothing * len(caps),
        ),
    )


def _questions(round_: Round, prepared: Prepared, offered: Int64) -> tuple[Int64, Int64]:
    """The jobs to ask for, and for each offered unit which of them answers for it: equal questions are asked once."""
    jobs, state = round_.jobs, prepared.state
    own = (state.unit[offered] >= 0) | (state.avoid_ptr[offered + 1] > state.avoid_ptr[offered])
    key = jobs.queue[offered].astype(np.int64) * max(len(round_.shapes), 1) + jobs.shape[offered]
    key[own] = -1 - np.arange(len(offered))[own]
    _, first, answer = np.unique(key, return_index=True, return_inverse=True)
    return offered[first], answer


def _places(node: Int64, level: Int64, method: UInt8) -> Int64:
    return np.column_stack((node, level, method)).astype(np.int64)


def _explanations(figures: Figures, prepared: Prepared, subjects: list[tuple[int, tuple[int, ...]]]) -> Explanations:
    round_, admission = figures.round, figures.admission
    room = Room(
        free=prepared.state.free,
        full=np.zeros(len(round_.clusters), np.bool_),
        unit=prepared.scaled.unit,
        indexed=figures.indexed,
        levels=prepared.levels,
    )

    def explain(shape: int, avoid: tuple[int, ...], now: Room) -> Explanation:
        closed = [(INVALID, ~admission.node_valid)]
        return explain_shape(round_, admission.requests, shape, avoid, figures.matcher, now, closed)

    return Explanations(subjects, explain, room)
