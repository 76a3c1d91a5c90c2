"""What two rounds have in common, so that it need not be worked out again.

Equality is by value; arrays and tuples that are the very same object are not looked into.
"""

from typing import Any

import numpy as np

from app.scheduling.nodes import Nodes
from app.scheduling.round import Round

_MATCHED = (*("names", "pool", "label_start", "label_key", "label_value", "strings", "taint_set", "taint_sets"),)
_JOBS = (
    *("queue", "shape", "priority", "submitted", "gang", "running", "run_node", "run_started", "run_priority"),
    *("avoid_job", "avoid_node", "id"),
)
_OTHERS = (
    *("pool", "config", "resources", "floating", "clusters", "limiter", "classes", "node_types", "pools", "queues"),
    *("gangs", "unknown"),
)


def is_same(a: Any, b: Any) -> bool:
    """Whether two values are equal; arrays: in every element."""
    if a is b:
        return True
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and bool(np.array_equal(a, b))
    return bool(a == b)


def have_same(a: object, b: object, names: tuple[str, ...]) -> bool:
    """Whether these attributes are equal."""
    return a is b or all(is_same(getattr(a, name), getattr(b, name)) for name in names)


def is_same_round(a: Round, b: Round) -> bool:
    """Whether two rounds are decided alike because nothing differs."""
    return a is b or (
        len(a.jobs) == len(b.jobs)
        and have_same(a, b, _OTHERS)
        and have_same(a.nodes, b.nodes, tuple(Nodes.__dataclass_fields__))
        and _have_same_shapes(a, b)
        and have_same(a.jobs, b.jobs, _JOBS)
    )


def _have_same_shapes(a: Round, b: Round) -> bool:
    return have_same(a.shapes, b.shapes, ("requests", "priority_class", "specs"))


def has_same_labels(a: Round, b: Round) -> bool:
    """Whether matching of nodes gives the same, shape by shape."""
    return have_same(a.nodes, b.nodes, _MATCHED) and is_same(a.node_types, b.node_types)


def has_same_matches(a: Round, b: Round) -> bool:
    """Whether every shape may stand on the same nodes at the same priorities."""
    return has_same_labels(a, b) and is_same(a.classes, b.classes) and _have_same_shapes(a, b)


def has_same_amounts(a: Round, b: Round) -> bool:
    """Whether nodes have and shapes ask for the same, in the same units."""
    return (
        is_same(a.resources, b.resources)
        and is_same(a.floating, b.floating)
        and is_same(a.shapes.requests, b.shapes.requests)
        and have_same(a.nodes, b.nodes, ("capacity", "held"))
        and is_same([queue.penalty for queue in a.queues], [queue.penalty for queue in b.queues])
    )
