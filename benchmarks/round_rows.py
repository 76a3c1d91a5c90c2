"""The rows of `benchmarks/round.py`, in groups."""

import resource
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from app.scheduling.builder import RoundBuilder
from app.scheduling.jobs import Gang
from app.scheduling.round import Cluster, Limiter, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.schedule import schedule
from app.scheduling.shapes import shape_of
from benchmarks.round import Bench
from benchmarks.round_worlds import GPU, after, jobs_of, joined, select, world

BURST = 1000
SETTLING = 3
NEW = 10_000


def scenarios(bench: Bench) -> None:
    """3.1: the full rounds B and B2, what follows (C); some rounds later 1 % that ended and 10,000 new jobs (E)."""
    start = bench.running(running=500_000, features=True)
    everybody = replace(start.config, protected_fraction_of_fair_share=0.0)
    bench.timed("B_full", replace(start, config=everybody))
    large = replace(everybody, prefer_large_jobs=True)
    bench.timed("B_full_prefer_large", replace(start, config=large), 1)
    settled = after(start, bench.timed("B2_protected", start))
    del start
    bench.keep("B_full", peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    settled = after(settled, bench.timed("C_next", settled))
    for _ in range(SETTLING):
        settled = after(settled, schedule(settled))
    random, jobs = np.random.default_rng(7), settled.jobs
    new = np.flatnonzero(~jobs.running)[-NEW // bench.scale :]
    arriving = select(jobs, new)
    settled = replace(settled, jobs=select(jobs, np.setdiff1d(np.arange(len(jobs)), new)))
    decided = schedule(settled)
    ran = np.flatnonzero(settled.jobs.running)
    changed = after(settled, decided, ended=random.choice(ran, len(ran) // 100, replace=False))
    changed = replace(changed, jobs=joined(changed.jobs, arriving))
    del jobs, decided
    bench.timed("E_one_percent", changed)
    bench.timed("E2_one_percent_warm", changed, before=settled)
    limited = replace(
        changed,
        limiter=Limiter(tokens=BURST, burst=BURST),
        queues=tuple(replace(q, limiter=Limiter(tokens=BURST, burst=BURST)) for q in changed.queues),
    )
    bench.timed("E4_burst_warm", limited, before=settled)
    unbalanced = replace(changed, config=replace(changed.config, fair_share_preemption=False))
    bench.timed("E3_no_balancing_warm", unbalanced, before=settled)


def full(bench: Bench) -> None:
    """3.1 A, an empty pool, and D, much runs in the wrong queues; A also without any feature."""
    bench.timed("A_cold", world(bench.size(features=True)))
    bench.timed("A_cold_plain", world(bench.size()))
    bench.timed("D_rebalance", bench.running(running=900_000, reversed_queues=True, seed=5, features=True))


def scaling(bench: Bench) -> None:
    """3.1, scaling rows: cold fills of other sizes."""
    rows: dict[str, dict[str, object]] = {
        "saturated_10k_nodes": {"nodes": 10_000},
        "nodes_300k_jobs_2m": {"nodes": 300_000, "waiting": 2_000_000},
        "shapes_200": {"shapes": 200},
        "shapes_20_types_5": {"shapes": 20, "types": 5},
        "types_100": {"types": 100},
        "queues_1000": {"queues": 1000, "waiting": 300_000},
    }
    for name, changes in rows.items():
        bench.timed(name, world(bench.size(**changes)), 1)
    size = bench.size()
    bench.timed("gangs_of_8", _ganged(world(size), size.waiting // 140, 8, None), 1)


def _ganged(round_: Round, count: int, members: int, label: str | None) -> Round:
    """`count` gangs made of neighbours of equal shape, class and queue."""
    jobs, gang = round_.jobs, round_.jobs.gang.copy()
    queue, shape, step = jobs.queue.copy(), jobs.shape.copy(), len(jobs) // count
    for index in range(count):
        rows = slice(index * step, index * step + members)
        gang[rows], queue[rows], shape[rows] = index, queue[index * step], shape[index * step]
    gangs = tuple(Gang(id=f"g{index}", cardinality=members, uniformity_label=label) for index in range(count))
    return replace(round_, gangs=gangs, jobs=replace(jobs, gang=gang, queue=queue, shape=shape))


def threats(bench: Bench) -> None:
    """Section 7, each beside a plain row of its size (300,000 jobs on 100,000 nodes, or 30,000 on 10,000)."""
    plain: dict[str, object] = {"waiting": 300_000}
    few: dict[str, object] = {"waiting": 30_000, "nodes": 10_000}
    bench.timed("plain_300k", world(bench.size(**plain)))
    bench.timed("plain_30k", world(bench.size(**few)))
    rows: dict[str, dict[str, object]] = {
        "unindexed_binding": {"disk": True},
        "odd_shapes_5000": {"shapes": 5000, "odd_sizes": True},
        "types_100_300k": {"types": 100},
        "hostnames_2000": {"shapes": 2000, "hostnames": True},
        "levels_12": {"levels": 12},
    }
    for name, changes in rows.items():
        bench.timed(name, world(bench.size(**plain, **changes)), 1)
        _compare(bench, name, "plain_300k")
    own = bench.size(**few, odd_sizes=True)
    bench.timed("shape_per_job_30k", world(replace(own, shapes=own.waiting)), 1)
    _compare(bench, "shape_per_job_30k", "plain_30k")
    bench.timed("gangs_of_200_by_rack", _ganged(world(bench.size(**few)), 20, 200 // bench.scale + 2, "rack"), 1)
    _compare(bench, "gangs_of_200_by_rack", "plain_30k")
    blocked = bench.size(nodes=1000, waiting=300_000)
    bench.timed("all_blocked_300k", world(blocked), 1)
    _compare(bench, "all_blocked_300k", "plain_300k")


def _compare(bench: Bench, name: str, plain: str) -> None:
    bench.keep(name, times_plain=bench.figures[f"{name}_cpu_s"] / bench.figures[f"{plain}_cpu_s"])


# Milliseconds that Armada's Go takes on two such cores: the better of 1 and 2 CPUs (reference scheduling.md 8.1).
MANY = {
    (1, 320): 1.02,
    (1, 640): 0.94,
    (100, 3_200): 76.5,
    (100, 6_400): 71.1,
    (1_000, 32_000): 801,
    (1_000, 64_000): 763,
}
UNUSED = {100: 3.88, 1_000: 48.1, 10_000: 414}
ONE_GPU_JOB = 0.021
SHIPPED = {
    (1, 1, 320): 0.069,
    (1, 10, 320): 0.19,
    (10, 1, 3_200): 0.20,
    (10, 10, 3_200): 2.30,
    (100, 1, 32_000): 4.29,
    (100, 10, 32_000): 31.5,
    (1_000, 1, 320_000): 57.8,
    (1_000, 1, 32_000): 6.85,
}
STEADY = {
    (1, 1, 320): 3.21,
    (1, 10, 320): 5.05,
    (10, 1, 3_200): 26.1,
    (10, 10, 3_200): 42.4,
    (100, 1, 32_000): 430,
    (100, 10, 32_000): 791,
    (1_000, 1, 320_000): 6528,
    (1_000, 1, 32_000): 5045,
}
NODE_DB = 867


def armada(bench: Bench) -> None:
    """8.1: Armada's own benchmarks. What its benchmark makes once, outside of its timed loop, a memory keeps here."""
    for (nodes, jobs), go_ms in MANY.items():
        _against_go(bench, f"many_{nodes}_{jobs}", _armada(nodes, 1, jobs), go_ms, budgeted=jobs >= 3_200)
    for nodes, go_ms in UNUSED.items():
        round_ = _armada(nodes, 1, nodes, held=31)
        _against_go(bench, f"many_unused_{nodes}", round_, go_ms, budgeted=nodes >= 3_200)
    _against_go(bench, "gpu_job", _armada(999, 1, 1, gpu=True), ONE_GPU_JOB, budgeted=False)
    for (nodes, queues, jobs), go_ms in STEADY.items():
        name = f"{nodes}x{queues}x{jobs}"
        start = _armada(nodes, queues, jobs)
        running = after(start, schedule(start))
        shipped = replace(running, config=replace(running.config, fair_share_preemption=False))
        figure = _against_go(bench, f"shipped_{name}", shipped, SHIPPED[nodes, queues, jobs], budgeted=False)
        if nodes == 1:
            bench.keep(f"shipped_{name}", fixed_us=figure)
        everybody = replace(running.config, protected_fraction_of_fair_share=0.0)
        _against_go(bench, f"steady_{name}", replace(running, config=everybody), go_ms, budgeted=nodes >= 100)
    start = _armada(10_000, 1, 320_000)
    settled = after(start, schedule(start))
    bench.timed("node_db_10000", replace(settled, config=replace(settled.config, fair_share_preemption=False)), 5)
    bench.keep("node_db_10000", times_go=NODE_DB / 1000 / bench.figures["node_db_10000_cpu_s"])
    bench.timed("many_1000_32000_fresh", _armada(1_000, 1, 32_000), 5)
    bench.timed("one_node_320_fresh", _armada(1, 1, 320), 5)


def _against_go(bench: Bench, name: str, round_: Round, go_ms: float, *, budgeted: bool) -> float:
    figure = bench.repeated(name, round_, 101 if len(round_.jobs) < 100_000 else 11)
    times = go_ms * 1000 / figure
    bench.keep(name, **{"times_go_budgeted" if budgeted else "times_go": round(times, 2)})
    print(name, f"{figure:.1f} us, {times:.1f} times as fast as Go", flush=True)
    return figure


def _armada(nodes: int, queues: int, jobs: int, *, held: int = 0, gpu: bool = False) -> Round:
    """Nodes of 32 cpu and 256 Gi; jobs of 1 cpu and 4 Gi; `jobs` per queue; 8 classes of 7 priorities.

    gpu: one node more, of 64 cpu, 1 Ti and 8 GPUs, and jobs that ask for one of those.
    """
    builder = RoundBuilder(config=RoundConfig(indexed_resources=(GPU, "cpu", "memory"), lookback=10**9))
    for priority in range(7):
        builder.add_class(PriorityClass(name=f"p{priority}", priority=priority))
    builder.add_class(PriorityClass(name="fixed", priority=6, preemptible=False))
    builder.add_cluster(Cluster(name="c0", unacknowledged_limit=2**31))
    for queue in range(queues):
        builder.add_queue(Queue(name=f"q{queue:03}"))
    for node in range(nodes):
        builder.add_node(f"n{node:06}", capacity={"cpu": 32, "memory": "256Gi"}, held={"cpu": held})
    requests = {"cpu": 1000, "memory": 4 << 30}
    if gpu:
        builder.add_node("gpu", capacity={"cpu": 64, "memory": "1Ti", GPU: 8})
        requests[GPU] = 1
    builder.intern_shape(shape_of(requests=requests, priority_class="p0"))
    count = jobs * queues
    return builder.build(
        jobs=jobs_of(np.arange(count) % queues, np.zeros(count, np.int64), np.full(count, 1000, np.int64))
    )


GROUPS: dict[str, Callable[[Bench], None]] = {
    "scenarios": scenarios,
    "full": full,
    "scaling": scaling,
    "threats": threats,
    "armada": armada,
}
