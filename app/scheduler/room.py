"""Who holds room on the nodes of a pool: runs that take part in a round, and runs that only hold.

Input: job columns, stopping runs, this leader's assumptions. Output: `Standing`, the runs of a round, and `held`, what
is added to the nodes' own: runs that stop, that are displaced by a lease or are being ended, and runs of other pools
on nodes that this one only borrows. None of those is a candidate for anything. Where they hold more than the node has
left, it takes nothing new and is not repaired: their room will come free.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.scheduler.assumptions import Assumed, Assumptions
from app.scheduler.interning import NONE, Int32
from app.scheduler.job_columns import LEASED, QUEUED, RUNNING, JobColumns
from app.scheduler.pool_nodes import PoolNodes
from app.scheduler.shape_columns import ShapeColumns
from app.scheduler.state import StoppingRun
from app.scheduling.nodes import HOME_POOL, Nodes
from app.scheduling.resources import Bool, Int64

Slots = npt.NDArray[np.intp]
Held = list[tuple[int, int]]
"""(node of the round, number of a shape) of every run that only holds room"""


class Placements(NamedTuple):
    """All runs that are not over, as far as this leader knows: slots of their jobs, number of their node and pool, the
    priority they were scheduled at; `unreported` by number of a cluster; `assumed`: slots of jobs that only count as
    placed."""

    slots: Slots
    node: Int32
    pool: Int32
    priority: Int32
    unreported: npt.NDArray[np.int64]
    assumed: Slots


class Standing(NamedTuple):
    """The runs that take part in a round: slots of their jobs, node of the round, priority; `tenant`: its job is of
    another pool. `held`: runs that only hold room. `blocked`: nodes with a run of unknown shape."""

    slots: Slots
    node: Int32
    priority: Int32
    tenant: Bool
    held: Held
    blocked: frozenset[int]


def placements_of(jobs: JobColumns, assumptions: Assumptions) -> Placements:
    """Runs of jobs as the state has them, and assumed leases of jobs that it still shows as queued."""
    count = jobs.count
    state = jobs.state[:count]
    active = np.flatnonzero(jobs.live[:count] & (state > QUEUED) & (state <= RUNNING))
    slots, assumed = _assumed(jobs, assumptions)
    columns = np.array(
        [(each.node, each.pool, each.scheduled_at_priority, each.cluster) for each in assumed], np.int32
    ).reshape(len(assumed), 4)
    clusters = np.concatenate((jobs.cluster[active][jobs.state[active] == LEASED], columns[:, 3]))
    return Placements(
        slots=np.concatenate((active, slots)),
        node=np.concatenate((jobs.node[active], columns[:, 0])),
        pool=np.concatenate((jobs.pool[active], columns[:, 1])),
        priority=np.concatenate((jobs.scheduled_at_priority[active], columns[:, 2])),
        unreported=np.bincount(clusters[clusters >= 0], minlength=len(jobs.clusters)),
        assumed=slots,
    )


def _assumed(jobs: JobColumns, assumptions: Assumptions) -> tuple[Slots, list[Assumed]]:
    """Theirs is the room, whatever the state says. Where it shows a run already, that run itself counts."""
    slots, found = [], []
    for key, assumed in assumptions.jobs.items():
        slot = jobs.slots.get(key)
        if slot is not None and jobs.state[slot] == QUEUED:
            slots.append(slot)
            found.append(assumed)
    return np.array(slots, np.intp), found


def leaving(jobs: JobColumns, assumptions: Assumptions) -> set[int]:
    """Slots of jobs whose runs are displaced by a lease or being ended, with the gangs of those that are displaced:
    they will be preempted together."""
    slots = {jobs.runs[run_id] for run_id in assumptions.ending_runs if run_id in jobs.runs}
    displaced = [position.run_id for positions in jobs.displaced.values() for position in positions]
    for assumed in assumptions.jobs.values():
        displaced.extend(assumed.displaced)
    for run_id in displaced:
        slot = jobs.runs.get(run_id)
        if slot is not None:
            slots.add(slot)
            slots.update(active_members(jobs, slot))
    return slots


def active_members(jobs: JobColumns, slot: int) -> list[int]:
    """Slots of the jobs of the gang of this one that have runs, in order of their ids; nobody for a job alone."""
    members = [each for each in jobs.gangs.members(int(jobs.gang[slot])) if QUEUED < jobs.state[each] <= RUNNING]
    return sorted(members, key=lambda each: jobs.keys[each])


def standing_of(
    placements: Placements,
    known: PoolNodes,
    jobs: JobColumns,
    shapes: ShapeColumns,
    gone: set[int],
    stopping: Iterable[StoppingRun],
    pool: int,
    *,
    lends: bool,
) -> Standing:
    """The runs on the nodes of a pool. `gone`: slots of `leaving`; `pool`: its number in the job columns; `lends`:
    other pools may use its nodes, so runs of theirs are tenants."""
    positions = known.positions(len(jobs.nodes))
    node = positions[placements.node]
    here = node != NONE
    slots, node = placements.slots[here], node[here]
    shaped = shapes.known()[jobs.shape[slots]]
    blocked = set(node[~shaped].tolist())
    foreign = placements.pool[here] != pool
    borrowed = known.nodes.pool[node] != HOME_POOL
    only_held = shaped & borrowed & foreign
    if gone:
        only_held |= shaped & np.isin(slots, np.array(sorted(gone), np.intp))
    held: Held = list(zip(node[only_held].tolist(), jobs.shape[slots[only_held]].tolist(), strict=True))
    for run in stopping:
        place = int(positions[run.node])
        if place == NONE:
            continue
        if shapes.known()[run.shape]:
            held.append((place, run.shape))
        else:
            blocked.add(place)
    takes_part = shaped & ~only_held
    return Standing(
        slots=slots[takes_part],
        node=node[takes_part],
        priority=placements.priority[here][takes_part],
        tenant=(foreign & lends)[takes_part],
        held=held,
        blocked=frozenset(blocked),
    )


def with_held(known: PoolNodes, standing: Standing, needs: Int64, shape_of: Int32) -> Nodes:
    """The nodes with what only holds room on top of foreign pods. needs: base units by (number of a shape, resource);
    shape_of: number of a shape by slot."""
    nodes = known.nodes
    closed = set(standing.blocked)
    if standing.held:
        pairs = np.array(standing.held, np.int64)
        places, row_of = np.unique(pairs[:, 0], return_inverse=True)
        added: Int64 = np.zeros((len(places), needs.shape[1]), np.int64)
        np.add.at(added, row_of, needs[pairs[:, 1]])
        row = np.full(len(nodes), NONE, np.int64)
        row[places] = np.arange(len(places))
        runs = np.flatnonzero(row[standing.node] != NONE)
        left: Int64 = nodes.capacity[places] - nodes.held[places]
        np.subtract.at(left, row[standing.node[runs]], needs[shape_of[standing.slots[runs]]])
        short = np.any((added > left) & (added > 0), axis=1)
        closed.update(places[short].tolist())
        held: Int64 = nodes.held.copy()
        held[places] += np.where(short[:, np.newaxis], np.clip(left, 0, added), added)
        nodes = replace(nodes, held=held)
    if closed:
        unschedulable = nodes.unschedulable.copy()
        unschedulable[sorted(closed)] = True
        nodes = replace(nodes, unschedulable=unschedulable)
    return nodes


def room_left(nodes: Nodes, standing: Standing, needs: Int64, shape_of: Int32) -> Int64:
    """Base units by (node of the round, resource) that nothing stands on; may be negative."""
    left: Int64 = nodes.capacity - nodes.held
    shapes = shape_of[standing.slots]
    for column in range(left.shape[1]):
        # Doubles count exactly up to 2^53, far above what a node holds in base units.
        used = np.bincount(standing.node, weights=needs[shapes, column].astype(np.float64), minlength=len(left))
        left[:, column] -= used.astype(np.int64)
    return left
