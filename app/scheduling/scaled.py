"""Amounts of a round in the largest units that divide them all, per resource: small numbers, exact results.

Input: a round and its admission. Output: arrays for the kernels; `unit` turns them back into base units.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.scheduling.ledger import Caps, Ledger
from app.scheduling.quarantine import Admission, floating_columns
from app.scheduling.resources import AMOUNT_MAX, Bool, Int64
from app.scheduling.round import Round

UNLIMITED = 2**61
KEY_BITS = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """`unit`: int64 (R,), base units in one. `ask`, `need`: int64 (S, R), what shapes take of the pool and of nodes.

    `capacity`: int64 (N, R), less what is held; may be negative. `is_floating`: bool (R,).
    """

    unit: Int64
    ask: Int64
    need: Int64
    capacity: Int64
    is_floating: Bool

    @classmethod
    def of(cls, round_: Round, admission: Admission, *, with_held: bool = True) -> "Scaled":
        """Scales the nodes and shapes of a round."""
        floating = floating_columns(round_)
        capacity = np.clip(round_.nodes.capacity, 0, AMOUNT_MAX)
        held = np.clip(round_.nodes.held, 0, AMOUNT_MAX) if with_held else np.zeros((1, len(floating)), np.int64)
        penalties = [round_.resources.row(queue.penalty) for queue in round_.queues if queue.penalty]
        few = np.array([round_.floating, *penalties], np.int64).reshape(1 + len(penalties), len(floating))
        unit = np.ones(len(floating), np.int64)
        for column in range(len(floating)):
            parts = [capacity[:, column], held[:, column], admission.requests[:, column], few[1:, column]]
            if floating[column]:
                parts.append(few[:1, column])
            divisor = int(np.gcd.reduce([int(np.gcd.reduce(part)) for part in parts if len(part)] or [0]))
            unit[column] = max(divisor, 1)
        ask = admission.requests // unit
        return cls(
            unit=unit,
            ask=ask,
            need=np.where(floating, 0, ask),
            capacity=np.where(floating, 0, capacity - held) // unit,
            is_floating=floating,
        )

    def rows(self, amounts: Sequence[Sequence[int]]) -> Int64:
        """int64 (n, R): rows of amounts by column, base units, that the units divide; at most UNLIMITED."""
        try:
            exact = np.array(amounts, np.int64).reshape(len(amounts), len(self.unit))
            rows: Int64 = np.minimum(exact // self.unit, UNLIMITED)
            return rows
        except OverflowError:
            unit = self.unit.tolist()
            return np.array([[min(a // u, UNLIMITED) for a, u in zip(row, unit, strict=True)] for row in amounts])

    def limit(self, caps: Caps) -> Int64:
        """Largest amounts by column; UNLIMITED where there is no cap."""
        row = np.full(len(self.unit), UNLIMITED, np.int64)
        for column, limit in caps:
            row[column] = min(limit // int(self.unit[column]), UNLIMITED)
        return row

    def key_layout(self, indexed: tuple[int, ...]) -> tuple[Int64, Int64, Int64, int]:
        """How the indexed resources are packed: (column, word, shift) of each, and the number of words."""
        columns = [column for column in indexed if not self.is_floating[column]]
        most = self.capacity.max(axis=0, initial=0).tolist()
        words, shifts = [], []
        word, left = 0, KEY_BITS
        for column in columns:
            bits = max(int(most[column]).bit_length(), 1)
            if bits > left:
                word, left = word + 1, KEY_BITS
            left -= bits
            words.append(word)
            shifts.append(left)
        return np.array(columns, np.int64), np.array(words, np.int64), np.array(shifts, np.int64), word + 1

    def need_keys(self, layout: tuple[Int64, Int64, Int64, int]) -> Int64:
        """The first word of the least key that a node for each shape can have."""
        keys = np.zeros(len(self.need), np.int64)
        most = self.capacity.max(axis=0, initial=0)
        for column, word, shift in zip(*(part.tolist() for part in layout[:3]), strict=True):
            if word == 0:
                keys += np.minimum(self.need[:, column], max(int(most[column]), 0)) << shift
        return keys


def charged_rows(round_: Round, ledger: Ledger, scaled: Scaled) -> Int64:
    """int64 (Q, R): what queues are charged with before the round."""
    penalties = [round_.resources.row(queue.penalty) for queue in round_.queues]
    rows: Int64 = np.minimum(scaled.rows(ledger.held) + scaled.rows(penalties), UNLIMITED)
    return rows
