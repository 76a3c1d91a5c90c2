"""Shapes as scheduling needs them: from argosy.shapes, by the numbers that job columns hold.

Input: (hash, encoded shape) records. Output: which shapes are known, which pools they may use, and, for the shapes
that some round speaks of, the columns of that round. Shapes never change; a job whose shape is not known yet is
parked.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from app.pods.shape import Shape, decode_shape
from app.scheduler.interning import Int32, KeyNumbers
from app.scheduling.resources import Bool, Int64, Resources
from app.scheduling.shapes import Shapes

_FIRST = 256
UNKNOWN_CLASS = -1


class ShapeColumns:
    """`numbers`: the table of shape hashes of the job columns."""

    def __init__(self, numbers: KeyNumbers) -> None:
        self._numbers = numbers
        self._specs: dict[int, Shape] = {}
        self._known: Bool = np.zeros(_FIRST, np.bool_)
        self._pools: dict[str, Bool] = {}
        self.resource_names: set[str] = set()
        self.unreadable = 0

    def __len__(self) -> int:
        return len(self._specs)

    def add(self, shape_hash: bytes, body: bytes) -> None:
        """Takes a shape. Raises app.pods.shape.ShapeError."""
        shape = decode_shape(body)
        number = self._numbers.number(shape_hash)
        self._specs[number] = shape
        self._known = _long_enough(self._known, len(self._numbers))
        self._known[number] = True
        self.resource_names.update(name for name, _ in shape.requests)
        for pool, allowed in self._pools.items():
            self._pools[pool] = _long_enough(allowed, len(self._numbers))
            self._pools[pool][number] = _may_use(shape, pool)

    def known(self) -> Bool:
        """bool by number of a shape."""
        self._known = _long_enough(self._known, len(self._numbers))
        return self._known

    def allowed(self, pool: str) -> Bool:
        """bool by number: known, and may run in the pool."""
        allowed = self._pools.get(pool)
        if allowed is None:
            allowed = np.zeros(len(self.known()), np.bool_)
            for number, shape in self._specs.items():
                allowed[number] = _may_use(shape, pool)
        self._pools[pool] = _long_enough(allowed, len(self._numbers))
        return self._pools[pool]

    def requests(self, number: int) -> Mapping[str, int]:
        """Base units by resource of a known shape; nothing of one that is not known."""
        shape = self._specs.get(number)
        return {} if shape is None else dict(shape.requests)

    def columns(
        self, numbers: Iterable[int], resources: Resources, classes: Mapping[str, int]
    ) -> tuple[Shapes, tuple[str, ...]]:
        """The shapes with these (known) numbers, in this order, and the names of classes that are not in `classes`."""
        specs = tuple(self._specs[number] for number in numbers)
        requests: Int64 = np.zeros((len(specs), len(resources.names)), np.int64)
        of_class: Int32 = np.zeros(len(specs), np.int32)
        unknown: dict[str, int] = {}
        for row, shape in enumerate(specs):
            for name, amount in shape.requests:
                requests[row, resources.columns[name]] = amount
            index = classes.get(shape.priority_class)
            if index is None:
                index = UNKNOWN_CLASS - unknown.setdefault(shape.priority_class, len(unknown))
            of_class[row] = index
        return Shapes(specs=specs, requests=requests, priority_class=of_class), tuple(unknown)


def _may_use(shape: Shape, pool: str) -> bool:
    return not shape.pools or pool in shape.pools


def _long_enough(column: npt.NDArray[np.bool_], length: int) -> Bool:
    if length <= len(column):
        return column
    longer = np.zeros(max(length, 2 * len(column)), np.bool_)
    longer[: len(column)] = column
    return longer
