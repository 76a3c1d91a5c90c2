"""The last line of a benchmark: one JSON object with conditions, figures and budgets (DESIGN, budgets)."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a figure is held against. at_most: an upper bound, else a lower one."""

    value: float
    at_most: bool = True

    def is_met(self, figure: float) -> bool:
        return figure <= self.value if self.at_most else figure >= self.value


def conditions_here(packages: Sequence[str], **more: Any) -> dict[str, Any]:
    """Cores, versions and load of this machine; `more`: sizes and what is special."""
    versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    return {"cores": os.cpu_count(), "versions": versions, "load_average_1_min": round(os.getloadavg()[0], 2), **more}


def outcome_line(
    benchmark: str, conditions: Mapping[str, Any], figures: Mapping[str, float], budgets: Mapping[str, Budget]
) -> str:
    """The JSON object. Every budget names a figure; one that was not measured is left out."""
    held = {
        name: {"figure": round(figures[name], 3), "budget": budget.value, "met": budget.is_met(figures[name])}
        for name, budget in budgets.items()
        if name in figures
    }
    rounded = {name: round(value, 3) for name, value in figures.items()}
    return json.dumps({"benchmark": benchmark, "conditions": dict(conditions), "figures": rounded, "budgets": held})


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them do not exceed. Raises ValueError without values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def median_figures(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each figure's median over runs that all have it."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}
