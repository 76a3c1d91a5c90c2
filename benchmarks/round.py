"""How long one round takes: `python -m benchmarks.round [--small] [GROUP ...]`, or `make bench-round`.

Groups of rows: the scenarios of reference scheduling.md 3.1 with every feature in use, its scaling rows, the threats of
section 7 (each beside the plain case of its size), Armada's sizes of 8.1 beside what its Go needs there, and `probe`,
benchmarks.scheduler_probe: what a real scheduler leases while a million jobs wait (some 8 minutes). Without names all
groups run, each in a process of its own; `--small` divides the sizes by 20. Seconds are process CPU seconds of the one
thread that decides (wall seconds where nobody else uses the core), without making the `Round`; median of the runs.
Rows with `warm` are decided by a memory that has decided the round before. The last line is one JSON object
(DESIGN.md 12).
"""

import argparse
import gc
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter, process_time
from typing import Any

import numba
import numpy as np

from app.scheduling.decisions import Decisions
from app.scheduling.memory import Memory
from app.scheduling.round import Round
from app.scheduling.schedule import compile_kernels, schedule
from benchmarks.round_worlds import Size, after, select, world

Figures = dict[str, float]
SHRINK = 20
FULL_BUDGETS = {
    "B_full_cpu_s": 3.0,
    "D_rebalance_cpu_s": 6.0,
    "E2_one_percent_warm_cpu_s": 0.5,
    "E4_burst_warm_cpu_s": 0.5,
    "B_full_peak_memory_mb": 1024.0,
    "scenarios_peak_memory_mb": 1024.0,
}
MOST_TIMES_PLAIN = 10.0
FIXED_COST_US = 70.0
LEAST_TIMES_GO = {"many": 30.0, "steady": 100.0}
PROBE = "probe"
"""the group that is a benchmark of its own, with budgets of its own"""
PROBE_SMALL = ("--jobs", "50000", "--samples", "200", "--runs", "1")


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

    def timed(self, name: str, round_: Round, runs: int = 3, before: Round | None = None) -> Decisions:
        """Decides a round `runs` times. `before`: the round that the memory has decided, each time anew."""
        cpu, wall, decisions = [], [], None
        for _ in range(runs):
            memory = None
            if before is not None:
                memory = Memory()
                schedule(before, memory=memory)
            decisions = None
            gc.collect()
            clock, process = perf_counter(), process_time()
            decisions = schedule(round_, memory=memory)
            cpu.append(process_time() - process)
            wall.append(perf_counter() - clock)
        assert decisions is not None
        seconds = float(np.median(cpu))
        count = decisions.considered + int(round_.jobs.running.sum())
        self.keep(name, cpu_s=seconds, wall_s=float(np.median(wall)), decisions_per_s=round(count / seconds))
        self.keep(name, placed=len(decisions.scheduled), preempted=len(decisions.preempted))
        process = process_time()
        waiting = len(decisions.unschedulable)
        reasons = [decisions.explanations[at] for at in range(len(decisions.explanations))]
        self.keep(name, waiting=waiting, explained=len(reasons), why_cpu_s=process_time() - process)
        row = {key.removeprefix(f"{name}_"): value for key, value in self.figures.items() if key.startswith(name)}
        print(name, row, flush=True)
        return decisions

    def repeated(self, name: str, round_: Round, runs: int = 101) -> float:
        """Decides a round again and again with a memory, and keeps the median in microseconds of wall time.

        Who was placed and who preempted is read each time; why others wait is worked out when it is asked for.
        """
        memory, times = Memory(), []
        for _ in range(runs):
            clock = perf_counter()
            decisions = schedule(round_, memory=memory)
            placed, preempted = len(decisions.scheduled), len(decisions.preempted)
            times.append(perf_counter() - clock)
            del decisions
        figure = float(np.median(times)) * 1e6
        self.keep(name, us=round(figure, 1), placed=placed, preempted=preempted)
        return figure

    def keep(self, name: str, **figures: float) -> None:
        """Keeps figures of a row."""
        self.figures.update({f"{name}_{key}": round(value, 5) for key, value in figures.items()})

    def running(self, **changes: object) -> Round:
        """A world where the first jobs run where an empty pool would place them; the rest of those is gone."""
        size = self.size(**changes)
        full = world(size)
        first = np.arange(size.running)
        placed = schedule(replace(full, jobs=select(full.jobs, first)))
        return after(full, placed, ended=np.setdiff1d(first, placed.scheduled.job))


