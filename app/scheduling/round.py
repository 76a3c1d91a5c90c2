"""`Round`: everything that one scheduling pass over a pool depends on, and nothing else.

A struct of arrays with every field of reference round-file.md. What is few (classes, queues, clusters) is a tuple of
small records; what is many (nodes, jobs, shapes) is columns. A round is never changed; `schedule` is a function of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.clusters import Taint
from app.scheduling.errors import RoundError
from app.scheduling.jobs import Gang, Jobs
from app.scheduling.nodes import Nodes
from app.scheduling.resources import Resources
from app.scheduling.shapes import Shapes

NOT_FLOATING = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundConfig:
    """How a round decides. Field by field the `config` of a round file, whose defaults these are."""

    fair_share_resources: Mapping[str, float] = field(default_factory=lambda: {"cpu": 1.0, "memory": 1.0})
    indexed_resources: tuple[str, ...] = ("cpu", "memory")
    protected_fraction_of_fair_share: float = 1.0
    prefer_large_jobs: bool = False
    max_fraction_per_round: Mapping[str, float] = field(default_factory=dict)
    lookback: int = 100_000
    fair_share_preemption: bool = True
    urgency_preemption: bool = True
    fair_share_preemption_budget: int | None = None
    decision_budget: int | None = None
    submit_check: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Kubernetes cluster. At `unacknowledged_limit` leased runs that it has not acknowledged it takes no new jobs."""

    name: str
    cordoned: bool = False
    unacknowledged: int = 0
    unacknowledged_limit: int = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """A token bucket as it stands at the start of the round; each new run takes one token."""

    tokens: float
    burst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A way out for jobs that fit nowhere at home: at this priority, with the taints of a node type tolerated."""

    node_type: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityClass:
    """A priority class. `max_fraction_per_queue`: resource -> fraction of the pool that a queue may hold in it."""

    name: str
    priority: int = 0
    preemptible: bool = True
    max_fraction_per_queue: Mapping[str, float] = field(default_factory=dict)
    away: tuple[Away, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeType:
    """A well-known node type: a name for taints that away jobs may tolerate."""

    name: str
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The owner of a fair share.

    `max_fraction_per_queue`: class -> resource -> fraction; an entry replaces the whole entry of the class.
    `penalty`: base units still charged for short jobs that ended. `demand`: base units, overrides the demand that the
    share is capped with; None = running and queued jobs.
    """

    name: str
    weight: float = 1.0
    cordoned: bool = False
    max_fraction_per_queue: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    limiter: Limiter | None = None
    penalty: Mapping[str, int] = field(default_factory=dict)
    demand: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One scheduling pass over `pool`.

    `resources` gives the columns of every amount. `floating`: by column, the pool's amount of a floating resource in
    base units, NOT_FLOATING for resources of nodes. `pools`: the other pools that nodes may be at home in.
    `unknown`: names of queues, classes and nodes that jobs speak of and the round has not (index -1-k).
    """

    pool: str
    config: RoundConfig
    resources: Resources
    floating: tuple[int, ...]
    clusters: tuple[Cluster, ...]
    limiter: Limiter | None
    classes: tuple[PriorityClass, ...]
    node_types: tuple[NodeType, ...]
    pools: tuple[str, ...]
    nodes: Nodes
    queues: tuple[Queue, ...]
    shapes: Shapes
    gangs: tuple[Gang, ...]
    jobs: Jobs
    unknown: tuple[str, ...]

    def unknown_name(self, index: int) -> str:
        """The name behind a negative index."""
        position = -1 - index
        return self.unknown[position] if position < len(self.unknown) else "?"

    def check(self) -> None:
        """Refuses columns that do not belong together. Raises RoundError naming the column."""
        counts = {"nodes": len(self.nodes), "jobs": len(self.jobs), "shapes": len(self.shapes)}
        columns = len(self.resources.names)
        if len(self.floating) != columns:
            raise RoundError("floatingResources", f"has {len(self.floating)} columns, not {columns}")
        for table, value in (("nodes", self.nodes), ("jobs", self.jobs), ("shapes", self.shapes)):
            for name in _COLUMNS[table]:
                shape = getattr(value, name).shape
                wanted = (counts[table], columns) if name in _AMOUNTS else (counts[table],)
                if shape != wanted:
                    raise RoundError(f"{table}.{name}", f"has the shape {shape}, not {wanted}")
        for path, indices, count in (
            ("jobs.shape", self.jobs.shape, counts["shapes"]),
            ("nodes.cluster", self.nodes.cluster, len(self.clusters)),
        ):
            if len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= count):
                raise RoundError(path, f"has an index outside of 0..{count - 1}")
        for path, upper_only, count in (
            ("jobs.queue", self.jobs.queue, len(self.queues)),
            ("jobs.run_node", self.jobs.run_node, counts["nodes"]),
            ("jobs.gang", self.jobs.gang, len(self.gangs)),
            ("shapes.priority_class", self.shapes.priority_class, len(self.classes)),
        ):
            if len(upper_only) and int(upper_only.max()) >= count:
                raise RoundError(path, f"has an index above {count - 1}")


_AMOUNTS = frozenset(("capacity", "held", "requests"))
_COLUMNS = {
    "nodes": ("cluster", "pool", "capacity", "held", "unschedulable", "taint_set"),
    "jobs": (
        "id",
        "queue",
        "shape",
        "priority",
        "submitted",
        "gang",
        "running",
        "run_node",
        "run_started",
        "run_priority",
    ),
    "shapes": ("requests", "priority_class"),
}
