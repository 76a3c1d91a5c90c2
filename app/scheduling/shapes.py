"""Shapes: the interned scheduling requirements of jobs.

A million jobs have a few hundred shapes (app.pods.shape), so everything that depends on requirements alone is done
once per shape. `Shapes` are the columns of a round; `ShapeTable` interns shapes for whoever builds rounds and only
ever grows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.pods.constraints import NodeTerm, Toleration
from app.pods.shape import Shape
from app.scheduling.resources import Int32, Int64, Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The shapes of a round as columns, S rows.

    `specs[s]`: the shape. `requests`: int64 (S, R), base units. `priority_class`: int32 (S,), index in the round's
    classes; -1-k for a class that the round does not have, named `Round.unknown[k]`.
    """

    specs: tuple[Shape, ...]
    requests: Int64
    priority_class: Int32

    def __len__(self) -> int:
        return len(self.specs)


def shape_of(
    *,
    requests: Mapping[str, int],
    priority_class: str,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Sequence[Toleration] = (),
    affinity: Sequence[NodeTerm] = (),
) -> Shape:
    """The canonical shape of these requirements (base units), as app.pods.shape makes it of a pod spec."""
    return Shape(
        requests=tuple(sorted((name, amount) for name, amount in requests.items() if amount)),
        priority_class=priority_class,
        node_selector=tuple(sorted((node_selector or {}).items())),
        tolerations=tuple(sorted(set(tolerations))),
        affinity=tuple(sorted(set(affinity))),
    )


class ShapeTable:
    """Interns shapes: equal shapes get one index, and indices never change."""

    def __init__(self) -> None:
        self._indices: dict[Shape, int] = {}
        self._specs: list[Shape] = []

    def __len__(self) -> int:
        return len(self._specs)

    def intern(self, shape: Shape) -> int:
        """The index of the shape, given out at its first sight."""
        index = self._indices.get(shape)
        if index is None:
            index = self._indices[shape] = len(self._specs)
            self._specs.append(shape)
        return index

    def specs(self) -> tuple[Shape, ...]:
        """All shapes by index."""
        return tuple(self._specs)

    def resource_names(self) -> set[str]:
        """Every resource that some shape requests."""
        return {name for shape in self._specs for name, _ in shape.requests}

    def columns(self, resources: Resources, class_index: Mapping[str, int]) -> Shapes:
        """The columns for a round; `class_index` must hold every class that a shape names (KeyError otherwise)."""
        requests = np.zeros((len(self._specs), len(resources.names)), np.int64)
        classes = np.zeros(len(self._specs), np.int32)
        for row, shape in enumerate(self._specs):
            for name, amount in shape.requests:
                requests[row, resources.columns[name]] = amount
            classes[row] = class_index[shape.priority_class]
        return Shapes(specs=tuple(self._specs), requests=requests, priority_class=classes)
