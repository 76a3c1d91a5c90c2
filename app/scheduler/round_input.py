"""From the state of the world to the `Round` of one pool.

Input: job columns, stopping runs, nodes, shapes, queues and this leader's assumptions, all as of now. Output:
`PreparedRound`, copies only, so that the round may be decided in a thread while the columns go on changing.

Room of a node = allocatable - foreign - every run that is not gone (room.py). A node with a run of unknown shape takes
nothing. Jobs with a stopping run, of an unknown shape or queue, or of a partition that is closed are not offered.
A cheap round offers only the jobs that it is given (backlog.py) and does not balance.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.domain.rows import FLAG_STOPPING
from app.scheduler.assumptions import Assumptions
from app.scheduler.clusters import Clusters
from app.scheduler.interning import Int32
from app.scheduler.job_columns import QUEUED
from app.scheduler.pool_nodes import NodePlace, PoolNodes, pool_nodes, with_usage
from app.scheduler.pool_rules import PoolRules
from app.scheduler.room import Placements, Slots, Standing, leaving, placements_of, room_left, standing_of, with_held
from app.scheduler.round_columns import (
    cluster_columns,
    gang_columns,
    job_columns,
    numbered,
    penalties_of,
    queue_columns,
)
from app.scheduler.shape_columns import ShapeColumns
from app.scheduler.state import State
from app.scheduling.nodes import Nodes
from app.scheduling.resources import RESOURCES_MAX, Bool, Int64
from app.scheduling.round import NOT_FLOATING, Cluster, Limiter, Round

UNKNOWN_QUEUE = "?"
Free = Int64
Choose = Callable[[Free, Int64, tuple[str, ...]], Slots]


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
    """A round, and what its indices mean outside of it.

    slots, attempts, run_ids: by job of the round, as they were (jobs that wait first); places, node_numbers: by node.
    parked: jobs that wait and were not offered, by reason. cheap: only some of those that wait were offered. free: base
    units by (number of a node in the job columns, resource), 0 where nothing new may go. overdrawn: some node holds
    more than it has.
    """

    round: Round
    slots: Slots
    attempts: npt.NDArray[np.uint8]
    run_ids: npt.NDArray[np.void]
    places: tuple[NodePlace, ...]
    node_numbers: Int32
    shape_numbers: tuple[int, ...]
    queued: int
    running: int
    parked: Mapping[str, int]
    unreadable_nodes: tuple[str, ...]
    cheap: bool
    free: Free
    overdrawn: bool


class _Base(NamedTuple):
    """What rounds of either kind begin with. placements: of all pools; standing: runs of this one; nodes: with what
    only holds room; needs: base units by (number of a shape, resource); left: by (node, resource), what is free."""

    known: PoolNodes
    placements: Placements
    standing: Standing
    nodes: Nodes
    needs: Int64
    left: Int64
    clusters: tuple[Cluster, ...]


class PoolInput:
    """Makes the rounds of one pool. Keeps the columns of the nodes while none of them changes."""

    def __init__(self, pool: str, rules: PoolRules, world: World) -> None:
        self.pool = pool
        self._rules, self._world = rules, world
        self._nodes: PoolNodes | None = None
        self._versions = (-1, -1)
        self._names: set[str] = set(rules.resource_names())

    def prepare(self, moment: Moment) -> PreparedRound:
        """A full round as of now. Raises app.scheduling.errors.RoundError on a bug only."""
        jobs = self._world.state.jobs
        count = jobs.count
        waiting = np.flatnonzero(jobs.live[:count] & (jobs.state[:count] == QUEUED))
        while True:
            base = self._base(moment)
            offered, parked = self._offered(base, moment, waiting)
            if not self._add_names(jobs.shape[offered]):
                return self._build(base, moment, offered, parked, self._free(base), cheap=False)

    def prepare_cheap(self, moment: Moment, choose: Choose) -> PreparedRound | None:
        """A round that offers only the jobs chosen and does not balance; None when it offers nothing, or when only a
        full round can tell. choose: room that is free and needs of shapes, as of now, to slots in ascending order."""
        jobs = self._world.state.jobs
        base = self._base(moment)
        free = self._free(base)
        chosen = choose(free, base.needs, base.known.resources.names)
        if not len(chosen):
            return None
        offered, parked = self._offered(base, moment, chosen)
        if not len(offered) or self._add_names(jobs.shape[offered]):
            return None
        return self._build(base, moment, offered, parked, free, cheap=True)

    def offers(self) -> Bool:
        """bool by number of a shape: known, and may be offered here."""
        return self._allowed(self.nodes())

    def check_round(self, slots: Slots) -> Round:
        """A round that asks whether the jobs in these slots (ascending, of `offers` and known queues) would fit the
        empty pool."""
        state = self._world.state
        self.nodes()
        self._add_names(state.jobs.shape[slots])
        known = self.nodes()
        moment = Moment(Assumptions(), frozenset(), frozenset(), None, {})
        placements = placements_of(state.jobs, moment.assumptions)
        nobody = Standing(
            slots=slots[:0],
            node=np.zeros(0, np.int32),
            priority=np.zeros(0, np.int32),
            tenant=np.zeros(0, np.bool_),
            held=[],
            blocked=frozenset(),
        )
        base = _Base(
            known=known,
            placements=placements,
            standing=nobody,
            nodes=known.nodes,
            left=known.nodes.capacity,
            needs=self._world.shapes.needs(known.resources),
            clusters=cluster_columns(known, self._rules, placements, ()),
        )
        round_ = self._build(base, moment, slots, {}, self._free(base), cheap=False).round
        return replace(round_, config=replace(round_.config, submit_check=True))

    def nodes(self) -> PoolNodes:
        """The nodes of the pool as of now."""
        world = self._world
        versions = (world.clusters.nodes_version, world.clusters.structure_version)
        if self._nodes is not None and versions != self._versions and versions[1] == self._versions[1]:
            self._nodes = with_usage(self._nodes, world.clusters)
        elif versions != self._versions:
            self._nodes = None
        if self._nodes is None:
            jobs = world.state.jobs
            away_pools = self._rules.settings.away_pools
            self._nodes = pool_nodes(world.clusters, self.pool, self._names, jobs.nodes, jobs.clusters, away_pools)
        self._versions = versions
        return self._nodes

    def _base(self, moment: Moment) -> _Base:
        state, shapes, known = self._world.state, self._world.shapes, self.nodes()
        jobs = state.jobs
        placements = placements_of(jobs, moment.assumptions)
        standing = standing_of(
            placements,
            known,
            jobs,
            shapes,
            leaving(jobs, moment.assumptions),
            state.stopping.values(),
            jobs.pools.learn(self.pool),
            lends=self._rules.lends,
        )
        if self._add_names(jobs.shape[standing.slots]):
            return self._base(moment)
        needs = shapes.needs(known.resources)
        # Floating resources are nobody's room on a node.
        of_nodes = np.where(np.array(self._rules.floating(known.resources)) == NOT_FLOATING, needs, 0)
        nodes = with_held(known, standing, of_nodes, jobs.shape)
        return _Base(
            known=known,
            placements=placements,
            standing=standing,
            nodes=nodes,
            needs=needs,
            left=room_left(nodes, standing, needs, jobs.shape),
            clusters=cluster_columns(known, self._rules, placements, moment.idle),
        )

    def _free(self, base: _Base) -> Free:
        """What is free for new jobs, by number of a node in the job columns; nothing where they may not go."""
        jobs = self._world.state.jobs
        closed = np.array([each.cordoned or each.unacknowledged >= each.unacknowledged_limit for each in base.clusters])
        room = np.maximum(base.left, 0)
        room[base.nodes.unschedulable | (closed[base.nodes.cluster] if len(closed) else False)] = 0
        free: Free = np.zeros((len(jobs.nodes), base.left.shape[1]), np.int64)
        free[base.known.numbers] = room
        return free

    def _build(
        self, base: _Base, moment: Moment, offered: Slots, parked: Mapping[str, int], free: Free, *, cheap: bool
    ) -> PreparedRound:
        state, known, standing = self._world.state, base.known, base.standing
        jobs, rules = state.jobs, self._rules
        slots = np.concatenate((offered, standing.slots))
        numbers, of_job = numbered(jobs.shape[slots], len(jobs.shapes))
        shape_numbers = tuple(numbers.tolist())
        shapes, unknown_classes = self._world.shapes.columns(shape_numbers, known.resources, rules.class_index)
        # Unknown classes are counted from -1 on: move them behind the name for unknown queues.
        of_class = shapes.priority_class
        shapes = replace(shapes, priority_class=np.where(of_class < 0, of_class - 1, of_class))
        charged = state.short_runs.charged(jobs.pools.learn(self.pool), state.log_time_ms)
        penalties = penalties_of(charged, self._world.shapes.known(), base.needs, known.resources.names)
        queues = queue_columns(state, rules, standing, moment.queue_limiters, penalties)
        gangs, gang = gang_columns(jobs, slots)
        round_ = Round(
            pool=self.pool,
            config=replace(rules.config, fair_share_preemption=False) if cheap else rules.config,
            resources=known.resources,
            floating=rules.floating(known.resources),
            clusters=base.clusters,
            limiter=moment.limiter,
            classes=rules.classes,
            node_types=rules.node_types,
            pools=known.pools,
            nodes=base.nodes,
            queues=queues.queues,
            shapes=shapes,
            gangs=gangs,
            jobs=job_columns(jobs, known, offered, standing, of_job, gang, queues),
            unknown=(UNKNOWN_QUEUE, *unknown_classes),
        )
        round_.check()
        return PreparedRound(
            round=round_,
            slots=slots,
            attempts=jobs.attempt[slots],
            run_ids=jobs.run_id[slots],
            places=known.places,
            node_numbers=known.numbers,
            shape_numbers=shape_numbers,
            queued=len(offered),
            running=len(standing.slots),
            parked=parked,
            unreadable_nodes=known.unreadable,
            cheap=cheap,
            free=free,
            overdrawn=bool((base.left < 0).any()),
        )

    def _add_names(self, shapes: Int32) -> bool:
        """Makes columns for resources that only jobs speak of; True when the nodes were laid out anew. shapes: numbers
        of known shapes."""
        assert self._nodes is not None
        have = self._nodes.resources.columns
        if not self._world.shapes.resource_names.difference(have):
            return False
        used = numbered(shapes, len(self._world.state.jobs.shapes))[0]
        wanted = {name for number in used.tolist() for name in self._world.shapes.requests(number)}
        missing = wanted.difference(have)
        if not missing:
            return False
        self._names |= missing
        self._nodes = None
        self.nodes()
        return True

    def _offered(self, base: _Base, moment: Moment, waiting: Slots) -> tuple[Slots, Mapping[str, int]]:
        """Those of the slots whose jobs are offered, and how many others wait, by what keeps them back."""
        jobs = self._world.state.jobs
        slots = waiting[jobs.live[waiting] & (jobs.state[waiting] == QUEUED)]
        parked: dict[str, int] = {}
        for reason, keeps_back in self._hindrances(base.known, moment, base.placements):
            mask = keeps_back(slots)
            number = int(mask.sum())
            if number:
                slots = slots[~mask]
                if reason:
                    parked[reason] = number
        return slots, parked

    def _hindrances(
        self, known: PoolNodes, moment: Moment, placements: Placements
    ) -> list[tuple[str, Callable[[Slots], Bool]]]:
        """What keeps a job from being offered, with the name under which it is counted ("" = not at all)."""
        jobs = self._world.state.jobs
        shape_known, allowed, has_queue = self._world.shapes.known(), self._allowed(known), self._has_queue()
        found: list[tuple[str, Callable[[Slots], Bool]]] = []
        decided = set(placements.assumed.tolist())
        if moment.assumptions.ending_runs:
            rejected = (jobs.slot(each) for each in moment.assumptions.ending_runs)
            decided.update(slot for slot in rejected if slot is not None)
        if decided:
            assumed = np.array(sorted(decided), np.intp)
            found.append(("", lambda slots: np.isin(slots, assumed)))
        found.append(("unknown shape", lambda slots: ~shape_known[jobs.shape[slots]]))
        found.append(("", lambda slots: ~allowed[jobs.shape[slots]]))
        found.append(("a run is stopping", lambda slots: (jobs.flags[slots] & FLAG_STOPPING) != 0))
        if moment.closed:
            closed = list(moment.closed)
            found.append(("partition does not answer", lambda slots: np.isin(jobs.partition[slots], closed)))
        found.append(("unknown queue", lambda slots: ~has_queue[jobs.queue[slots]]))
        return found

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
