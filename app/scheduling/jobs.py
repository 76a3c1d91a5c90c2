"""The jobs of a round as columns, and the builder that makes them one by one.

A shell that already keeps jobs in arrays makes `Jobs` from those; the builder is for files, tests and small shells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.scheduling.resources import Bool, Int32, Int64

NO_GANG = -1
NO_NODE = -1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Gang:
    """One member's view of its gang. Members that disagree have different entries under the same id."""

    id: str
    cardinality: int
    uniformity_label: str | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """J jobs as columns.

    `id`: bytes (J,), UTF-8, unique; ids of different length order as the bytes do. `queue`: int32, index in the
    round's queues; -1-k for a queue that is not listed, named `Round.unknown[k]`. `shape`: int32, index in the shapes.
    `priority`: int64, lower first. `submitted`: int64, order alone matters. `gang`: int32, index in the round's gangs
    or NO_GANG.
    `running`: bool. Where it is true: `run_node` int32, index in the nodes or -1-k for an unknown one, named
    `Round.unknown[k]`; `run_started` int64, order alone matters; `run_priority` int32, the priority that it was
    scheduled at. Elsewhere these three mean nothing.
    Nodes to avoid are sparse pairs: job `avoid_job[i]` is never placed on node `avoid_node[i]` (int32; unknown nodes
    as in run_node).
    """

    id: npt.NDArray[np.bytes_]
    queue: Int32
    shape: Int32
    priority: Int64
    submitted: Int64
    gang: Int32
    running: Bool
    run_node: Int32
    run_started: Int64
    run_priority: Int32
    avoid_job: Int32
    avoid_node: Int32

    def __len__(self) -> int:
        return len(self.queue)

    def name(self, job: int) -> str:
        """The id of one job as text."""
        return bytes(self.id[job]).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The run of a job: node index (or -1-k), when it started, the priority that it was scheduled at."""

    node: int
    started: int
    scheduled_at_priority: int


class JobsBuilder:
    """Collects jobs and makes their columns. Ids are not checked for uniqueness here (a million would cost)."""

    def __init__(self) -> None:
        self._ids: list[bytes] = []
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._runs: list[tuple[bool, int, int, int]] = []
        self._avoid: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(
        self,
        job_id: str,
        *,
        queue: int,
        shape: int,
        priority: int,
        submitted: int,
        gang: int = NO_GANG,
        avoid_nodes: Sequence[int] = (),
        run: Run | None = None,
    ) -> int:
        """Adds a job and returns its index."""
        index = len(self._ids)
        self._ids.append(job_id.encode())
        self._rows.append((queue, shape, priority, submitted, gang))
        self._runs.append(
            (False, NO_NODE, 0, 0) if run is None else (True, run.node, run.started, run.scheduled_at_priority)
        )
        self._avoid.extend((index, node) for node in avoid_nodes)
        return index

    def build(self) -> Jobs:
        """The columns of all jobs added so far."""
        count = len(self._ids)
        rows = np.array(self._rows, np.int64).reshape(count, 5)
        runs = np.array(self._runs, np.int64).reshape(count, 4)
        avoid = np.array(self._avoid, np.int32).reshape(len(self._avoid), 2)
        return Jobs(
            id=np.array(self._ids, np.bytes_) if count else np.zeros(0, "S1"),
            queue=rows[:, 0].astype(np.int32),
            shape=rows[:, 1].astype(np.int32),
            priority=rows[:, 2].copy(),
            submitted=rows[:, 3].copy(),
            gang=rows[:, 4].astype(np.int32),
            running=runs[:, 0].astype(np.bool_),
            run_node=runs[:, 1].astype(np.int32),
            run_started=runs[:, 2].copy(),
            run_priority=runs[:, 3].astype(np.int32),
            avoid_job=avoid[:, 0].copy(),
            avoid_node=avoid[:, 1].copy(),
        )
