"""Kinds of nodes: those that no requirement of some shapes tells apart, nor home from abroad, are judged once.

Input: the nodes, and the shapes. Output: a matcher that knows one node of each kind. A pool of many nodes has few kinds
(taints, and the values of the labels that shapes speak of); where shapes speak of node names, each node is its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from app.pods.shape import Shape
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.nodes import Nodes
from app.scheduling.resources import Int64

TABLE_TIMES = 4
"""Numbers up to so many times as they are many are renumbered by a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKinds:
    """`kind`: int64 by node. `first`: int64 by kind, its first node; kinds are in the order of those.

    `matcher` sees those nodes alone: its masks are bool by kind. `size`: int64 by kind, its nodes.
    """

    matcher: NodeMatcher
    kind: Int64
    first: Int64
    size: Int64

    @classmethod
    def of(cls, whole: NodeMatcher, shapes: Iterable[Shape]) -> "NodeKinds":
        """The kinds of nodes of a matcher, for these shapes."""
        nodes, labels = whole.nodes, set[str]()
        each = np.arange(len(nodes), dtype=np.int64)
        for shape in shapes:
            labels.update(label for label, _ in shape.node_selector)
            for term in shape.affinity:
                labels.update(expression.key for expression in term.expressions)
                if term.fields:
                    return cls(matcher=whole, kind=each, first=each, size=np.ones_like(each))
        kind = _renumbered(nodes.taint_set.astype(np.int64))
        for column in (nodes.pool, *(whole.column(label) for label in sorted(labels))):
            least = int(column.min(initial=0))
            kind = _renumbered(kind * (int(column.max(initial=0)) - least + 1) + column - least)
        if 2 * (int(kind.max(initial=0)) + 1) > len(nodes):
            return cls(matcher=whole, kind=each, first=each, size=np.ones_like(each))
        size = np.bincount(kind)
        first = np.empty(len(size), np.int64)
        first[kind[::-1]] = each[::-1]
        order = np.argsort(first)
        number = np.empty(len(size), np.int64)
        number[order] = np.arange(len(size))
        matcher = NodeMatcher(_some(nodes, first[order]), whole.node_types)
        return cls(matcher=matcher, kind=number[kind], first=first[order], size=size[order].astype(np.int64))


def _renumbered(values: Int64) -> Int64:
    """Equal numbers where these are equal, without gaps. They are not negative."""
    most = int(values.max(initial=0))
    if most > TABLE_TIMES * len(values):
        result: Int64 = np.unique(values, return_inverse=True)[1]
        return result
    is_there = np.zeros(most + 1, np.bool_)
    is_there[values] = True
    table: Int64 = np.cumsum(is_there) - 1
    return table[values]


def _some(nodes: Nodes, rows: Int64) -> Nodes:
    """These nodes only, in this order."""
    counts = np.diff(nodes.label_start)[rows]
    start = np.concatenate(([0], np.cumsum(counts)))
    entries = np.repeat(nodes.label_start[rows] - start[:-1], counts) + np.arange(start[-1])
    return replace(
        nodes,
        names=tuple(nodes.names[row] for row in rows.tolist()),
        cluster=nodes.cluster[rows],
        pool=nodes.pool[rows],
        capacity=nodes.capacity[rows],
        held=nodes.held[rows],
        unschedulable=nodes.unschedulable[rows],
        label_start=start,
        label_key=nodes.label_key[entries],
        label_value=nodes.label_value[entries],
        taint_set=nodes.taint_set[rows],
    )
