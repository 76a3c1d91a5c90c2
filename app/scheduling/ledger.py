"""What the pool has, what queues hold and want, and what nodes have left: the figures that a round starts from.

All by column in base units. Sums are Python integers (exact); only costs are floats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from app.scheduling.compiler import Kernels
from app.scheduling.kernels.survey import LOW_BITS
from app.scheduling.nodes import HOME_POOL
from app.scheduling.quarantine import Admission, floating_columns
from app.scheduling.resources import Bool, Int64, as_bytes, exact_total
from app.scheduling.round import Round
from app.scheduling.shares import CostModel, Shares, fair_shares

Caps = tuple[tuple[int, int], ...]
"""(column, largest amount) of every resource that is limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """`totals`: the pool. `held`: by queue. `held_in_class`: by queue x class (row queue * classes + class).

    `demand_cost`: by queue. `active`: queues that take part in shares, in name order. `caps`: by queue x class, what
    the queue may hold in the class. `costs`: how amounts become cost. `holders`: by shape, how many jobs hold room.
    """

    totals: list[int]
    held: list[list[int]]
    held_in_class: list[list[int]]
    demand_cost: list[float]
    active: list[int]
    caps: list[Caps]
    costs: CostModel
    holders: Int64

    def shares(self, round_: Round) -> Shares:
        """Shares of the active queues, in their order."""
        weights = [round_.queues[queue].weight for queue in self.active]
        return fair_shares(weights, [self.demand_cost[queue] for queue in self.active])


def floating_left(round_: Round, admission: Admission, ledger: "Ledger") -> list[int]:
    """By column: what is left of floating resources (negative when too much is in use), 0 for resources of nodes."""
    floating = floating_columns(round_)
    if not floating.any():
        return [0] * len(round_.resources.names)
    used = [0] * len(floating)
    for shape in np.flatnonzero(ledger.holders).tolist():
        count = int(ledger.holders[shape])
        used = [held + count * amount for held, amount in zip(used, admission.requests[shape].tolist(), strict=True)]
    return [round_.floating[c] - used[c] if floating[c] else 0 for c in range(len(used))]


def placeable_nodes(round_: Round, admission: Admission) -> Bool:
    """bool by node: valid, not cordoned and in no cordoned cluster; of this pool or another that it may use."""
    cordoned = np.array([cluster.cordoned for cluster in round_.clusters], np.bool_)
    in_cordoned = cordoned[round_.nodes.cluster] if len(cordoned) else np.zeros(len(round_.nodes), np.bool_)
    nodes = round_.nodes
    mask: Bool = admission.node_valid & ~nodes.unschedulable & ~in_cordoned
    return mask


def fraction_of(fractions: Mapping[str, float], totals: Sequence[int], round_: Round) -> Caps:
    """The largest whole amounts that are not above these fractions of the pool: 0.29 of 100 is 29, not 28.999..."""
    columns = round_.resources.columns
    return tuple(
        (columns[name], _whole_part(float(fraction), totals[columns[name]])) for name, fraction in fractions.items()
    )


@lru_cache(maxsize=4096)
def _whole_part(fraction: float, total: int) -> int:
    return int(Fraction(repr(fraction)) * total)


def open_ledger(round_: Round, admission: Admission, kernels: Kernels) -> Ledger:
    """Adds up the round."""
    holders, has_runs = _holders(round_, admission, kernels)
    totals = _pool_totals(round_, admission, has_runs)
    costs = CostModel.of(round_.resources, totals, round_.config.fair_share_resources)
    queues, classes = len(round_.queues), len(round_.classes)
    held_in_class, waiting_in_class, counts = _by_class(round_, admission, kernels)
    held = [_sum_rows(held_in_class, queue * classes, classes, len(totals)) for queue in range(queues)]
    caps = [
        fraction_of(queue.max_fraction_per_queue.get(of_class.name, of_class.max_fraction_per_queue), totals, round_)
        for queue in round_.queues
        for of_class in round_.classes
    ]
    demand_cost, active = [], []
    for index, queue in enumerate(round_.queues):
        if queue.demand is not None:
            demand = round_.resources.row(queue.demand)
        else:
            demand = [0] * len(totals)
            for row in range(index * classes, (index + 1) * classes):
                wanted = [a + b for a, b in zip(held_in_class[row], waiting_in_class[row], strict=True)]
                for column, limit in caps[row]:
                    wanted[column] = min(wanted[column], limit)
                demand = [a + b for a, b in zip(demand, wanted, strict=True)]
        demand_cost.append(costs.cost(demand))
        if counts[index] or (queue.demand is not None and any(demand)):
            active.append(index)
    active.sort(key=lambda queue: round_.queues[queue].name)
    return Ledger(
        totals=totals,
        held=held,
        held_in_class=held_in_class,
        demand_cost=demand_cost,
        active=active,
        caps=caps,
        costs=costs,
        holders=holders,
    )


def _holders(round_: Round, admission: Admission, kernels: Kernels) -> tuple[Int64, Bool]:
    """By shape: how many jobs of it hold room. By node: whether jobs do."""
    jobs = round_.jobs
    by_shape, by_node = np.zeros(len(round_.shapes), np.int64), np.zeros(len(round_.nodes), np.bool_)
    kernels.note_held(as_bytes(admission.holding), jobs.shape, jobs.run_node, by_shape, as_bytes(by_node))
    return by_shape, by_node


def _by_class(
    round_: Round, admission: Admission, kernels: Kernels
) -> tuple[list[list[int]], list[list[int]], list[int]]:
    """What runs hold and what waiting jobs want, by queue x class; and the jobs of each queue."""
    jobs, queues, classes = round_.jobs, len(round_.queues), len(round_.classes)
    # What waits in a cordoned queue is no demand.
    cordoned = np.array([queue.cordoned for queue in round_.queues], np.bool_)
    low, high = np.zeros((2, 2 * queues * classes, len(round_.resources.names)), np.int64)
    counts = np.zeros(queues, np.int64)
    kernels.add_up(
        *(jobs.queue, jobs.shape, as_bytes(admission.running), as_bytes(admission.waiting), as_bytes(cordoned)),
        *(round_.shapes.priority_class.astype(np.int64), admission.requests, low, high, counts),
    )
    sums = [
        [(upper << LOW_BITS) + lower for upper, lower in zip(*rows, strict=True)]
        for rows in zip(high.tolist(), low.tolist(), strict=True)
    ]
    return sums[: queues * classes], sums[queues * classes :], counts.tolist()


def _pool_totals(round_: Round, admission: Admission, has_runs: Bool) -> list[int]:
    """Capacity of the nodes that take new jobs or run some, and the floating resources of the pool."""
    counted = placeable_nodes(round_, admission) | has_runs
    counted &= admission.node_valid & (round_.nodes.pool == HOME_POOL)
    totals = exact_total(round_.nodes.capacity[counted])
    floating = floating_columns(round_)
    return [round_.floating[c] if floating[c] else total for c, total in enumerate(totals)]


def _sum_rows(rows: list[list[int]], start: int, count: int, columns: int) -> list[int]:
    total = [0] * columns
    for row in rows[start : start + count]:
        total = [a + b for a, b in zip(total, row, strict=True)]
    return total
