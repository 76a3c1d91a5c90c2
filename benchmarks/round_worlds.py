"""Inputs of `benchmarks/round.py`: pools and jobs by size, all from a seed.

cpu 1-32 cores, memory 1-8 GiB a core, a seventh of the shapes with GPUs, a fifth limited to some node types, four
priority classes (the last not preemptible), Zipf-like queue sizes, jobs in runs of about 20 equal ones. With `features`
everything that a round knows is in use: gangs (some on one zone), away node types, a floating resource, caps by queue
and class, token buckets, held room, cordoned nodes, nodes to avoid.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from app.domain.clusters import Taint
from app.pods.constraints import NodeRequirement, NodeTerm, Toleration
from app.scheduling.builder import RoundBuilder
from app.scheduling.decisions import Decisions
from app.scheduling.jobs import NO_GANG, Gang, Jobs
from app.scheduling.round import Away, Cluster, Limiter, NodeType, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.shapes import shape_of

GPU = "nvidia.com/gpu"
LICENSE = "example.com/license"
PLENTY = 100_000_000
ZONES = 8
GANG = 8
Ints = npt.NDArray[np.int64]
CLASSES = (("low", 0, True), ("mid", 1, True), ("high", 2, True), ("fixed", 2, False))
CLASS_ODDS = (0.45, 0.25, 0.15, 0.15)
HARDWARE = ((0, 32, 128), (0, 64, 256), (0, 64, 512), (0, 96, 384), (0, 128, 512), (0, 48, 192), (0, 16, 64))
GPU_HARDWARE = ((0, 128, 1024), (4, 64, 512), (8, 96, 768), (8, 128, 1024), (2, 32, 256))

GPU_TAINT = Taint(key="gpu", value="true", effect="NoSchedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a world is made of. `disk`: shapes ask for 100-400 GiB of 500, which is not indexed."""

    nodes: int = 100_000
    types: int = 20
    shapes: int = 100
    queues: int = 100
    waiting: int = 1_000_000
    running: int = 0
    skew: float = 0.6
    reversed_queues: bool = False
    odd_sizes: bool = False
    disk: bool = False
    hostnames: bool = False
    levels: int = 0
    features: bool = False
    config: RoundConfig = field(default_factory=lambda: RoundConfig(indexed_resources=(GPU, "cpu", "memory")))
    seed: int = 0


def world(size: Size) -> Round:
    """A round of this size, nothing running; the jobs that shall run come first."""
    random = np.random.default_rng(size.seed)
    bucket = Limiter(tokens=PLENTY, burst=PLENTY) if size.features else None
    builder = RoundBuilder(config=replace(size.config, lookback=10**9), limiter=bucket)
    away = (Away(node_type="gpu", priority=-10),) if size.features else ()
    caps = {"cpu": 0.4, "memory": 0.4} if size.features else {}
    for name, rank, preemptible in CLASSES:
        builder.add_class(
            PriorityClass(
                name=name,
                priority=rank,
                preemptible=preemptible,
                max_fraction_per_queue=caps,
                away=away if name == "low" else (),
            )
        )
    if size.features:
        builder.add_node_type(NodeType(name="gpu", taints=(GPU_TAINT,)))
        builder.add_floating({LICENSE: PLENTY})
    for level in range(size.levels):
        builder.add_class(PriorityClass(name=f"level{level}", priority=10 + level))
    for number, weight in enumerate(1 / random.choice([1.0, 1.0, 1.0, 2.0, 4.0], size.queues)):
        builder.add_queue(Queue(name=f"q{number:05}", weight=float(weight), limiter=bucket))
    for cluster in range(10):
        builder.add_cluster(Cluster(name=f"c{cluster}", unacknowledged_limit=PLENTY))
    _add_nodes(builder, size, random)
    weights = _add_shapes(builder, size, random)
    total = size.running + size.waiting
    queue, shape, priority = _jobs(random, total, size, weights)
    if size.running:
        front = size.running
        other = np.random.default_rng(size.seed + 3)
        queue[:front], shape[:front], priority[:front] = _jobs(other, front, size, weights)
        if size.reversed_queues:
            queue[:front] = size.queues - 1 - _zipf(other, front, size.queues, 2.0)
    jobs = jobs_of(queue, shape, priority)
    return _with_gangs(builder.build(jobs=jobs), size) if size.features else builder.build(jobs=jobs)