def budgets_of(figures: Figures) -> dict[str, dict[str, object]]:
    """The budgets that these figures speak of."""
    budgets: dict[str, dict[str, object]] = {}

    def judge(name: str, budget: float, *, at_most: bool) -> None:
        figure = figures[name]
        met = figure <= budget if at_most else figure >= budget
        budgets[name] = {"figure": figure, "budget": budget, "met": met}

    for name, budget in FULL_BUDGETS.items():
        if name in figures:
            judge(name, budget, at_most=True)
    for name in figures:
        if name.endswith("_times_plain"):
            judge(name, MOST_TIMES_PLAIN, at_most=True)
        elif name.endswith("_fixed_us"):
            judge(name, FIXED_COST_US, at_most=True)
        elif name.endswith("_times_go_budgeted"):
            judge(name, LEAST_TIMES_GO[name.split("_")[0]], at_most=False)
    return budgets


def run_group(name: str, scale: int) -> Figures:
    """Runs the rows of a group in this process."""
    from benchmarks import round_rows

    groups: dict[str, Callable[[Bench], None]] = round_rows.GROUPS
    bench = Bench(scale)
    clock = process_time()
    compile_kernels()
    bench.figures["kernels_ready_cpu_s"] = round(process_time() - clock, 3)
    groups[name](bench)
    bench.figures[f"{name}_peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return bench.figures


def _in_own_process(name: str, options: list[str]) -> Figures:
    """Runs a group in a process of its own, whose lines are shown."""
    figures: Figures = json.loads(_last_line(name, ["benchmarks.round", "--in-process", *options, name]))
    return figures


def _probe(options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Runs the probe in a process of its own. Its conditions, figures and budgets, the latter two with its name before
    theirs."""
    outcome = json.loads(_last_line(PROBE, ["benchmarks.scheduler_probe", *options]))
    named = {part: {f"{PROBE}_{name}": each for name, each in outcome[part].items()} for part in ("figures", "budgets")}
    return {**named, "conditions": outcome["conditions"]}


def _last_line(name: str, arguments: Sequence[str]) -> str:
    """Runs a module (`arguments`: its name and what it is given) and shows its lines but for the last, which is
    returned."""
    command = [sys.executable, "-m", *arguments]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if last:
                print(last, end="", flush=True)
            last = line
    if process.returncode:
        sys.exit(f"{name} failed with {process.returncode}: {last}")
    return last


def main() -> None:
    """Runs the groups that are named and prints the figures."""
    from benchmarks.round_rows import GROUPS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--in-process", action="store_true", help="one group, printing its figures alone")
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, PROBE, []], default=[])
    options = parser.parse_args()
    scale = SHRINK if options.small else 1
    if options.in_process:
        print(json.dumps(run_group(options.groups[0], scale)))
        return
    figures: Figures = {}
    load = os.getloadavg()[0]
    probe: dict[str, dict[str, Any]] = {}
    for name in options.groups or (*GROUPS, PROBE):
        if name == PROBE:
            probe = _probe(PROBE_SMALL if options.small else ())
            figures |= probe["figures"]
        else:
            figures |= _in_own_process(name, ["--small"] if options.small else [])
    conditions: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "sizes": f"standard / {scale}",
    }
    if probe:
        conditions[PROBE] = probe["conditions"]
    budgets = {**budgets_of(figures), **probe.get("budgets", {})} if scale == 1 else {}
    print(json.dumps({"benchmark": "round", "conditions": conditions, "figures": figures, "budgets": budgets}))


if __name__ == "__main__":
    main()
