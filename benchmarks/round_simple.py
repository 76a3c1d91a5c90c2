"""How long one round of the simple algorithm takes, by size: `python benchmarks/round_simple.py [--large]`.

Conditions: nodes of 32 cpu and 256 Gi (each tenth: 8 GPUs behind a taint), 5 queues of different weight, `shapes`
shapes of 1 to 16 cpu; a cold pool, then the same pool with everything running that was placed, and a last case where
every job avoids one node. Prints one JSON object as the last line: seconds per round, best of `RUNS`, decisions per
second and peak memory of the process.
"""

import json
import os
import platform
import resource
import sys
from dataclasses import replace
from time import perf_counter

import numpy as np

from app.domain.clusters import Taint
from app.pods.constraints import Toleration
from app.scheduling.builder import RoundBuilder
from app.scheduling.decisions import Decisions
from app.scheduling.jobs import NO_GANG, Jobs
from app.scheduling.round import Cluster, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.schedule import schedule
from app.scheduling.shapes import shape_of

RUNS = 3
SIZES = {"demo": (600, 10_000, 40), "one_shape_a_job": (600, 10_000, 10_000), "medium": (5_000, 50_000, 100)}
LARGE = {"large": (100_000, 1_000_000, 100)}
WEIGHTS = (1.0, 1.0, 2.0, 3.0, 5.0)
CLUSTERS = 3
GPU = "nvidia.com/gpu"


def cold_round(nodes: int, jobs: int, shapes: int, seed: int = 7) -> Round:
    """A pool where nothing runs and `jobs` wait."""
    builder = RoundBuilder(config=RoundConfig(indexed_resources=(GPU, "cpu", "memory")))
    builder.add_class(PriorityClass(name="default"))
    for index, weight in enumerate(WEIGHTS):
        builder.add_queue(Queue(name=f"q{index}", weight=weight))
    for index in range(CLUSTERS):
        builder.add_cluster(Cluster(name=f"c{index}", unacknowledged_limit=jobs))
    taint = Taint(key="gpu", value="true", effect="NoSchedule")
    for index in range(nodes):
        gpus = index % 10 == 0
        builder.add_node(
            f"n{index:06}",
            cluster=f"c{index % CLUSTERS}",
            capacity={"cpu": 32, "memory": "256Gi", **({GPU: 8} if gpus else {})},
            labels={"kubernetes.io/hostname": f"n{index:06}", "zone": f"z{index % 4}"},
            taints=(taint,) if gpus else (),
        )
    generator = np.random.default_rng(seed)
    for index in range(shapes):
        cpus = int(generator.choice([1, 2, 4, 8, 16], p=[0.4, 0.25, 0.2, 0.1, 0.05]))
        memory = ((cpus * int(generator.choice([1, 2, 4, 8]))) << 30) + (index << 16)
        gpu = index % 8 == 7
        spec = shape_of(
            requests={"cpu": cpus * 1000, "memory": memory, **({GPU: 1} if gpu else {})},
            priority_class="default",
            node_selector={"zone": f"z{index % 4}"} if index % 5 == 4 else {},
            tolerations=(Toleration(key="gpu", operator="Exists"),) if gpu else (),
        )
        builder.intern_shape(spec)
    shape = np.repeat(generator.integers(0, shapes, jobs // 20 + 1), 20)[:jobs]
    if shapes == jobs:
        shape = np.arange(jobs)
    return builder.build(jobs=waiting_jobs(jobs, shape.astype(np.int32), generator.integers(0, len(WEIGHTS), jobs)))


def waiting_jobs(count: int, shape: np.ndarray, queue: np.ndarray) -> Jobs:
    """Jobs as a shell would hand them over."""
    zeros = np.zeros(count, np.int64)
    return Jobs(
        id=np.char.mod("j%025d", np.arange(count)).astype("S26"),
        queue=queue.astype(np.int32),
        shape=shape,
        priority=np.full(count, 1000, np.int64),
        submitted=np.arange(count, dtype=np.int64) // 1000,
        gang=np.full(count, NO_GANG, np.int32),
        running=np.zeros(count, np.bool_),
        run_node=np.full(count, -1, np.int32),
        run_started=zeros,
        run_priority=np.zeros(count, np.int32),
        avoid_job=np.zeros(0, np.int32),
        avoid_node=np.zeros(0, np.int32),
    )


def settled(round_: Round, decisions: Decisions) -> Round:
    """The round after: what was placed runs."""
    running, node = round_.jobs.running.copy(), round_.jobs.run_node.copy()
    running[decisions.scheduled.job] = True
    node[decisions.scheduled.job] = decisions.scheduled.node
    return replace(round_, jobs=replace(round_.jobs, running=running, run_node=node))


def timed(round_: Round) -> tuple[float, Decisions]:
    """The best time of `RUNS` rounds, seconds, and the decisions."""
    best, decisions = float("inf"), None
    for _ in range(RUNS):
        start = perf_counter()
        decisions = schedule(round_)
        best = min(best, perf_counter() - start)
    assert decisions is not None
    return best, decisions


def main() -> None:
    """Runs the sizes and prints the figures."""
    figures: dict[str, float] = {}
    sizes = {**SIZES, **(LARGE if "--large" in sys.argv else {})}
    for name, (nodes, jobs, shapes) in sizes.items():
        cold = cold_round(nodes, jobs, shapes)
        seconds, decisions = timed(cold)
        figures[f"{name}_cold_s"] = round(seconds, 4)
        figures[f"{name}_placed"] = len(decisions.scheduled)
        figures[f"{name}_decisions_per_s"] = round(decisions.considered / seconds)
        seconds, _ = timed(settled(cold, decisions))
        figures[f"{name}_settled_s"] = round(seconds, 4)
    avoiding = cold_round(*SIZES["demo"])
    count = len(avoiding.jobs)
    avoid = np.arange(count, dtype=np.int32)
    avoiding = replace(
        avoiding, jobs=replace(avoiding.jobs, avoid_job=avoid, avoid_node=avoid % np.int32(len(avoiding.nodes)))
    )
    figures["demo_all_avoiding_s"] = round(timed(avoiding)[0], 4)
    figures["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    demo = figures["demo_cold_s"]
    print(
        json.dumps(
            {
                "benchmark": "round_simple",
                "conditions": {
                    "cores": os.cpu_count(),
                    "python": platform.python_version(),
                    "numpy": np.__version__,
                    "runs": RUNS,
                    "sizes": {
                        name: dict(zip(("nodes", "jobs", "shapes"), size, strict=True)) for name, size in sizes.items()
                    },
                },
                "figures": figures,
                "budgets": {"demo_cold_s": {"figure": demo, "budget": 1.0, "met": demo < 1.0}},
            }
        )
    )


if __name__ == "__main__":
    main()
