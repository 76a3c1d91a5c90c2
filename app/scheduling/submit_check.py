"""The submit check: would a job fit the pool if it were alone in it? Else it can never be scheduled as things are.

The pool is empty and nothing is cordoned here: what passes with time does not count against a job. What counts: taints,
labels, the size of nodes, floating resources and the queue's limits.
"""

from dataclasses import dataclass

import numpy as np

from app.scheduling.decisions import (
    Decisions,
    Explanation,
    Method,
    QueueShares,
    Reason,
    Scheduled,
    Unschedulable,
    no_preemptions,
)
from app.scheduling.explanation import EXPLANATIONS_MAX, INVALID, OTHER_POOL, explain_shape
from app.scheduling.ledger import fraction_of
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.nodes import HOME_POOL
from app.scheduling.placement import NOWHERE, Finder, Room, needs_of
from app.scheduling.quarantine import Admission, floating_columns
from app.scheduling.resources import exact_total
from app.scheduling.round import NOT_FLOATING, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """node: where it would stand, or NOWHERE and then why."""

    node: int = NOWHERE
    priority: int = 0
    method: Method = Method.FREE
    reason: Reason = Reason.NO_NODE_FITS
    explanation: int = -1


class SubmitCheck:
    """Judges the waiting jobs of a round, each alone; the same question is answered once."""

    def __init__(self, round_: Round, admission: Admission, indexed: tuple[int, ...]) -> None:
        self._round = round_
        self._requests = admission.requests
        nodes = round_.nodes
        at_home = admission.node_valid & (nodes.pool == HOME_POOL)
        floating = floating_columns(round_)
        totals = exact_total(nodes.capacity[at_home])
        self._totals = [round_.floating[c] if floating[c] else total for c, total in enumerate(totals)]
        free = np.where(floating, 0, np.clip(nodes.capacity, 0, None))
        self._room = Room(free, at_home, indexed, nodes.cluster)
        self._matcher = NodeMatcher(nodes, round_.node_types)
        self._closed = [(INVALID, ~admission.node_valid), (OTHER_POOL, nodes.pool != HOME_POOL)]
        self._verdicts: dict[tuple[int, int, tuple[int, ...]], _Verdict] = {}
        self._capped: dict[tuple[int, int], bool] = {}
        self.explanations: list[Explanation] = []

    def judge(self, queue: int, shape: int, avoid: tuple[int, ...]) -> _Verdict:
        """The verdict on jobs of this queue and shape that avoid these nodes."""
        key = (queue, shape, avoid)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = self._judge(queue, shape, avoid)
        return verdict

    def _judge(self, queue: int, shape: int, avoid: tuple[int, ...]) -> _Verdict:
        requests: list[int] = self._requests[shape].tolist()
        of_class = self._round.classes[int(self._round.shapes.priority_class[shape])]
        fractions = self._round.queues[queue].max_fraction_per_queue.get(of_class.name, of_class.max_fraction_per_queue)
        if any(requests[c] > limit for c, limit in fraction_of(fractions, self._totals, self._round)):
            return _Verdict(reason=Reason.QUEUE_RESOURCE_LIMIT)
        floating = self._round.floating
        if any(a > floating[c] for c, a in enumerate(requests) if floating[c] != NOT_FLOATING):
            return _Verdict(reason=Reason.FLOATING_RESOURCES)
        spec = self._round.shapes.specs[shape]
        needs, _ = needs_of(requests, floating)
        for way, (allowed, priority) in enumerate(self._matcher.placements(spec, of_class)):
            node = Finder(self._room, needs, allowed).scan(avoid)
            if node != NOWHERE:
                return _Verdict(node=node, priority=priority, method=Method.AWAY if way else Method.FREE)
        if len(self.explanations) == EXPLANATIONS_MAX:
            return _Verdict()
        self.explanations.append(
            explain_shape(self._round, self._requests, shape, avoid, self._matcher, self._room, self._closed)
        )
        return _Verdict(explanation=len(self.explanations) - 1)


def check_submissions(
    round_: Round,
    admission: Admission,
    indexed: tuple[int, ...],
    avoid: dict[int, tuple[int, ...]],
    shares: QueueShares,
) -> Decisions:
    """The decisions of a round with submitCheck: "scheduled" then means that the job would fit."""
    check = SubmitCheck(round_, admission, indexed)
    fits: list[tuple[int, int, int, int]] = []
    fails: list[tuple[int, int, int]] = []
    for job in np.flatnonzero(admission.waiting).tolist():
        verdict = check.judge(int(round_.jobs.queue[job]), int(round_.jobs.shape[job]), avoid.get(job, ()))
        if verdict.node != NOWHERE:
            fits.append((job, verdict.node, verdict.priority, verdict.method))
        else:
            fails.append((job, verdict.reason, verdict.explanation))
    placed, failed = np.array(fits, np.int64).reshape(-1, 4), np.array(fails, np.int64).reshape(-1, 3)
    return Decisions(
        scheduled=Scheduled.of(placed),
        preempted=no_preemptions(),
        shares=shares,
        unschedulable=Unschedulable(
            job=failed[:, 0].astype(np.int32),
            reason=failed[:, 1].astype(np.uint8),
            explanation=failed[:, 2].astype(np.int32),
        ),
        explanations=tuple(check.explanations),
        quarantined=admission.quarantined,
        tokens=None if round_.limiter is None else round_.limiter.tokens,
        rejected=(),
        considered=len(fits) + len(fails),
    )
