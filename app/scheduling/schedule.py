"""`schedule(round) -> Decisions`: one scheduling round, a pure and deterministic function of its input.

The algorithm is the simple one: highest class first, dominant-resource fairness between queues, best fit on nodes.
It preempts nobody and places no gangs: gang members are quarantined, and running jobs stay where they are. Whatever
replaces it keeps this boundary.
"""

import numpy as np

from app.scheduling.decisions import (
    Decisions,
    Explanation,
    QueueShares,
    Reason,
    Scheduled,
    Unschedulable,
    no_preemptions,
)
from app.scheduling.explanation import EXPLANATIONS_MAX, closed_nodes, explain_shape
from app.scheduling.ledger import Ledger, free_room, open_ledger, placeable_nodes
from app.scheduling.ordering import queue_orders
from app.scheduling.placement import Room, nodes_to_avoid
from app.scheduling.quarantine import Admission, admit
from app.scheduling.queue_pass import UNDECIDED, QueuePass
from app.scheduling.resources import Float64
from app.scheduling.round import Round
from app.scheduling.shares import Shares
from app.scheduling.submit_check import check_submissions


def schedule(round_: Round) -> Decisions:
    """Decides one round. Never raises for bad jobs or nodes: they are quarantined, and the rest is decided."""
    admission = admit(round_)
    ledger = open_ledger(round_, admission)
    shares = ledger.shares(round_)
    indexed = tuple(round_.resources.columns[name] for name in round_.config.indexed_resources)
    avoid = nodes_to_avoid(round_)
    if round_.config.submit_check:
        as_is = queue_shares(round_, ledger, shares, ledger.held)
        return check_submissions(round_, admission, indexed, avoid, as_is)
    orders = queue_orders(round_, admission.waiting)
    room = Room(free_room(round_, admission), placeable_nodes(round_, admission), indexed, round_.nodes.cluster)
    queue_pass = QueuePass(round_, admission, ledger, shares, orders, room, avoid)
    queue_pass.run()
    unschedulable, explanations = _explain(round_, admission, queue_pass, avoid)
    placed = [(job, node, priority, int(method)) for job, node, priority, method in queue_pass.scheduled]
    return Decisions(
        scheduled=Scheduled.of(np.array(placed, np.int64).reshape(-1, 4)),
        preempted=no_preemptions(),
        shares=queue_shares(round_, ledger, shares, queue_pass.held, queue_pass.queue_tokens),
        unschedulable=unschedulable,
        explanations=explanations,
        quarantined=admission.quarantined,
        tokens=None if round_.limiter is None else queue_pass.tokens,
        rejected=(),
        considered=queue_pass.considered,
    )


def queue_shares(
    round_: Round, ledger: Ledger, shares: Shares, held: list[list[int]], tokens: list[float] | None = None
) -> QueueShares:
    """Shares by queue. `held`: what queues hold after the round, by column; `tokens`: what their limiters have left."""

    def spread(values: tuple[float, ...] | list[float]) -> Float64:
        column = np.zeros(len(round_.queues))
        column[ledger.active] = values
        return column

    def cost(queue: int, amounts: list[int]) -> float:
        penalty = round_.resources.row(round_.queues[queue].penalty)
        return ledger.costs.cost_with(amounts, penalty)

    before = [q.limiter.tokens if q.limiter is not None else float("inf") for q in round_.queues]
    return QueueShares(
        fair=spread(shares.fair),
        capped=spread(shares.capped),
        uncapped=spread(shares.uncapped),
        demand=np.array(ledger.demand_cost, np.float64),
        before=np.array([cost(queue, row) for queue, row in enumerate(ledger.held)], np.float64),
        after=np.array([cost(queue, row) for queue, row in enumerate(held)], np.float64),
        tokens=np.array(before if tokens is None else tokens, np.float64),
    )


def _explain(
    round_: Round, admission: Admission, queue_pass: QueuePass, avoid: dict[int, tuple[int, ...]]
) -> tuple[Unschedulable, tuple[Explanation, ...]]:
    """The jobs without a node, in job order, and explanations of the shapes (and of avoiding jobs) that fit nowhere."""
    jobs = np.flatnonzero(queue_pass.reasons != UNDECIDED)
    reasons = queue_pass.reasons[jobs]
    shapes = round_.jobs.shape[jobs]
    unfit = reasons == Reason.NO_NODE_FITS
    blocked = np.zeros(len(round_.shapes), np.bool_)
    blocked[list(queue_pass.blocked)] = True
    explanation = np.full(len(jobs), -1, np.int32)
    waiting = np.bincount(shapes[unfit & blocked[shapes]], minlength=len(round_.shapes))
    by_need = np.lexsort((np.arange(len(waiting)), -waiting))
    chosen: list[tuple[int, tuple[int, ...]]] = [(s, ()) for s in by_need[:EXPLANATIONS_MAX].tolist() if waiting[s]]
    of_shape = np.full(len(round_.shapes), -1, np.int32)
    of_shape[[shape for shape, _ in chosen]] = np.arange(len(chosen))
    explanation[unfit] = np.where(blocked[shapes], of_shape[shapes], -1)[unfit]
    for position in np.flatnonzero(unfit & ~blocked[shapes]).tolist():
        if len(chosen) == EXPLANATIONS_MAX:
            break
        explanation[position] = len(chosen)
        chosen.append((int(shapes[position]), avoid[int(jobs[position])]))
    closed = closed_nodes(round_, admission, queue_pass.limits)
    explanations = tuple(
        explain_shape(round_, admission.requests, shape, avoided, queue_pass.matcher, queue_pass.room, closed)
        for shape, avoided in chosen
    )
    return Unschedulable(job=jobs.astype(np.int32), reason=reasons, explanation=explanation), explanations
