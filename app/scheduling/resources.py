"""Resources of a round: names, columns and base units.

Amounts are int64 in the base units of app.pods.quantity: milli-cores for `cpu`, whole units for everything else
(bytes of memory, devices). No single amount is above its AMOUNT_MAX; sums are Python integers, so they are exact.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from app.pods.quantity import AMOUNT_MAX as AMOUNT_MAX
from app.pods.quantity import CPU

RESOURCES_MAX = 64
_LOW_BITS = 26

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The resource columns of a round, in a fixed order."""

    names: tuple[str, ...]
    columns: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", {name: column for column, name in enumerate(self.names)})

    @classmethod
    def of(cls, names: Iterable[str]) -> "Resources":
        """Columns for these names: cpu and memory first, the rest by name, each once."""
        known = set(names)
        first = [name for name in (CPU, "memory") if name in known]
        return cls(names=(*first, *sorted(known.difference(first))))

    def row(self, amounts: Mapping[str, int]) -> list[int]:
        """Amounts in base units by column; resources that are not named hold 0. Raises KeyError on a foreign name."""
        values = [0] * len(self.names)
        for name, amount in amounts.items():
            values[self.columns[name]] = amount
        return values

    def amounts(self, row: Iterable[int]) -> dict[str, int]:
        """The amounts of a row that are not zero, by name."""
        return {name: int(amount) for name, amount in zip(self.names, row, strict=True) if amount}


def exact_total(amounts: Int64) -> list[int]:
    """Sums over the rows of `amounts` (n, R) as Python integers, which cannot overflow."""
    low = np.bitwise_and(amounts, (1 << _LOW_BITS) - 1).sum(axis=0)
    high = np.right_shift(amounts, _LOW_BITS).sum(axis=0)
    return [(int(upper) << _LOW_BITS) + int(lower) for upper, lower in zip(high, low, strict=True)]


def as_bytes(mask: Bool) -> UInt8:
    """The same memory as kernels take it."""
    return mask.view(np.uint8)
