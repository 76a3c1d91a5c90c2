"""How long one round takes: `python -m benchmarks.round [--small] [ROW ...]`, or `make bench-round`.

Rows are the scenarios of reference scheduling.md 3.1 (A, B, B2, C, D, E, E2, E4), its scaling rows, the threats of
section 7, and Armada's sizes of 8.1. Without names all rows run; `--small` divides the sizes by 20. Times are process
CPU seconds of one thread and wall seconds of the same round, without making the `Round`; the budgets look at CPU
seconds, which are wall seconds where nobody else uses the core. The last line is one JSON object (DESIGN.md 12).
"""

import argparse
import gc
import json
import os
import platform
import resource
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter, process_time

import numba
import numpy as np

from app.scheduling.builder import RoundBuilder
from app.scheduling.decisions import Decisions
from app.scheduling.jobs import Gang
from app.scheduling.round import Cluster, Limiter, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.schedule import compile_kernels, schedule
from app.scheduling.shapes import shape_of
from benchmarks.round_worlds import GPU, Size, after, jobs_of, select, world

Figures = dict[str, float]
BUDGETS = {"B_full_cpu_s": 3.0, "E2_one_percent_cpu_s": 0.5, "peak_memory_mb": 1024.0}
SHRINK = 20
BURST = 1000


