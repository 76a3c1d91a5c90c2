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
_NEEDS_MAX = 16
"""tables of needs that are kept, one for each set of resources that some pool has columns for"""


class ShapeColumns:
    """`numbers`: the table of shape hashes of the job columns."""

    def __init__(self, numbers: KeyNumbers) -> None:
        self._numbers = numbers
        self._specs: dict[int, Shape] = {}
        self._known: Bool = np.zeros(_FIRST, np.bool_)
        self._pools: dict[str, Bool] = {}
        self._needs: dict[tuple[str, ...], Int64] = {}
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
        for names, table in self._needs.items():
            self._needs[names] = table = _grown(table, len(self._numbers))
            _fill(table[number], names, shape)
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

    def needs(self, resources: Resources) -> Int64:
        """Base units by (number of a shape, column); 0 for shapes that are not known. Resources without a column are
        left out."""
        names = resources.names
        table = self._needs.get(names)
        if table is None:
            if len(self._needs) >= _NEEDS_MAX:
                self._needs.clear()
            table = np.zeros((len(self.known()), len(names)), np.int64)
            for number, shape in self._specs.items():
                _fill(table[number], names, shape)
        self._needs[names] = _grown(table, len(self._numbers))
        return self._needs[names]

    def columns(
        self, numbers: Iterable[int], resources: Resources, classes: Mapping[str, int]
    ) -> tuple[Shapes, tuple[str, ...]]:
        """The shapes with these (known) numbers, in this order, and the names of classes that are not in `classes`."""
        chosen = list(numbers)
        specs = tuple(self._specs[number] for number in chosen)
        requests: Int64 = self.needs(resources)[np.array(chosen, np.intp)]
        of_class: Int32 = np.zeros(len(specs), np.int32)
        unknown: dict[str, int] = {}
        for row, shape in enumerate(specs):
            index = classes.get(shape.priority_class)
            if index is None:
                index = UNKNOWN_CLASS - unknown.setdefault(shape.priority_class, len(unknown))
            of_class[row] = index
        return Shapes(specs=specs, requests=requests, priority_class=of_class), tuple(unknown)


def _may_use(shape: Shape, pool: str) -> bool:
    return not shape.pools or pool in shape.pools


def _fill(row: Int64, names: tuple[str, ...], shape: Shape) -> None:
    requests = dict(shape.requests)
    row[:] = [requests.get(name, 0) for name in names]


def _grown(table: Int64, length: int) -> Int64:
    if length <= len(table):
        return table
    longer = np.zeros((max(length, 2 * len(table)), table.shape[1]), np.int64)
    longer[: len(table)] = table
    return longer


def _long_enough(column: npt.NDArray[np.bool_], length: int) -> Bool:
    if length <= len(column):
        return column
    longer = np.zeros(max(length, 2 * len(column)), np.bool_)
    longer[: len(column)] = column
    return longer
