"""What argosy.state says of all partitions: jobs, runs that are stopping, queues, operations, settings, positions.

Input: whole steps (steps.py). Output: the attributes of `State`. `changes` grows whenever something came that a round
could decide otherwise for.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from app.domain.events import StopReason
from app.domain.rows import (
    SETTINGS_KEY,
    ClusterRow,
    JobRow,
    OperationRow,
    PositionRow,
    QueueRow,
    RunRow,
    SettingsRow,
    name_hash,
)
from app.domain.state import FIRST_POSITION, FIRST_SETTINGS, StateRow
from app.scheduler.job_columns import QUEUED, RUNNING, JobColumns
from app.scheduler.short_runs import ShortRuns
from app.scheduler.steps import WholeSteps

Decode = Callable[[bytes], object]


class StateUnreadable(ValueError):
    """a row of argosy.state is not what its key says"""


class StoppingRun(NamedTuple):
    """A run that we ended and that still holds its room. node, shape: numbers of the tables of JobColumns."""

    row: RunRow
    node: int
    shape: int


class State:
    """The state of all partitions as of their last whole steps."""

    def __init__(self, partitions: int, decode: Decode, short_job_cutoff_s: Mapping[str, float] | None = None) -> None:
        """`decode`: a framed value to its row. `short_job_cutoff_s`: by pool, see ShortRuns."""
        self.partitions = partitions
        self.jobs = JobColumns(self._decode_job)
        self.stopping: dict[bytes, StoppingRun] = {}
        self.queues: dict[str, QueueRow] = {}
        self.settings: dict[int, SettingsRow] = {}
        self.operations: dict[tuple[int, int], OperationRow] = {}
        self.instances: dict[str, bytes] = {}
        """cluster -> the instance that speaks for it"""
        self.positions: dict[int, PositionRow] = {}
        self.changes = 0
        self.queues_version = 0
        self._decode = decode
        self.short_runs = ShortRuns(self.jobs, short_job_cutoff_s or {}, self._is_preempted)
        if self.short_runs.counts:
            self.jobs.on_end = self.short_runs.ended

    def position(self, partition: int) -> PositionRow:
        """How far a partition is decided."""
        return self.positions.get(partition, FIRST_POSITION)

    def settings_of(self, partition: int) -> SettingsRow:
        """The settings that a partition decides by."""
        return self.settings.get(partition, FIRST_SETTINGS)

    @property
    def highest_epoch(self) -> int:
        """The highest epoch that any partition knows."""
        return max((row.epoch for row in self.positions.values()), default=FIRST_POSITION.epoch)

    @property
    def log_time_ms(self) -> int:
        """The latest broker time that any partition has decided at."""
        return max((row.log_time_ms for row in self.positions.values()), default=0)

    def apply(self, steps: WholeSteps, now_s: float) -> None:
        """Takes whole steps of one partition. Raises StateUnreadable."""
        jobs: dict[bytes, bytes | None] = {}
        for key, value in steps.rows.items():
            if key[:1] == b"j":
                jobs[key] = value
            else:
                self._apply_row(steps.partition, key, value)
        if jobs:
            self.jobs.apply(jobs, now_s)
        if steps.rows:
            self.changes += 1
        position = self._decode(steps.position)
        if not isinstance(position, PositionRow):
            raise StateUnreadable(f"the position row of partition {steps.partition} is a {type(position).__name__}")
        self.positions[steps.partition] = position

    def counts(self) -> Mapping[str, int]:
        """Jobs and runs by what they do: queued, leased, pending, running, stopping."""
        jobs = self.jobs
        by_state = np.bincount(jobs.state[: jobs.count][jobs.live[: jobs.count]], minlength=RUNNING + 1)
        names = ("queued", "leased", "pending", "running")
        return {
            **dict(zip(names, by_state[QUEUED : RUNNING + 1].tolist(), strict=True)),
            "stopping": len(self.stopping),
        }

    def _apply_row(self, partition: int, key: bytes, value: bytes | None) -> None:
        kind, name = key[:1], key[1:]
        row = None if value is None else self._row(key, value)
        match kind, row:
            case b"r", RunRow():
                self._run_stops(name, row)
            case b"r", None:
                self.stopping.pop(name, None)
            case b"q", QueueRow():
                self.queues[name.decode()] = row
                self.jobs.queues.learn(name.decode())
                self.queues_version += 1
            case b"q", None:
                self.queues.pop(name.decode(), None)
                self.queues_version += 1
            case b"o", OperationRow():
                self.operations[partition, int.from_bytes(name, "big")] = row
            case b"o", None:
                self.operations.pop((partition, int.from_bytes(name, "big")), None)
            case b"c", ClusterRow():
                self._instance_begins(row)
            case b"c", None:
                pass
            case b"s", SettingsRow() if key == SETTINGS_KEY:
                self.settings[partition] = row
            case b"s", None:
                self.settings.pop(partition, None)
            case _:
                raise StateUnreadable(
                    f"argosy.state, partition {partition}: the key {key!r} holds a {type(row).__name__}; "
                    f"it was written by another release"
                )

    def _run_stops(self, run_id: bytes, row: RunRow) -> None:
        nodes = self.jobs.nodes
        node = nodes.numbers(np.array([name_hash(f"{row.cluster}/{row.node}")], np.uint64))
        self.stopping[run_id] = StoppingRun(row, int(node[0]), self.jobs.shapes.number(row.shape_hash))

    def _is_preempted(self, run_id: bytes) -> bool:
        run = self.stopping.get(run_id)
        return run is not None and run.row.reason == StopReason.PREEMPTED

    def _instance_begins(self, row: ClusterRow) -> None:
        known = self.instances.get(row.cluster)
        # Partitions tell it one after the other; instances are ULIDs, so the later one wins.
        if known is None or row.instance > known:
            self.instances[row.cluster] = row.instance
        self.jobs.clusters.learn(row.cluster)

    def _row(self, key: bytes, value: bytes) -> StateRow:
        row = self._decode(value)
        assert isinstance(row, StateRow), f"{key!r} holds a {type(row).__name__}"
        return row

    def _decode_job(self, value: bytes) -> JobRow:
        row = self._decode(value)
        if not isinstance(row, JobRow):
            raise StateUnreadable(f"the row of a job is a {type(row).__name__}")
        return row
