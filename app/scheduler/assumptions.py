"""Decisions that are on their way: from the moment of deciding until their partition has decided the command.

Input: leases, and ends of runs and jobs, as they are decided (or found in the log by a new leader), the offsets under
which the broker took them, and the positions of partitions. Output: which jobs count as placed meanwhile, which runs
are being ended or displaced, and which partitions do not answer. An assumption ends when the partition's position
passes its command: what the state says then is the outcome.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.domain.commands import Lease
from app.scheduler.job_columns import JobColumns

STUCK_AFTER_S = 5.0
"""a partition whose oldest outstanding command is older than this, and which has not moved since, does not answer"""
OUTSTANDING_LEASES_MAX = 20_000
"""leases of one partition that may be on their way"""


class Assumed(NamedTuple):
    """A job that counts as placed. node, cluster, pool: numbers of the tables of JobColumns. displaced: run ids."""

    run_id: bytes
    pool: int
    cluster: int
    node: int
    scheduled_at_priority: int
    displaced: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Outstanding:
    """One command that its partition has not decided. offset -1: the broker has not acknowledged it yet."""

    partition: int
    keys: tuple[bytes, ...]
    sent_s: float
    offset: int = -1
    runs: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _Partition:
    commands: deque[Outstanding] = field(default_factory=deque)
    position: int = -1
    moved_s: float = float("-inf")
    leases: int = 0


class Assumptions:
    """Of one leader. Keys are those of argosy.state (b"j" and the job id)."""

    def __init__(self) -> None:
        self.jobs: dict[bytes, Assumed] = {}
        self.ending_runs: set[bytes] = set()
        """runs (jobs, where a job has none) whose expiry, preemption or rejection is on its way"""
        self._partitions: dict[int, _Partition] = {}

    def lease(self, partition: int, leases: Sequence[tuple[bytes, Assumed]], now_s: float) -> Outstanding:
        """Assumes leases of one command: (key, where it goes). The caller says the offset to `acknowledged`."""
        self.jobs.update(leases)
        return self._add(Outstanding(partition, tuple(key for key, _ in leases), now_s))

    def end(self, partition: int, runs: Iterable[bytes], now_s: float) -> Outstanding:
        """Assumes a command that ends these runs or, for jobs that have none, these jobs (by id)."""
        ended = tuple(runs)
        self.ending_runs.update(ended)
        return self._add(Outstanding(partition, (), now_s, runs=ended))

    def command(self, partition: int, now_s: float) -> Outstanding:
        """A command of another kind (BeginEpoch, Settings) that the partition should answer."""
        return self._add(Outstanding(partition, (), now_s))

    def acknowledged(self, command: Outstanding, offset: int) -> None:
        """The broker has taken the command at this offset; it may have been decided already."""
        command.offset = offset
        at = self._partitions[command.partition]
        self._end(at, at.position)

    def advanced(self, partition: int, position: int, now_s: float) -> bool:
        """The partition is decided up to `position`. Returns whether an assumption ended."""
        at = self._partitions.setdefault(partition, _Partition())
        if position <= at.position:
            return False
        at.position, at.moved_s = position, now_s
        return self._end(at, position)

    def closed(self, partition: int, now_s: float) -> bool:
        """Whether the partition gets no new leases: it does not answer, or too many are on their way."""
        at = self._partitions.get(partition)
        if at is None or not at.commands:
            return False
        waits_s = now_s - max(at.commands[0].sent_s, at.moved_s)
        return waits_s > STUCK_AFTER_S or at.leases >= OUTSTANDING_LEASES_MAX

    def undecided(self) -> list[tuple[int, int]]:
        """(partition, offset) of every command that is acknowledged and not decided."""
        return [
            (partition, command.offset)
            for partition, at in sorted(self._partitions.items())
            for command in at.commands
            if command.offset >= 0
        ]

    def _add(self, command: Outstanding) -> Outstanding:
        at = self._partitions.setdefault(command.partition, _Partition())
        at.commands.append(command)
        at.leases += len(command.keys)
        return command

    def _end(self, at: _Partition, position: int) -> bool:
        ended = False
        while at.commands and 0 <= at.commands[0].offset <= position:
            command = at.commands.popleft()
            at.leases -= len(command.keys)
            for key in command.keys:
                self.jobs.pop(key, None)
            self.ending_runs.difference_update(command.runs)
            ended = True
        return ended


def assumed_of(leases: Iterable[Lease], jobs: JobColumns) -> list[tuple[bytes, Assumed]]:
    """Leases as they stand in a command, as assumptions."""
    return [
        (
            b"j" + lease.job_id,
            Assumed(
                run_id=lease.run_id,
                pool=jobs.pools.learn(lease.pool),
                cluster=jobs.clusters.learn(lease.cluster),
                node=jobs.nodes.learn(f"{lease.cluster}/{lease.node}"),
                scheduled_at_priority=lease.scheduled_at_priority,
                displaced=tuple(position.run_id for position in lease.displaced),
            ),
        )
        for lease in leases
    ]