class Bench:
    """Runs rows and keeps their figures. `scale` divides every size."""

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.figures: Figures = {}

    def size(self, **changes: object) -> Size:
        """A size of the standard world with changes, shrunk."""
        size = replace(Size(), **changes)  # type: ignore[arg-type]
        return replace(
            size,
            nodes=max(size.nodes // self.scale, 10),
            waiting=size.waiting // self.scale,
            running=size.running // self.scale,
        )

    def timed(self, name: str, round_: Round, runs: int = 1) -> Decisions:
        """Decides a round `runs` times and keeps the median time."""
        cpu, wall, decisions = [], [], None
        for _ in range(runs):
            gc.collect()
            clock, process = perf_counter(), process_time()
            decisions = schedule(round_)
            cpu.append(process_time() - process)
            wall.append(perf_counter() - clock)
        assert decisions is not None
        seconds = float(np.median(cpu))
        count = decisions.considered + int(round_.jobs.running.sum())
        self.figures[f"{name}_cpu_s"] = round(seconds, 5)
        self.figures[f"{name}_wall_s"] = round(float(np.median(wall)), 5)
        self.figures[f"{name}_placed"] = len(decisions.scheduled)
        self.figures[f"{name}_preempted"] = len(decisions.preempted)
        self.figures[f"{name}_decisions_per_s"] = round(count / seconds)
        print(name, {k.removeprefix(name): v for k, v in self.figures.items() if k.startswith(name)}, flush=True)
        return decisions

    def running(self, **changes: object) -> Round:
        """A world where the first jobs run where an empty pool would place them; the rest of those is gone."""
        size = self.size(**changes)
        full = world(size)
        first = np.arange(size.running)
        placed = schedule(replace(full, jobs=select(full.jobs, first)))
        return after(full, placed, ended=np.setdiff1d(first, placed.scheduled.job))


def scenarios(bench: Bench) -> None:
    """3.1: the full rounds B and B2, what follows (C, E, E2, E4), and the hard rebalance D."""
    start = bench.running(running=500_000)
    everybody = replace(start.config, protected_fraction_of_fair_share=0.0)
    bench.timed("B_full", replace(start, config=everybody), 1)
    settled = after(start, bench.timed("B2_protected", start))
    after_settling = bench.timed("C_next", settled)
    random = np.random.default_rng(7)
    ran = np.flatnonzero(settled.jobs.running)
    ended = random.choice(ran, len(ran) // 100, replace=False)
    del after_settling, start
    changed = after(settled, schedule(settled), ended=ended)
    bench.timed("E2_one_percent", changed)
    limited = replace(
        changed,
        limiter=Limiter(tokens=BURST, burst=BURST),
        queues=tuple(replace(q, limiter=Limiter(tokens=BURST, burst=BURST)) for q in changed.queues),
    )
    bench.timed("E4_burst", limited)
    unbalanced = replace(changed, config=replace(changed.config, fair_share_preemption=False))
    bench.timed("E3_no_balancing", unbalanced)


def cold(bench: Bench) -> None:
    """3.1 A: an empty pool."""
    bench.timed("A_cold", world(bench.size()))


def rebalance(bench: Bench) -> None:
    """3.1 D: much runs in the wrong queues."""
    bench.timed("D_rebalance", bench.running(running=900_000, skew=0.6, reversed_queues=True, seed=5))


def scaling(bench: Bench) -> None:
    """3.1, scaling rows: cold fills of other sizes."""
    rows: dict[str, dict[str, object]] = {
        "saturated_10k_nodes": {"nodes": 10_000},
        "shapes_200": {"shapes": 200},
        "types_100": {"types": 100},
        "queues_1000": {"queues": 1000, "waiting": 300_000},
        "levels_12": {"levels": 12},
    }
    for name, changes in rows.items():
        bench.timed(name, world(bench.size(**changes)))
    size = bench.size()
    bench.timed("gangs_of_8", _ganged(world(size), size.waiting // 140))


def _ganged(round_: Round, count: int) -> Round:
    """`count` gangs of 8 made of neighbours of equal shape, class and queue."""
    jobs, gang = round_.jobs, round_.jobs.gang.copy()
    queue, shape = jobs.queue.copy(), jobs.shape.copy()
    for index in range(count):
        rows = slice(index * 140, index * 140 + 8)
        gang[rows], queue[rows], shape[rows] = index, queue[index * 140], shape[index * 140]
    gangs = tuple(Gang(id=f"g{index}", cardinality=8) for index in range(count))
    return replace(round_, gangs=gangs, jobs=replace(jobs, gang=gang, queue=queue, shape=shape))


def threats(bench: Bench) -> None:
    """Section 7, each beside a plain row of its size (300,000 jobs on 100,000 nodes)."""
    plain: dict[str, object] = {"waiting": 300_000}
    bench.timed("plain_300k", world(bench.size(**plain)))
    rows: dict[str, dict[str, object]] = {
        "unindexed_binding": {"disk": True},
        "odd_shapes_5000": {"shapes": 5000, "odd_sizes": True},
        "types_100_300k": {"types": 100},
        "hostnames_2000": {"shapes": 2000, "hostnames": True},
    }
    for name, changes in rows.items():
        bench.timed(name, world(bench.size(**plain, **changes)))
        bench.figures[f"{name}_times_plain"] = round(
            bench.figures[f"{name}_cpu_s"] / bench.figures["plain_300k_cpu_s"], 2
        )
    few: dict[str, object] = {"waiting": 30_000, "nodes": 10_000}
    bench.timed("plain_30k", world(bench.size(**few)))
    own = bench.size(**few, odd_sizes=True)
    bench.timed("shape_per_job_30k", world(replace(own, shapes=own.waiting)))
    bench.figures["shape_per_job_30k_times_plain"] = round(
        bench.figures["shape_per_job_30k_cpu_s"] / bench.figures["plain_30k_cpu_s"], 2
    )


def armada(bench: Bench) -> None:
    """8.1: Armada's own benchmark sizes, median of 5."""
    for nodes, jobs in ((1, 320), (100, 3_200), (1_000, 32_000)):
        bench.timed(f"many_{nodes}_nodes_{jobs}", _armada(nodes, 1, jobs), 5)
    for nodes, queues, jobs in ((1, 1, 320), (1, 10, 320), (10, 10, 3_200), (100, 1, 32_000), (100, 10, 32_000)):
        name = f"steady_{nodes}x{queues}x{jobs}"
        start = _armada(nodes, queues, jobs)
        running = after(start, schedule(start))
        everybody = replace(running.config, protected_fraction_of_fair_share=0.0)
        bench.timed(name, replace(running, config=everybody), 5)


def _armada(nodes: int, queues: int, jobs: int) -> Round:
    """Nodes of 32 cpu and 256 Gi; jobs of 1 cpu and 4 Gi; `jobs` per queue; 8 classes of 7 priorities."""
    builder = RoundBuilder(config=RoundConfig(indexed_resources=(GPU, "cpu", "memory"), lookback=10**9))
    for priority in range(7):
        builder.add_class(PriorityClass(name=f"p{priority}", priority=priority))
    builder.add_class(PriorityClass(name="fixed", priority=6, preemptible=False))
    builder.add_cluster(Cluster(name="c0", unacknowledged_limit=2**31))
    for queue in range(queues):
        builder.add_queue(Queue(name=f"q{queue:03}"))
    for node in range(nodes):
        builder.add_node(f"n{node:06}", capacity={"cpu": 32, "memory": "256Gi"})
    builder.intern_shape(shape_of(requests={"cpu": 1000, "memory": 4 << 30}, priority_class="p0"))
    count = jobs * queues
    return builder.build(
        jobs=jobs_of(np.arange(count) % queues, np.zeros(count, np.int64), np.full(count, 1000, np.int64))
    )


ROWS: dict[str, Callable[[Bench], None]] = {
    "scenarios": scenarios,
    "cold": cold,
    "rebalance": rebalance,
    "scaling": scaling,
    "threats": threats,
    "armada": armada,
}


def main() -> None:
    """Runs the rows that are named and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], default=[])
    options = parser.parse_args()
    scale = SHRINK if options.small else 1
    bench = Bench(scale)
    clock = process_time()
    compile_kernels()
    bench.figures["kernels_ready_cpu_s"] = round(process_time() - clock, 3)
    for name in options.rows or ROWS:
        ROWS[name](bench)
    bench.figures["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    budgets = {
        name: {"figure": bench.figures[name], "budget": budget, "met": bench.figures[name] <= budget}
        for name, budget in BUDGETS.items()
        if name in bench.figures and scale == 1
    }
    conditions = {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "sizes": f"standard / {scale}",
    }
    print(json.dumps({"benchmark": "round", "conditions": conditions, "figures": bench.figures, "budgets": budgets}))


if __name__ == "__main__":
    main()
