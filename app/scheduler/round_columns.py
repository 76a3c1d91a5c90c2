"""The columns of a round that are made of the state: queues, clusters, gangs, jobs.

Input: the state, which jobs wait and run. Output: parts of app.scheduling's `Round`, copies only.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.scheduler.interning import NONE, Int32
from app.scheduler.job_columns import QUEUED, JobColumns
from app.scheduler.pool_nodes import PoolNodes
from app.scheduler.pool_rules import PoolRules
from app.scheduler.room import Placements, Slots, Standing
from app.scheduler.short_runs import Charged
from app.scheduler.state import State
from app.scheduling.jobs import NO_GANG, Gang, Jobs
from app.scheduling.resources import Bool, Int64
from app.scheduling.round import Cluster, Limiter, Queue

TENANTS = " (away)"
"""behind the name of a queue: its runs of other pools, which have a share of their own"""


class QueueColumns(NamedTuple):
    """Queues by name, then those of tenants; and by number of a queue in the job columns the index of each in the round
    (-1 = unknown)."""

    queues: tuple[Queue, ...]
    numbers: Int32
    of_tenants: Int32


def queue_columns(
    state: State,
    rules: PoolRules,
    standing: Standing,
    limiters: Mapping[str, Limiter],
    penalties: Mapping[int, Mapping[str, int]],
) -> QueueColumns:
    """The queues of a round. penalties: base units that are charged for runs that are over, by number of a queue."""
    index = np.full(len(state.jobs.queues) + 1, NONE, np.int32)
    of_tenants = index.copy()
    queues: list[Queue] = []
    for name, row in sorted(state.queues.items()):
        number = state.jobs.queues.find(name)
        index[number] = len(queues)
        queues.append(rules.queue(row, limiters.get(name), penalties.get(number, {})))
    if standing.tenant.any():
        for number in np.unique(state.jobs.queue[standing.slots[standing.tenant]]).tolist():
            if index[number] != NONE:
                of_tenants[number] = len(queues)
                owner = queues[int(index[number])]
                queues.append(Queue(name=owner.name + TENANTS, weight=owner.weight))
    return QueueColumns(tuple(queues), index, of_tenants)


def penalties_of(
    charged: Iterable[Charged], known: Bool, needs: Int64, names: Sequence[str]
) -> dict[int, dict[str, int]]:
    """Base units by number of a queue and resource that short runs still cost. known: by number of a shape; needs: base
    units by (number of a shape, resource); names: of the resources."""
    sums: dict[int, Int64] = {}
    for queue, shape, runs in charged:
        if known[shape]:
            sums[queue] = sums.get(queue, np.zeros(len(names), np.int64)) + runs * needs[shape]
    return {
        queue: {name: amount for name, amount in zip(names, row.tolist(), strict=True) if amount}
        for queue, row in sums.items()
    }


def cluster_columns(
    known: PoolNodes, rules: PoolRules, placements: Placements, idle: Collection[str]
) -> tuple[Cluster, ...]:
    """The clusters of a round; `idle` ones get no new work."""
    return tuple(
        Cluster(
            name=name,
            cordoned=name in idle,
            unacknowledged=int(placements.unreported[number]),
            unacknowledged_limit=rules.unacknowledged_max,
        )
        for name, number in zip(known.clusters, known.cluster_numbers.tolist(), strict=True)
    )


def gang_columns(jobs: JobColumns, slots: Slots) -> tuple[tuple[Gang, ...], Int32]:
    """The gangs of these jobs, and by job which one it is in."""
    gang = np.full(len(slots), NO_GANG, np.int32)
    if not len(jobs.gangs):
        return (), gang
    members = np.flatnonzero(jobs.gang[slots] != NONE)
    numbers, index = np.unique(jobs.gang[slots[members]], return_inverse=True)
    gang[members] = index
    return tuple(jobs.gangs.gang(number) for number in numbers.tolist()), gang


def job_columns(
    jobs: JobColumns,
    known: PoolNodes,
    waiting: Slots,
    standing: Standing,
    shape: Int32,
    gang: Int32,
    queues: QueueColumns,
) -> Jobs:
    """The jobs of a round: those that wait, then those that run."""
    slots = np.concatenate((waiting, standing.slots))
    running = np.zeros(len(slots), np.bool_)
    running[len(waiting) :] = True
    of_running = jobs.queue[standing.slots]
    queue = np.concatenate(
        (
            queues.numbers[jobs.queue[waiting]],
            np.where(standing.tenant, queues.of_tenants[of_running], queues.numbers[of_running]),
        )
    )
    avoid_job, avoid_node = _avoid(jobs, known, waiting)
    return Jobs(
        id=jobs.text[slots],
        queue=queue.astype(np.int32),
        shape=shape,
        priority=jobs.priority[slots].astype(np.int64),
        submitted=jobs.submitted_ms[slots],
        gang=gang,
        running=running,
        run_node=np.concatenate((np.full(len(waiting), NONE, np.int32), standing.node)),
        run_started=jobs.since_ms[slots],
        run_priority=np.concatenate((np.zeros(len(waiting), np.int32), standing.priority)),
        avoid_job=avoid_job,
        avoid_node=avoid_node,
    )


def numbered(values: Int32, count: int) -> tuple[npt.NDArray[np.intp], Int32]:
    """The distinct values (of 0..count - 1), ascending, and the index of each value among them: np.unique without
    sorting."""
    used = np.zeros(count + 1, np.bool_)
    used[values] = True
    distinct = np.flatnonzero(used)
    index = np.zeros(count + 1, np.int32)
    index[distinct] = np.arange(len(distinct), dtype=np.int32)
    return distinct, index[values]


def _avoid(jobs: JobColumns, known: PoolNodes, waiting: Slots) -> tuple[Int32, Int32]:
    """Pairs of (index of a waiting job, node of an earlier attempt)."""
    slots = np.array([slot for slot in jobs.avoid if jobs.state[slot] == QUEUED], np.intp)
    at = np.searchsorted(waiting, slots)
    positions, pairs = known.positions(len(jobs.nodes)), []
    for index, slot in zip(at.tolist(), slots.tolist(), strict=True):
        if index < len(waiting) and waiting[index] == slot:
            for name in jobs.avoid[slot]:
                node = int(positions[jobs.nodes.find(name)])
                if node != NONE:
                    pairs.append((index, node))
    columns = np.array(pairs, np.int32).reshape(-1, 2)
    return columns[:, 0].copy(), columns[:, 1].copy()
