"""The scalars of the API: how they look in JSON, and what stands for them inside.

DateTime is an int inside: ms since 1970. Position and Cursor are texts of app.api.coordinates, Quantity a text of
Kubernetes.
"""

from datetime import UTC, datetime
from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

DateTime = NewType("DateTime", int)
Quantity = NewType("Quantity", str)
Cursor = NewType("Cursor", str)
Position = NewType("Position", str)
Long = NewType("Long", int)

LONG_MAX = (1 << 63) - 1


def format_time(time_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_time(text: object) -> int:
    """ms since 1970. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("a time is a text such as 2026-11-24T07:00:00Z")
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"the time {text[:40]!r} has no time zone, such as Z")
    return round(time.timestamp() * 1000)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def _long(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LONG_MAX:
        raise ValueError("must be a whole number of 64 bits")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    DateTime: strawberry.scalar(
        name="DateTime", description="RFC 3339, UTC", serialize=format_time, parse_value=parse_time
    ),
    Quantity: strawberry.scalar(
        name="Quantity", description="a quantity as Kubernetes writes it: 500m, 4Gi", serialize=str, parse_value=_text
    ),
    Cursor: strawberry.scalar(
        name="Cursor",
        description='opaque; jobSetEvents accepts the literal "BEGIN" as well',
        serialize=str,
        parse_value=_text,
    ),
    Position: strawberry.scalar(
        name="Position",
        description="opaque: how far the log was written; comes back from mutations and goes into atLeast",
        serialize=str,
        parse_value=_text,
    ),
    Long: strawberry.scalar(name="Long", description="a whole number of 64 bits", serialize=_long, parse_value=_long),
}