def _with_gangs(round_: Round, size: Size) -> Round:
    """Every 500th job and its neighbours, where they are equal, are a gang; every 20th gang wants one zone."""
    jobs, gang = round_.jobs, round_.jobs.gang.copy()
    gangs: list[Gang] = []
    for first in range(size.running, len(jobs) - GANG, 500):
        rows = slice(first, first + GANG)
        if np.ptp(jobs.queue[rows]) == 0 and np.ptp(jobs.shape[rows]) == 0:
            label = "zone" if len(gangs) % 20 == 0 else None
            gang[rows] = len(gangs)
            gangs.append(Gang(id=f"g{first}", cardinality=GANG, uniformity_label=label))
    shy = np.arange(size.running, len(jobs), 1000, dtype=np.int32)
    avoid = (shy % len(round_.nodes)).astype(np.int32)
    return replace(round_, gangs=tuple(gangs), jobs=replace(jobs, gang=gang, avoid_job=shy, avoid_node=avoid))


def _add_nodes(builder: RoundBuilder, size: Size, random: np.random.Generator) -> None:
    hardware = HARDWARE + GPU_HARDWARE
    for index, kind in enumerate(random.integers(0, size.types, size.nodes).tolist()):
        gpus, cpu, memory = hardware[kind % len(hardware)]
        capacity: dict[str, str | int] = {"cpu": cpu, "memory": f"{memory}Gi", "ephemeral-storage": "500Gi"}
        if gpus:
            capacity[GPU] = gpus
        labels = {"type": f"t{kind}", "rack": f"r{index // 40}", "zone": f"z{index % ZONES}"}
        if size.hostnames:
            labels["kubernetes.io/hostname"] = f"n{index:06}"
        builder.add_node(
            f"n{index:06}",
            cluster=f"c{index % 10}",
            capacity=capacity,
            labels=labels,
            taints=(GPU_TAINT,) if gpus else (),
            held={"cpu": 2} if size.features and index % 50 == 0 else {},
            unschedulable=size.features and index % 100 == 7,
        )


def _add_shapes(builder: RoundBuilder, size: Size, random: np.random.Generator) -> npt.NDArray[np.float64]:
    weights = np.empty(size.shapes)
    classes = [f"level{level}" for level in range(size.levels)] or [name for name, _, _ in CLASSES]
    odds = None if size.levels else CLASS_ODDS
    for index in range(size.shapes):
        cpu = int(random.choice([1, 2, 4, 8, 16, 32], p=[0.25, 0.22, 0.2, 0.18, 0.1, 0.05])) * 1000
        memory = cpu // 1000 * int(random.choice([1, 2, 4, 8])) << 30
        disk = int(random.integers(100, 400) if size.disk else random.choice([0, 1, 10])) << 30
        gpus = 0
        if random.random() < 0.15:
            gpus = int(random.choice([1, 2, 4, 8], p=[0.6, 0.2, 0.1, 0.1]))
            cpu, memory = gpus * int(random.choice([2, 4, 8])) * 1000, gpus * 16 << 30
        if size.odd_sizes:
            cpu, memory = cpu - int(random.integers(0, 900)), memory - int(random.integers(0, 900 << 20))
        selector: dict[str, str] = {}
        affinity: tuple[NodeTerm, ...] = ()
        if size.hostnames and index % 2:
            selector = {"kubernetes.io/hostname": f"n{int(random.integers(0, size.nodes)):06}"}
        elif random.random() < 0.2:
            keep = tuple(f"t{kind}" for kind in np.flatnonzero(random.random(size.types) < 0.4))
            affinity = (NodeTerm(expressions=(NodeRequirement(key="type", operator="In", values=keep or ("t0",)),)),)
        license_ = int(size.features and index % 20 == 0)
        requests = {"cpu": cpu, "memory": memory, "ephemeral-storage": disk, GPU: gpus, LICENSE: license_}
        builder.intern_shape(
            shape_of(
                requests={name: amount for name, amount in requests.items() if amount},
                priority_class=str(random.choice(classes, p=odds)),
                node_selector=selector,
                affinity=affinity,
                tolerations=(Toleration(key="gpu", operator="Exists"),) if gpus else (),
            )
        )
        weights[index] = 1 / max(1.0, cpu / 4000)
    kept = weights[: len(builder.shapes)]
    shares: npt.NDArray[np.float64] = kept / kept.sum()
    return shares


