"""Faults that a fake cluster can be told to have: creates that are lost, late, or answered by silence. From a seed,
for tests."""

import random
from dataclasses import dataclass
from enum import Enum


class CreateFault(Enum):
    """What happens to one create."""

    NONE = "none"
    LOST = "lost"
    """never arrives; the outcome is unknown"""
    SILENT = "silent"
    """takes effect at once; the outcome is unknown"""
    LATE = "late"
    """takes effect after a while; the outcome is unknown"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeFaults:
    """Probabilities of each fault of a create, and the longest time by which one is late."""

    lost: float = 0.0
    silent: float = 0.0
    late: float = 0.0
    late_ms_max: int = 1_000

    def of_create(self, rng: random.Random) -> CreateFault:
        draw = rng.random()
        for fault, probability in (
            (CreateFault.LOST, self.lost),
            (CreateFault.SILENT, self.silent),
            (CreateFault.LATE, self.late),
        ):
            if draw < probability:
                return fault
            draw -= probability
        return CreateFault.NONE
