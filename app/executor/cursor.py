"""Positions and cursors as they stand on the executor's wire: `[partition, offset, ordinal]` and `{"log": …, "0":
[offset, ordinal]}`.

A cursor is inclusive: everything up to and including each partition's position was taken.
"""

from typing import Annotated

from msgspec import Meta, Struct

PARTITIONS_MAX = 256
OFFSET_MAX = (1 << 63) - 1
ORDINAL_MAX = (1 << 31) - 1
"""also the ordinal that a cursor carries when the whole command at its offset was taken"""
LOG_CHARS_MAX = 200

PartitionNumber = Annotated[int, Meta(ge=0, lt=PARTITIONS_MAX)]
Offset = Annotated[int, Meta(ge=0, le=OFFSET_MAX)]
Ordinal = Annotated[int, Meta(ge=0, le=ORDINAL_MAX)]


class Position(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Where an event stands; positions are ordered within a partition only."""

    partition: PartitionNumber
    offset: Offset
    ordinal: Ordinal

    def text(self) -> str:
        """The form that stands in a pod's annotation: `partition-offset-ordinal`."""
        return f"{self.partition}-{self.offset}-{self.ordinal}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """The position in an annotation; None when it is not one."""
        parts = text.split("-")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 19 for part in parts):
            return None
        partition, offset, ordinal = (int(part) for part in parts)
        if partition >= PARTITIONS_MAX or offset > OFFSET_MAX or ordinal > ORDINAL_MAX:
            return None
        return cls(partition, offset, ordinal)


class Cursor:
    """How far leases and stops of one log were taken: partition -> (offset, ordinal). Immutable by convention; a
    missing partition is empty."""

    __slots__ = ("log", "positions")

    def __init__(self, log: str, positions: dict[int, tuple[int, int]] | None = None) -> None:
        self.log = log
        self.positions = positions or {}

    def has_passed(self, position: Position) -> bool:
        """Whether everything up to and including this position of this cursor's log was taken."""
        reached = self.positions.get(position.partition)
        return reached is not None and reached >= (position.offset, position.ordinal)

    def is_behind(self, other: "Cursor") -> bool:
        """Whether some partition of `other` (of the same log) stands further."""
        nowhere = (-1, -1)
        return any(self.positions.get(partition, nowhere) < reached for partition, reached in other.positions.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cursor) and self.log == other.log and self.positions == other.positions

    __hash__ = None  # type: ignore[assignment]  # holds a dict, and nobody needs it as a key

    def __repr__(self) -> str:
        return f"Cursor({self.log!r}, {self.positions!r})"


def cursor_to_wire(cursor: Cursor) -> dict[str, object]:
    """The JSON object of a cursor."""
    wire: dict[str, object] = {"log": cursor.log}
    for partition, reached in sorted(cursor.positions.items()):
        wire[str(partition)] = list(reached)
    return wire


def cursor_from_wire(wire: object) -> Cursor:
    """The cursor in a decoded JSON object. Raises ValueError with the wrong key and what was expected."""
    if not isinstance(wire, dict):
        raise ValueError(f"Expected `object`, got `{type(wire).__name__}`")
    log = wire.get("log")
    if not isinstance(log, str) or not log or len(log) > LOG_CHARS_MAX:
        raise ValueError(f"`log` must be a text of 1 to {LOG_CHARS_MAX} characters")
    positions: dict[int, tuple[int, int]] = {}
    for key, value in wire.items():
        if key == "log":
            continue
        if not (
            isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 3 and int(key) < PARTITIONS_MAX
        ):
            raise ValueError(f"`{str(key)[:40]}` is not a partition: 0 to {PARTITIONS_MAX - 1} expected")
        if not (isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)):
            raise ValueError(f"`{key}` must be [offset, ordinal]")
        offset, ordinal = value
        if not (0 <= offset <= OFFSET_MAX and 0 <= ordinal <= ORDINAL_MAX):
            raise ValueError(f"`{key}` is out of range: [{offset}, {ordinal}]")
        positions[int(key)] = (offset, ordinal)
    return Cursor(log, positions)
