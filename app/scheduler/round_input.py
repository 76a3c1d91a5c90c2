"""From the state of the world to the `Round` of one pool.

Input: job columns, stopping runs, nodes, shapes, queues and this leader's assumptions, all as of now. Output:
`PreparedRound`, copies only, so that the round may be decided in a thread while the columns go on changing.

Room of a node = allocatable - foreign - every run that is not gone: runs of live jobs and assumed leases are jobs
of the round that run, stopping runs are `held`. A node with a run of unknown shape takes nothing. Jobs with a
stopping run, of an unknown shape or queue, or of a partition that is closed are not offered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.domain.rows import FLAG_STOPPING
from app.scheduler.assumptions import Assumed, Assumptions
from app.scheduler.clusters import Clusters
from app.scheduler.interning import NONE, Int32
from app.scheduler.job_columns import LEASED, QUEUED, RUNNING
from app.scheduler.pool_nodes import NodePlace, PoolNodes, pool_nodes
from app.scheduler.pool_rules import PoolRules
from app.scheduler.shape_columns import ShapeColumns
from app.scheduler.state import State
from app.scheduling.jobs import NO_GANG, Jobs
from app.scheduling.nodes import Nodes
from app.scheduling.resources import RESOURCES_MAX, Bool, Int64
from app.scheduling.round import Cluster, Limiter, Queue, Round

UNKNOWN_QUEUE = "?"
Slots = npt.NDArray[np.intp]


class World(NamedTuple):
    """Everything that rounds are made of."""

    state: State
    clusters: Clusters
    shapes: ShapeColumns


class Moment(NamedTuple):
    """What holds at the start of a round, besides the world.

    idle: clusters that get no new work (silent). closed: partitions whose jobs are not offered. limiter: of the pool.
    queue_limiters: by name of a queue.
    """

    assumptions: Assumptions
    idle: frozenset[str]
    closed: frozenset[int]
    limiter: Limiter | None
    queue_limiters: Mapping[str, Limiter]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRound:
    """A round, and what its indices mean outside of it. attempts: by job of the round, as they were; places: by node.

    parked: jobs that wait and were not offered, by reason."""

    round: Round
    attempts: npt.NDArray[np.uint8]
    places: tuple[NodePlace, ...]
    shape_numbers: tuple[int, ...]
    queued: int
    running: int
    parked: Mapping[str, int]
    unreadable_nodes: tuple[str, ...]


class _Chosen(NamedTuple):
    """Slots of the jobs of a round: those that wait, then those that run (nodes by position in the round)."""

    waiting: Slots
    running: Slots
    run_node: Int32
    run_priority: Int32
    parked: Mapping[str, int]
    blocked_nodes: Int32
    """nodes with a run of unknown shape"""


class PoolInput:
    """Makes the rounds of one pool. Keeps the columns of the nodes while none of them changes."""

    def __init__(self, pool: str, rules: PoolRules, world: World) -> None:
        self.pool = pool
        self._rules, self._world = rules, world
        self._nodes: PoolNodes | None = None
        self._nodes_version = -1
        self._names: set[str] = set(rules.resource_names())

    def prepare(self, moment: Moment) -> PreparedRound:
        """The round as of now. Raises app.scheduling.errors.RoundError on a bug only."""
        known = self._pool_nodes()
        chosen = self._choose(known, moment)
        jobs = self._world.state.jobs
        slots = np.concatenate((chosen.waiting, chosen.running))
        numbers, of_job = np.unique(jobs.shape[slots], return_inverse=True)
        shape_numbers = tuple(numbers.tolist())
        if self._add_names(shape_numbers):
            return self.prepare(moment)
        shapes, unknown_classes = self._world.shapes.columns(shape_numbers, known.resources, self._rules.class_index)
        queue_index, queues = self._queues(moment)
        names = (UNKNOWN_QUEUE, *unknown_classes)
        # Unknown classes are counted from -1 on: move them behind the name for unknown queues.
        of_class = shapes.priority_class
        shapes = replace(shapes, priority_class=np.where(of_class < 0, of_class - 1, of_class))
        round_ = Round(
            pool=self.pool,
            config=self._rules.config,
            resources=known.resources,
            floating=self._rules.floating(known.resources),
            clusters=self._cluster_columns(known, moment),
            limiter=moment.limiter,
            classes=self._rules.classes,
            node_types=self._rules.node_types,
            pools=(),
            nodes=self._held(known, chosen),
            queues=queues,
            shapes=shapes,
            gangs=(),
            jobs=self._jobs(known, chosen, slots, of_job.astype(np.int32), queue_index),
            unknown=names,
        )
        round_.check()
        return PreparedRound(
            round=round_,
            attempts=jobs.attempt[slots],
            places=known.places,
            shape_numbers=shape_numbers,
            queued=len(chosen.waiting),
            running=len(chosen.running),
            parked=chosen.parked,
            unreadable_nodes=known.unreadable,
        )

    def _pool_nodes(self) -> PoolNodes:
        world = self._world
        if self._nodes is None or self._nodes_version != world.clusters.nodes_version:
            jobs = world.state.jobs
            self._nodes = pool_nodes(world.clusters, self.pool, self._names, jobs.nodes, jobs.clusters)
            self._nodes_version = world.clusters.nodes_version
        return self._nodes

    def _add_names(self, shape_numbers: tuple[int, ...]) -> bool:
        """Makes columns for resources that only jobs speak of; True when the nodes must be laid out anew."""
        assert self._nodes is not None
        have = self._nodes.resources.columns
        wanted = {name for number in shape_numbers for name in self._world.shapes.requests(number)}
        missing = wanted.difference(have)
        if not missing:
            return False
        self._names |= missing
        self._nodes = None
        return True

    def _choose(self, known: PoolNodes, moment: Moment) -> _Chosen:
        jobs, shapes = self._world.state.jobs, self._world.shapes
        count = jobs.count
        live, state = jobs.live[:count], jobs.state[:count]
        positions = known.positions(len(jobs.nodes))
        shape_known, allowed = shapes.known(), self._allowed(known)
        assumed_slots, assumed = self._assumed(moment.assumptions)
        waits = live & (state == QUEUED)
        waits[assumed_slots] = False
        offered = waits & allowed[jobs.shape[:count]]
        parked = {"unknown shape": int((waits & ~shape_known[jobs.shape[:count]]).sum())}
        stopping = offered & ((jobs.flags[:count] & FLAG_STOPPING) != 0)
        parked["a run is stopping"] = int(stopping.sum())
        offered &= ~stopping
        if moment.closed:
            closed = offered & np.isin(jobs.partition[:count], list(moment.closed))
            parked["partition does not answer"] = int(closed.sum())
            offered &= ~closed
        without_queue = offered & ~self._has_queue()[jobs.queue[:count]]
        parked["unknown queue"] = int(without_queue.sum())
        offered &= ~without_queue
        active = np.flatnonzero(live & (state > QUEUED) & (state <= RUNNING))
        node = np.concatenate((positions[jobs.node[active]], positions[[each.node for each in assumed]]))
        running = np.concatenate((active, assumed_slots))
        priority = np.concatenate(
            (
                jobs.scheduled_at_priority[active],
                np.array([each.scheduled_at_priority for each in assumed], np.int32),
            )
        )
        here = node != NONE
        shaped = shape_known[jobs.shape[running]]
        return _Chosen(
            waiting=np.flatnonzero(offered),
            running=running[here & shaped],
            run_node=node[here & shaped],
            run_priority=priority[here & shaped].astype(np.int32),
            parked={reason: number for reason, number in parked.items() if number},
            blocked_nodes=node[here & ~shaped],
        )

    def _assumed(self, assumptions: Assumptions) -> tuple[Slots, list[Assumed]]:
        """Assumed leases of jobs that the state still shows as queued: theirs is the room, whatever the state says.

        Where the state shows a run already, only the position is behind; the run itself counts.
        """
        jobs, slots, found = self._world.state.jobs, [], []
        for key, assumed in assumptions.jobs.items():
            slot = jobs.slots.get(key)
            if slot is not None and jobs.state[slot] == QUEUED:
                slots.append(slot)
                found.append(assumed)
        return np.array(slots, np.intp), found

    def _allowed(self, known: PoolNodes) -> Bool:
        """bool by number of a shape: may be offered here. Too many resources would make the round too wide."""
        shapes = self._world.shapes
        allowed = shapes.allowed(self.pool)
        names = shapes.resource_names.difference(known.resources.columns)
        if len(names) + len(known.resources.names) <= RESOURCES_MAX:
            return allowed
        fits = allowed.copy()
        for number in np.flatnonzero(allowed).tolist():
            fits[number] = all(name in known.resources.columns for name in shapes.requests(number))
        return fits

    def _has_queue(self) -> Bool:
        state = self._world.state
        known = np.zeros(len(state.jobs.queues) + 1, np.bool_)
        known[[state.jobs.queues.find(name) for name in state.queues]] = True
        known[-1] = False
        return known

    def _queues(self, moment: Moment) -> tuple[Int32, tuple[Queue, ...]]:
        """Queues by name, and by number of the job columns their index in the round (-1 = unknown)."""
        state = self._world.state
        index = np.full(len(state.jobs.queues) + 1, NONE, np.int32)
        queues: list[Queue] = []
        for name, row in sorted(state.queues.items()):
            index[state.jobs.queues.find(name)] = len(queues)
            queues.append(self._rules.queue(row, moment.queue_limiters.get(name)))
        return index, tuple(queues)

    def _cluster_columns(self, known: PoolNodes, moment: Moment) -> tuple[Cluster, ...]:
        jobs = self._world.state.jobs
        count = jobs.count
        unreported = jobs.cluster[:count][jobs.live[:count] & (jobs.state[:count] == LEASED)]
        _, assumed = self._assumed(moment.assumptions)
        both = np.concatenate((unreported, np.array([each.cluster for each in assumed], np.int32)))
        by_cluster = np.bincount(both[both >= 0], minlength=len(jobs.clusters))
        return tuple(
            Cluster(
                name=name,
                cordoned=name in moment.idle,
                unacknowledged=int(by_cluster[number]),
                unacknowledged_limit=self._rules.unacknowledged_max,
            )
            for name, number in zip(known.clusters, known.cluster_numbers.tolist(), strict=True)
        )

    def _held(self, known: PoolNodes, chosen: _Chosen) -> Nodes:
        """The nodes with what stopping runs hold on top of foreign pods."""
        nodes, shapes = known.nodes, self._world.shapes
        blocked = set(chosen.blocked_nodes.tolist())
        added: list[tuple[int, int]] = []
        positions = known.positions(len(self._world.state.jobs.nodes))
        for run in self._world.state.stopping.values():
            node = int(positions[run.node])
            if node == NONE:
                continue
            if shapes.known()[run.shape]:
                added.append((node, run.shape))
            else:
                blocked.add(node)
        if added:
            held: Int64 = nodes.held.copy()
            for node, shape in added:
                for name, amount in shapes.requests(shape).items():
                    column = known.resources.columns.get(name)
                    if column is not None:
                        held[node, column] += amount
            nodes = replace(nodes, held=held)
        if blocked:
            unschedulable = nodes.unschedulable.copy()
            unschedulable[sorted(blocked)] = True
            nodes = replace(nodes, unschedulable=unschedulable)
        return nodes

    def _jobs(self, known: PoolNodes, chosen: _Chosen, slots: Slots, shape: Int32, queue_index: Int32) -> Jobs:
        jobs, waiting = self._world.state.jobs, len(chosen.waiting)
        running = np.zeros(len(slots), np.bool_)
        running[waiting:] = True
        avoid_job, avoid_node = self._avoid(known, chosen.waiting)
        return Jobs(
            id=jobs.text[slots],
            queue=queue_index[jobs.queue[slots]],
            shape=shape,
            priority=jobs.priority[slots].astype(np.int64),
            submitted=jobs.submitted_ms[slots],
            gang=np.full(len(slots), NO_GANG, np.int32),
            running=running,
            run_node=np.concatenate((np.full(waiting, NONE, np.int32), chosen.run_node)),
            run_started=jobs.since_ms[slots],
            run_priority=np.concatenate((np.zeros(waiting, np.int32), chosen.run_priority)),
            avoid_job=avoid_job,
            avoid_node=avoid_node,
        )

    def _avoid(self, known: PoolNodes, waiting: Slots) -> tuple[Int32, Int32]:
        """Pairs of (index of a waiting job, node of an earlier attempt)."""
        jobs = self._world.state.jobs
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
