"""`RoundBuilder`: makes a `Round` in Kubernetes terms, for shells, files and tests.

Clusters, pools and resources appear as they are named; queues and nodes must be added before the jobs that name them
(what a job names and the round has not becomes `unknown`, and the round quarantines the job). A shell that keeps jobs
in arrays of its own calls `build(jobs=...)`, with indices from `queue_index`, `node_index` and `intern_shape`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from app.domain.clusters import Taint
from app.pods.constraints import NodeTerm, Toleration
from app.pods.quantity import Quantity, QuantityError, amount_of
from app.pods.shape import Shape
from app.scheduling.errors import RoundError, field_path
from app.scheduling.jobs import NO_GANG, Gang, Jobs, JobsBuilder, Run
from app.scheduling.nodes import HOME_POOL, NodesBuilder
from app.scheduling.resources import AMOUNT_MAX, RESOURCES_MAX, Resources
from app.scheduling.round import NOT_FLOATING, Cluster, Limiter, NodeType, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.shapes import ShapeTable, shape_of

T = TypeVar("T")
Quantities = Mapping[str, Quantity]


def amounts_of(quantities: Quantities, path: str) -> dict[str, int]:
    """Quantities as base units by resource. Raises RoundError at `path` and the resource."""
    amounts = {}
    for name, quantity in quantities.items():
        try:
            amount = amount_of(name, quantity)
        except QuantityError as error:
            raise RoundError(field_path(path, name), str(error)) from None
        if abs(amount) > AMOUNT_MAX:
            raise RoundError(field_path(path, name), f"is more than {AMOUNT_MAX} base units")
        amounts[name] = amount
    return amounts


class RoundBuilder:
    """Collects the parts of a round. `build` may be called again after more was added."""

    def __init__(
        self, *, pool: str = "default", config: RoundConfig | None = None, limiter: Limiter | None = None
    ) -> None:
        self.pool = pool
        self.config = RoundConfig() if config is None else config
        self.limiter = limiter
        self.shapes = ShapeTable()
        self._clusters: dict[str, Cluster] = {}
        self._classes: dict[str, PriorityClass] = {}
        self._node_types: dict[str, NodeType] = {}
        self._floating: dict[str, int] = {}
        self._pools: dict[str, int] = {}
        self._nodes = NodesBuilder()
        self._queues: dict[str, Queue] = {}
        self._queue_indices: dict[str, int] = {}
        self._jobs = JobsBuilder()
        self._job_ids: set[str] = set()
        self._gangs: dict[Gang, int] = {}
        self._unknown: dict[str, int] = {}
        self._cluster_indices: dict[str, int] = {}

    def add_cluster(self, cluster: Cluster) -> int:
        """Adds a cluster, or says more about one that a node has named already. Returns its index."""
        self._clusters[cluster.name] = cluster
        return self._cluster_indices.setdefault(cluster.name, len(self._cluster_indices))

    def has_cluster(self, name: str) -> bool:
        """Whether the cluster was added or named."""
        return name in self._clusters

    def add_class(self, priority_class: PriorityClass) -> None:
        """Adds a priority class. Raises RoundError when the name is taken."""
        _add(self._classes, priority_class.name, priority_class, "priorityClasses")

    def add_node_type(self, node_type: NodeType) -> None:
        """Adds a well-known node type. Raises RoundError when the name is taken."""
        _add(self._node_types, node_type.name, node_type, "nodeTypes")

    def add_floating(self, quantities: Quantities) -> None:
        """Makes these resources floating: the pool has this much of them, nodes have none. Raises RoundError."""
        self._floating.update(amounts_of(quantities, "floatingResources"))

    def add_queue(self, queue: Queue) -> int:
        """Adds a queue and returns its index. Raises RoundError when the name is taken."""
        _add(self._queues, queue.name, queue, "queues")
        return self._queue_indices.setdefault(queue.name, len(self._queue_indices))

    def add_node(
        self,
        name: str,
        *,
        cluster: str = "c0",
        pool: str | None = None,
        capacity: Quantities,
        held: Quantities | None = None,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Taint] = (),
        unschedulable: bool = False,
    ) -> int:
        """Adds a node and returns its index. Raises RoundError with the path of a wrong quantity or a taken name."""
        path = f"nodes[{len(self._nodes)}]"
        if cluster not in self._clusters:
            self.add_cluster(Cluster(name=cluster))
        home = HOME_POOL if pool is None or pool == self.pool else self._pools.setdefault(pool, len(self._pools))
        return self._nodes.add(
            name,
            cluster=self._cluster_indices[cluster],
            pool=home,
            capacity=amounts_of(capacity, f"{path}.capacity"),
            held=amounts_of(held or {}, f"{path}.held"),
            labels=labels or {},
            taints=taints,
            unschedulable=unschedulable,
        )

    def intern_shape(self, shape: Shape) -> int:
        """The index of a shape in every round that this builder makes."""
        return self.shapes.intern(shape)

    def queue_index(self, name: str) -> int:
        """The index of a queue; -1-k when it was not added."""
        index = self._queue_indices.get(name)
        return self._unknown_index(name) if index is None else index

    def node_index(self, name: str) -> int:
        """The index of a node; -1-k when it was not added."""
        index = self._nodes.indices.get(name)
        return self._unknown_index(name) if index is None else index

    def add_job(
        self,
        job_id: str,
        *,
        queue: str,
        requests: Quantities | None = None,
        shape: int | None = None,
        priority_class: str = "default",
        priority: int = 1000,
        submitted: int = 0,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Sequence[Toleration] = (),
        affinity: Sequence[NodeTerm] = (),
        gang: Gang | None = None,
        avoid_nodes: Iterable[str] = (),
        run_node: str | None = None,
        run_started: int = 0,
        run_priority: int | None = None,
    ) -> int:
        """Adds a job, queued or (with `run_node`) running, and returns its index.

        Either `shape` (from `intern_shape`) or the requirements themselves. A run without `run_priority` was scheduled
        at the priority of its class. Raises RoundError with the path of a wrong quantity or a taken id.
        """
        path = f"jobs[{len(self._jobs)}]"
        if job_id in self._job_ids:
            raise RoundError(f"{path}.id", f"{job_id!r} is already the id of another job")
        if shape is None:
            shape = self.shapes.intern(
                shape_of(
                    requests=amounts_of(requests or {}, f"{path}.requests"),
                    priority_class=priority_class,
                    node_selector=node_selector,
                    tolerations=tolerations,
                    affinity=affinity,
                )
            )
        self._job_ids.add(job_id)
        run = None
        if run_node is not None:
            if run_priority is None:
                known = self._classes.get(priority_class)
                run_priority = 0 if known is None else known.priority
            run = Run(node=self.node_index(run_node), started=run_started, scheduled_at_priority=run_priority)
        return self._jobs.add(
            job_id,
            queue=self.queue_index(queue),
            shape=shape,
            priority=priority,
            submitted=submitted,
            gang=NO_GANG if gang is None else self._gangs.setdefault(gang, len(self._gangs)),
            avoid_nodes=[self.node_index(name) for name in avoid_nodes],
            run=run,
        )

    def build(self, *, jobs: Jobs | None = None) -> Round:
        """The round. `jobs` replaces the jobs that were added. Raises RoundError when columns do not match."""
        resources = self._resources()
        classes = {name: index for index, name in enumerate(self._classes)}
        for shape in self.shapes.specs():
            if shape.priority_class not in classes:
                classes[shape.priority_class] = self._unknown_index(shape.priority_class)
        clusters = sorted(self._clusters.values(), key=lambda cluster: self._cluster_indices[cluster.name])
        result = Round(
            pool=self.pool,
            config=self.config,
            resources=resources,
            floating=tuple(self._floating.get(name, NOT_FLOATING) for name in resources.names),
            clusters=tuple(clusters),
            limiter=self.limiter,
            classes=tuple(self._classes.values()),
            node_types=tuple(self._node_types.values()),
            pools=tuple(self._pools),
            nodes=self._nodes.build(resources),
            queues=tuple(self._queues.values()),
            shapes=self.shapes.columns(resources, classes),
            gangs=tuple(self._gangs),
            jobs=self._jobs.build() if jobs is None else jobs,
            unknown=tuple(self._unknown),
        )
        result.check()
        return result

    def _resources(self) -> Resources:
        names = self._nodes.resource_names() | self.shapes.resource_names() | set(self._floating)
        names.update(self.config.fair_share_resources, self.config.indexed_resources)
        names.update(self.config.max_fraction_per_round)
        fractions = [priority_class.max_fraction_per_queue for priority_class in self._classes.values()]
        for queue in self._queues.values():
            names.update(queue.penalty, queue.demand or {})
            fractions.extend(queue.max_fraction_per_queue.values())
        for fraction in fractions:
            names.update(fraction)
        if len(names) > RESOURCES_MAX:
            raise RoundError("", f"names {len(names)} resources; at most {RESOURCES_MAX} are allowed in a round")
        return Resources.of(names)

    def _unknown_index(self, name: str) -> int:
        return -1 - self._unknown.setdefault(name, len(self._unknown))


def _add(table: dict[str, T], name: str, value: T, path: str) -> None:
    if name in table:
        raise RoundError(
            f"{path}[{len(table)}].name", f"{name!r} is already taken by {path}[{list(table).index(name)}]"
        )
    table[name] = value
