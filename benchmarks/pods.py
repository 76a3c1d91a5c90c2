"""How long a pod spec takes on its way into a submit call: `python benchmarks/pods.py`.

Conditions: the ten manifests of examples/jobs in turn, each made unlike all others (so nothing is remembered by
spec), one thread. Prints one JSON object as the last line: microseconds per spec for each step, median of `RUNS`
passes, and the budgets: validating is to stay in the noise of a call, and both together leave 50 µs of the 250 µs
that a job with a spec of its own may take (4,000 jobs/s).
"""

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import yaml

from app.pods.canonical import canonical_json, pack_spec, spec_id, unpack_spec
from app.pods.defaults import with_defaults
from app.pods.limits import PodLimits
from app.pods.prepare import prepare_pod
from app.pods.schema import is_schema_valid
from app.pods.shape import encode_shape, shape_hash, shape_of
from app.pods.validation import validate_pod_spec

RUNS = 5
SPECS = 2_000
CLASS = "argosy-default"
BUDGETS_US = {"validate_us": 100.0, "validate_and_prepare_us": 200.0}

Item = TypeVar("Item")


def distinct_specs(count: int) -> list[dict[str, Any]]:
    """The example specs in turn, each with an environment variable of its own."""
    files = sorted((Path(__file__).resolve().parents[1] / "examples" / "jobs").glob("*.yaml"))
    texts = [json.dumps(yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]) for file in files]
    specs = []
    for number in range(count):
        spec = json.loads(texts[number % len(texts)])
        spec["containers"][0].setdefault("env", []).append({"name": "INDEX", "value": str(number)})
        specs.append(spec)
    return specs


def microseconds(step: Callable[[Item], object], items: Sequence[Item]) -> float:
    """Per item: the median over RUNS passes."""
    times = []
    for _ in range(RUNS):
        begin = perf_counter()
        for item in items:
            step(item)
        times.append((perf_counter() - begin) / len(items) * 1e6)
    return round(statistics.median(times), 1)


def main() -> None:
    limits = PodLimits()
    specs = distinct_specs(SPECS)
    broken = [spec | {"nodeName": "n1", "unknownField": 1} for spec in specs]
    completed = [with_defaults(spec, limits, priority_class=CLASS) for spec in specs]
    canonical = [canonical_json(spec) for spec in completed]
    shapes = [shape_of(spec, CLASS, ()) for spec in completed]
    packed = [pack_spec(body) for body in canonical]

    def validate(spec: dict[str, Any]) -> object:
        return validate_pod_spec(spec, path="jobs[0].podSpec", limits=limits)

    def prepare(spec: dict[str, Any]) -> object:
        return prepare_pod(spec, priority_class=CLASS, pools=(), limits=limits)

    assert not any(validate(spec) for spec in specs), "the examples are valid"
    figures = {
        "schema_us": microseconds(is_schema_valid, specs),
        "validate_us": microseconds(validate, specs),
        "validate_broken_us": microseconds(validate, broken),
        "defaults_us": microseconds(lambda spec: with_defaults(spec, limits, priority_class=CLASS), specs),
        "canonical_and_id_us": microseconds(lambda spec: spec_id(canonical_json(spec)), completed),
        "pack_us": microseconds(pack_spec, canonical),
        "unpack_us": microseconds(unpack_spec, packed),
        "shape_us": microseconds(lambda spec: shape_of(spec, CLASS, ()), completed),
        "shape_bytes_and_hash_us": microseconds(lambda shape: shape_hash(encode_shape(shape)), shapes),
        "prepare_us": microseconds(prepare, specs),
        "spec_bytes": round(statistics.mean(map(len, canonical))),
        "packed_spec_bytes": round(statistics.mean(map(len, packed))),
    }
    figures["validate_and_prepare_us"] = round(figures["validate_us"] + figures["prepare_us"], 1)
    conditions = {"cores": os.cpu_count(), "python": platform.python_version(), "specs": SPECS, "runs": RUNS}
    budgets = {
        name: {"figure": figures[name], "budget": budget, "met": figures[name] <= budget}
        for name, budget in BUDGETS_US.items()
    }
    print(json.dumps({"benchmark": "pods", "conditions": conditions, "figures": figures, "budgets": budgets}))


if __name__ == "__main__":
    main()
