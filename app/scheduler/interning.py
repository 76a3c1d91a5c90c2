"""Small numbers for hashes, so that columns are narrow and comparing is cheap. Numbers never change.

Input: columns of hashes (64-bit hashes of names, 16-byte hashes of shapes). Output: int32 columns of numbers. A
name that was learned can be asked for by number.
"""

import numpy as np
import numpy.typing as npt

from app.domain.rows import name_hash

UInt64 = npt.NDArray[np.uint64]
Int32 = npt.NDArray[np.int32]

NONE = -1
"""The number of the hash 0, which says that there is no name."""


class NameNumbers:
    """Numbers of names, known by their hash (app.domain.rows.name_hash) alone until the name is learned."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {0: NONE}
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._names)

    def numbers(self, hashes: UInt64) -> Int32:
        """int32 of the same length; new hashes get the next numbers, in no order that means anything."""
        distinct, inverse = np.unique(hashes, return_inverse=True)
        of_distinct = np.array([self._number(value) for value in distinct.tolist()], np.int32)
        return of_distinct[inverse] if len(distinct) else np.zeros(0, np.int32)

    def learn(self, name: str) -> int:
        """The number of a name; from now on `name_of` knows it."""
        number = self._number(name_hash(name))
        if number != NONE:
            self._names[number] = name
        return number

    def find(self, name: str) -> int:
        """The number of a name that was seen or learned, else NONE."""
        return self._numbers.get(name_hash(name), NONE)

    def name_of(self, number: int) -> str:
        """The name, "" when it was never learned or there is none."""
        return self._names[number] if number >= 0 else ""

    def _number(self, value: int) -> int:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self._names)
            self._names.append("")
        return number


class KeyNumbers:
    """Numbers of 16-byte keys."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self, keys: npt.NDArray[np.void]) -> Int32:
        """int32 of the same length as `keys` (V16)."""
        known = self._numbers
        found = list(map(known.get, given := keys.tolist()))
        if None in found:
            found = [self.number(key) for key in given]
        return np.array(found, np.int32)

    def number(self, key: bytes) -> int:
        """The number of one key."""
        return self._numbers.setdefault(key, len(self._numbers))
