"""Positions (partition, command offset, ordinal) and vectors of them: the one coordinate system of the
installation.

A position identifies an event for ever; positions of one partition are ordered, positions of different partitions
say nothing about each other. A vector (partition -> offset) says how far somebody has come: every command up to and
including that offset.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Position(NamedTuple):
    """Where an event stands: the partition, the offset of its command and its ordinal among all events of that
    command."""

    partition: int
    offset: int
    ordinal: int


NOWHERE = Position(-1, -1, -1)

Vector = Mapping[int, int]
"""partition -> offset of the last command that is included; a partition that is missing stands at -1"""


def vector_covers(reached: Vector, wanted: Vector) -> bool:
    """Whether `reached` includes everything that `wanted` includes."""
    return all(reached.get(partition, -1) >= offset for partition, offset in wanted.items())


def vector_union(*vectors: Vector) -> dict[int, int]:
    """The smallest vector that covers all of them."""
    union: dict[int, int] = {}
    for vector in vectors:
        for partition, offset in vector.items():
            union[partition] = max(offset, union.get(partition, -1))
    return union