def _zipf(random: np.random.Generator, count: int, queues: int, skew: float) -> Ints:
    odds = np.arange(1, queues + 1) ** -skew
    return random.choice(queues, count, p=odds / odds.sum())


def _jobs(
    random: np.random.Generator, count: int, size: Size, weights: npt.NDArray[np.float64]
) -> tuple[Ints, Ints, Ints]:
    """Queue, shape and priority of jobs, in runs of about 20 equal ones; with as many shapes as jobs, one each."""
    lengths = random.geometric(1 / 20, count // 20 + count // 5 + 10)
    number = int(np.searchsorted(np.cumsum(lengths), count)) + 1
    lengths = lengths[:number]
    queue = np.repeat(_zipf(random, number, size.queues, size.skew), lengths)[:count]
    shape = np.repeat(random.choice(len(weights), number, p=weights), lengths)[:count]
    if len(weights) >= count:
        shape = np.arange(count)
    priority = np.repeat(random.choice([100, 500, 1000], number, p=[0.1, 0.2, 0.7]), lengths)[:count]
    return queue, shape, priority


def jobs_of(queue: Ints, shape: Ints, priority: Ints) -> Jobs:
    """Waiting jobs as a shell would hand them over."""
    count = len(queue)
    return Jobs(
        id=np.char.mod("j%015d", np.arange(count)).astype("S16"),
        queue=queue.astype(np.int32),
        shape=shape.astype(np.int32),
        priority=priority.astype(np.int64),
        submitted=np.arange(count, dtype=np.int64),
        gang=np.full(count, NO_GANG, np.int32),
        running=np.zeros(count, np.bool_),
        run_node=np.full(count, -1, np.int32),
        run_started=np.zeros(count, np.int64),
        run_priority=np.zeros(count, np.int32),
        avoid_job=np.zeros(0, np.int32),
        avoid_node=np.zeros(0, np.int32),
    )


def select(jobs: Jobs, rows: Ints) -> Jobs:
    """These jobs only, in this order."""
    columns = {name: getattr(jobs, name)[rows] for name in Jobs.__dataclass_fields__ if not name.startswith("avoid")}
    place = np.full(len(jobs), -1, np.int64)
    place[rows] = np.arange(len(rows))
    kept = place[jobs.avoid_job] >= 0
    return Jobs(**columns, avoid_job=place[jobs.avoid_job[kept]].astype(np.int32), avoid_node=jobs.avoid_node[kept])


def joined(jobs: Jobs, more: Jobs) -> Jobs:
    """Both, one behind the other."""
    columns = {
        name: np.concatenate((getattr(jobs, name), getattr(more, name)))
        for name in Jobs.__dataclass_fields__
        if name != "avoid_job"
    }
    return Jobs(**columns, avoid_job=np.concatenate((jobs.avoid_job, more.avoid_job + np.int32(len(jobs)))))


def after(round_: Round, decisions: Decisions, *, ended: Ints | None = None) -> Round:
    """The next round: what was placed runs, what was preempted waits, and `ended` jobs are gone."""
    jobs = round_.jobs
    running, node = jobs.running.copy(), jobs.run_node.copy()
    priority, started = jobs.run_priority.copy(), jobs.run_started.copy()
    placed = decisions.scheduled
    running[placed.job], node[placed.job], priority[placed.job] = True, placed.node, placed.priority
    started[placed.job] = int(started.max(initial=0)) + 1
    running[decisions.preempted.job] = False
    changed = replace(jobs, running=running, run_node=node, run_priority=priority, run_started=started)
    if ended is not None:
        changed = select(changed, np.setdiff1d(np.arange(len(jobs)), ended))
    return replace(round_, jobs=changed)
