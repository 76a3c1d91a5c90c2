"""Scheduler leaders: each sees the partitions through a feed that may lag, and assumes its own decisions until they
are decided.

Up to two are awake at once: the newest, and one that was overtaken and does not know.
"""

import random
from dataclasses import dataclass, field

from app.executor.cursor import Position
from tests.property.protocol_model.log import BeginEpoch, JobRow, LeaseJob, Preempt, RunRow, RunState
from tests.property.protocol_model.names import NODES, PARTITIONS, partition_of, run_id
from tests.property.protocol_model.queue_agent import QueueAgent

_ALIVE = (RunState.LEASED, RunState.REPORTED)


@dataclass(slots=True)
class Leader:
    """feed: per partition, how many commands it has seen decided. assumed: leases sent, with their partition and
    offset."""

    epoch: int
    feed: list[int]
    assumed: list[tuple[int, int, LeaseJob]] = field(default_factory=list)
    preempted: set[str] = field(default_factory=set)


class Leaders:
    """All leaders that are awake. off: rules that are switched off."""

    def __init__(self, rng: random.Random, agents: list[QueueAgent], off: frozenset[str]) -> None:
        self._rng = rng
        self._agents = agents
        self._off = off
        self._refuses_stopping = "refuse leases while a run stops" not in off
        self._runs = 0
        self.positions: dict[str, Position] = {}
        """run -> where its lease stands"""
        self.epoch = 0
        self.awake: list[Leader] = []

    def take_over(self) -> None:
        """A new leader: BeginEpoch to every partition, then the undecided commands before it are assumed."""
        self.epoch += 1
        decided = [agent.decided for agent in self._agents]
        lags = self.awake and self._rng.random() < 0.7
        leader = Leader(self.epoch, [self._rng.randint(max(0, at - 3), at) for at in decided] if lags else decided)
        for partition, agent in enumerate(self._agents):
            undecided = list(enumerate(agent.log))[leader.feed[partition] :]
            agent.log.append(BeginEpoch(self.epoch))
            if "assume undecided leases" not in self._off:
                leader.assumed += [
                    (partition, at, command) for at, command in undecided if isinstance(command, LeaseJob)
                ]
        self.awake = [*self.awake, leader][-2:]

    def read_feed(self, leader: Leader, partition: int) -> bool:
        """The feed moves on by one command; an assumption ends when its command has been decided."""
        if leader.feed[partition] == self._agents[partition].decided:
            return False
        leader.feed[partition] += 1
        leader.assumed = [
            (where, at, lease)
            for where, at, lease in leader.assumed
            if where != partition or at >= leader.feed[partition]
        ]
        return True

    def round(self, leader: Leader) -> bool:
        """Sends what applied leases ask to preempt, then places one queued job: on a free node, or displacing the run
        there."""
        jobs, runs = self._picture(leader)
        for row in runs.values():
            for displaced in row.displaced if row.state in _ALIVE else ():
                victim = runs.get(displaced)
                if victim is not None and victim.state in _ALIVE and displaced not in leader.preempted:
                    leader.preempted.add(displaced)
                    self._agents[victim.partition].log.append(Preempt(leader.epoch, displaced))
        held = {row.job for row in runs.values() if row.state is not RunState.STOPPING or self._refuses_stopping}
        queued = [job for job, row in jobs.items() if row.state == "queued" and job not in held]
        return bool(queued) and self._place(leader, self._rng.choice(queued), jobs, runs)

    def preempt_any(self, leader: Leader) -> bool:
        """Balancing preempts some run without a displacing lease."""
        _, runs = self._picture(leader)
        alive = [(run, row) for run, row in runs.items() if row.state in _ALIVE]
        if not alive:
            return False
        run, row = self._rng.choice(alive)
        self._agents[row.partition].log.append(Preempt(leader.epoch, run))
        return True

    def _place(self, leader: Leader, job: int, jobs: dict[int, JobRow], runs: dict[str, RunRow]) -> bool:
        node = self._rng.choice(list(NODES))
        room_freed_by = (RunState.STOPPING,) if "hold room until gone" in self._off else ()
        holders = [(run, row) for run, row in runs.items() if row.node == node and row.state not in room_freed_by]
        displaced: tuple[str, ...] = ()
        if holders:
            if len(holders) > 1 or holders[0][1].state not in _ALIVE or self._rng.random() < 0.6:
                return False
            displaced = (holders[0][0],)
        self._runs += 1
        partition = partition_of(job)
        lease = LeaseJob(leader.epoch, job, jobs[job].attempt, run_id(self._runs), node, displaced)
        leader.assumed.append((partition, len(self._agents[partition].log), lease))
        self.positions[lease.run] = Position(partition, len(self._agents[partition].log), 0)
        self._agents[partition].log.append(lease)
        return True

    def _picture(self, leader: Leader) -> tuple[dict[int, JobRow], dict[str, RunRow]]:
        jobs: dict[int, JobRow] = {}
        runs: dict[str, RunRow] = {}
        for partition in PARTITIONS:
            snapshot = self._agents[partition].snapshots[leader.feed[partition]]
            jobs |= snapshot.jobs
            runs |= snapshot.runs
        for partition, at, lease in leader.assumed:
            row = RunRow(lease.job, lease.node, partition, at, lease.displaced, RunState.ASSUMED)
            runs.setdefault(lease.run, row)
        return jobs, runs
