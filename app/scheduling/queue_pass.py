"""The loop of a round: the cheapest queue's next job tries its luck, until nobody has anything left to try.

Order between queues: class priority desc; then cost of what the queue holds with the candidate, by weight; then name.
With preferLargeJobs: queues within their budget first, by cost without the candidate, larger candidates first; then
those above it by cost with the candidate. A head that turns hopeless meanwhile still waits for its turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace

import numpy as np
import numpy.typing as npt

from app.scheduling.decisions import Method, Reason
from app.scheduling.ledger import Ledger, floating_left, fraction_of
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.ordering import QueueOrders
from app.scheduling.placement import NOWHERE, ClusterLimits, Finder, Needs, Room, needs_of
from app.scheduling.quarantine import Admission
from app.scheduling.round import Round
from app.scheduling.shares import Shares

UNDECIDED = 255
"""Stands in `reasons` for jobs that were scheduled or never took part."""

HeapEntry = tuple[int, int, float, float, int, int]
"""(-class priority, over budget, cost, -size, rank by name, queue): compares as queues do."""


@dataclass(slots=True, kw_only=True)
class ShapeUse:
    """What the loop keeps of a shape: its row, its class, and the ways to place it (finder, priority) when needed."""

    requests: list[int]
    class_index: int
    class_priority: int
    node_needs: Needs
    floating_needs: Needs
    finders: list[tuple[Finder, int]] | None = None


@dataclass(slots=True, kw_only=True)
class QueueTurn:
    """A queue in the loop: its jobs in order, the position of its head, and what it is charged with."""

    index: int
    rank: int
    weight: float
    budget: float
    jobs: list[int]
    limit: int
    charged: list[int]
    tokens: float
    head: int = 0
    capped_shapes: set[int] = field(default_factory=set)


class QueuePass:
    """One pass over the waiting jobs. `run` does it once; afterwards the attributes hold the outcome.

    `scheduled`: (job, node, priority, method) in order. `reasons`: uint8 by job, Reason or UNDECIDED. `held`: by
    queue, with what was scheduled. `tokens`: of the pool. `blocked`: shape -> why nobody of it can be placed any more.
    """

    def __init__(
        self,
        round_: Round,
        admission: Admission,
        ledger: Ledger,
        shares: Shares,
        orders: QueueOrders,
        room: Room,
        avoid: dict[int, tuple[int, ...]],
    ) -> None:
        self._round = round_
        self._admission = admission
        self._ledger = ledger
        self.room = room
        self.limits = ClusterLimits(round_.clusters, room)
        self.matcher = NodeMatcher(round_.nodes, round_.node_types)
        self.scheduled: list[tuple[int, int, int, Method]] = []
        self.reasons: npt.NDArray[np.uint8] = np.full(len(round_.jobs), UNDECIDED, np.uint8)
        self.held = [list(row) for row in ledger.held]
        self.tokens = round_.limiter.tokens if round_.limiter is not None else float("inf")
        self.queue_tokens = [q.limiter.tokens if q.limiter is not None else float("inf") for q in round_.queues]
        self.blocked: dict[int, Reason] = {}
        self.considered = 0
        self.floating_left = floating_left(round_, admission)
        self._placed_total = [0] * len(round_.resources.names)
        self._round_cap = fraction_of(round_.config.max_fraction_per_round, ledger.totals, round_)
        self._held_in_class = [
            list(row) if caps else row for row, caps in zip(ledger.held_in_class, ledger.caps, strict=True)
        ]
        self._shapes: dict[int, ShapeUse] = {}
        self._shape_of_job: Sequence[int] = round_.jobs.shape.tolist()
        self._avoid = avoid
        self._turns = self._queue_turns(shares, orders)

    def run(self) -> None:
        """Takes turns until the queues are empty or the round is over."""
        heap = [self._entry(turn) for turn in self._turns.values() if self._advance(turn, 0)]
        heapify(heap)
        while heap:
            turn = self._turns[heap[0][-1]]
            over = self._round_is_over()
            if over is not None:
                for open_turn in (self._turns[entry[-1]] for entry in heap):
                    self._give_up(open_turn, over)
                return
            if turn.tokens < 1:
                self._give_up(turn, Reason.QUEUE_RATE_LIMIT)
                heappop(heap)
                continue
            self._take_turn(turn)
            if self._advance(turn, turn.head + 1):
                heapreplace(heap, self._entry(turn))
            else:
                heappop(heap)

    def _queue_turns(self, shares: Shares, orders: QueueOrders) -> dict[int, QueueTurn]:
        """The queues that may schedule; the jobs of the others, and those beyond the look-back, get their reason."""
        turns = {}
        capped = dict(zip(self._ledger.active, shares.capped, strict=True))
        by_name = sorted(range(len(self._round.queues)), key=lambda index: self._round.queues[index].name)
        lookback = self._round.config.lookback
        for rank, index in enumerate(by_name):
            queue, jobs = self._round.queues[index], orders.of(index)
            if queue.cordoned:
                self.reasons[jobs] = Reason.QUEUE_CORDONED
                continue
            self.reasons[jobs[lookback:]] = Reason.LOOKBACK
            penalty = self._round.resources.row(queue.penalty)
            turns[index] = QueueTurn(
                index=index,
                rank=rank,
                weight=queue.weight,
                budget=capped.get(index, 0.0) / queue.weight,
                jobs=jobs[:lookback].tolist(),
                limit=min(lookback, len(jobs)),
                charged=[a + b for a, b in zip(self.held[index], penalty, strict=True)],
                tokens=self.queue_tokens[index],
            )
        return turns

    def _entry(self, turn: QueueTurn) -> HeapEntry:
        use = self._use(self._shape_of_job[turn.jobs[turn.head]])
        costs = self._ledger.costs
        cost = costs.cost_with(turn.charged, use.requests) / turn.weight
        if not self._round.config.prefer_large_jobs:
            return (-use.class_priority, 0, cost, 0.0, turn.rank, turn.index)
        if cost > turn.budget:
            return (-use.class_priority, 1, cost, 0.0, turn.rank, turn.index)
        size = costs.cost(use.requests) * turn.weight
        return (-use.class_priority, 0, costs.cost(turn.charged) / turn.weight, -size, turn.rank, turn.index)

    def _advance(self, turn: QueueTurn, position: int) -> bool:
        """Moves the head to the first job from `position` on that is not known to be hopeless; False at the end."""
        shape_of_job, blocked, jobs = self._shape_of_job, self.blocked, turn.jobs
        while position < turn.limit:
            job = jobs[position]
            shape = shape_of_job[job]
            if shape in blocked:
                self.reasons[job] = blocked[shape]
            elif shape in turn.capped_shapes:
                self.reasons[job] = Reason.QUEUE_RESOURCE_LIMIT
            else:
                turn.head = position
                return True
            position += 1
        turn.head = position
        return False

    def _round_is_over(self) -> Reason | None:
        budget = self._round.config.decision_budget
        if budget is not None and self.considered >= budget:
            return Reason.DECISION_BUDGET
        if any(self._placed_total[column] > limit for column, limit in self._round_cap):
            return Reason.ROUND_RESOURCE_LIMIT
        return Reason.RATE_LIMIT if self.tokens < 1 else None

    def _give_up(self, turn: QueueTurn, reason: Reason) -> None:
        """Nothing more of this queue: its jobs from the head on get the reason, or that of their hopeless shape."""
        rest = np.array(turn.jobs[turn.head : turn.limit], np.int64)
        codes = np.full(len(self._round.shapes), reason, np.uint8)
        for shape, why in self.blocked.items():
            codes[shape] = why
        self.reasons[rest] = codes[self._round.jobs.shape[rest]]

    def _take_turn(self, turn: QueueTurn) -> None:
        """Tries the head of this queue, once."""
        job = turn.jobs[turn.head]
        shape = self._shape_of_job[job]
        if shape in self.blocked:
            self.reasons[job] = self.blocked[shape]
            return
        self.considered += 1
        use = self._use(shape)
        row = turn.index * len(self._round.classes) + use.class_index
        in_class = self._held_in_class[row]
        if any(in_class[column] + use.requests[column] > limit for column, limit in self._ledger.caps[row]):
            turn.capped_shapes.add(shape)
            self.reasons[job] = Reason.QUEUE_RESOURCE_LIMIT
            return
        if any(self.floating_left[column] < amount for column, amount in use.floating_needs):
            self.blocked[shape] = Reason.FLOATING_RESOURCES
            self.reasons[job] = Reason.FLOATING_RESOURCES
            return
        if not self._place(job, shape, use):
            self.reasons[job] = Reason.NO_NODE_FITS
            return
        self._charge(turn, use, in_class)

    def _place(self, job: int, shape: int, use: ShapeUse) -> bool:
        """Puts the job on its best node, at home if it can be. A shape that found none is blocked for the round."""
        avoid = self._avoid.get(job)
        for way, (finder, priority) in enumerate(self._finders(shape, use)):
            node = finder.find() if avoid is None else finder.scan(avoid)
            if node != NOWHERE:
                self.room.take(node, use.node_needs)
                self.limits.placed_on(node)
                self.scheduled.append((job, node, priority, Method.AWAY if way else Method.FREE))
                return True
        if avoid is None:
            self.blocked[shape] = Reason.NO_NODE_FITS
        return False

    def _charge(self, turn: QueueTurn, use: ShapeUse, in_class: list[int]) -> None:
        held, charged, total = self.held[turn.index], turn.charged, self._placed_total
        capped = bool(self._ledger.caps[turn.index * len(self._round.classes) + use.class_index])
        for column, amount in (*use.node_needs, *use.floating_needs):
            held[column] += amount
            charged[column] += amount
            total[column] += amount
            if capped:
                in_class[column] += amount
        for column, amount in use.floating_needs:
            self.floating_left[column] -= amount
        self.tokens -= 1
        turn.tokens -= 1
        self.queue_tokens[turn.index] = turn.tokens

    def _use(self, shape: int) -> ShapeUse:
        use = self._shapes.get(shape)
        if use is None:
            requests: list[int] = self._admission.requests[shape].tolist()
            class_index = int(self._round.shapes.priority_class[shape])
            node_needs, floating_needs = needs_of(requests, self._round.floating)
            use = self._shapes[shape] = ShapeUse(
                requests=requests,
                class_index=class_index,
                class_priority=self._round.classes[class_index].priority,
                node_needs=node_needs,
                floating_needs=floating_needs,
            )
        return use

    def _finders(self, shape: int, use: ShapeUse) -> list[tuple[Finder, int]]:
        if use.finders is None:
            ways = self.matcher.placements(self._round.shapes.specs[shape], self._round.classes[use.class_index])
            use.finders = [(Finder(self.room, use.node_needs, allowed), priority) for allowed, priority in ways]
        return use.finders
