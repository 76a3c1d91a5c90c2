"""Reads JSON objects strictly: every wrong value and every unknown field is a RoundError with its path."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TypeVar

import msgspec

from app.scheduling.errors import RoundError, field_path

T = TypeVar("T")
TEXT_CHARS_MAX = 4096
INT64_MAX = 2**63 - 1
_REQUIRED = object()


def decode_object(document: bytes | str, format_name: str) -> "JsonObject":
    """The object in a JSON document of this format. Raises RoundError."""
    try:
        value = msgspec.json.decode(document)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise RoundError("", f"is not JSON: {error}") from None
    except RecursionError:
        raise RoundError("", "is not JSON of a sane depth") from None
    reader = JsonObject(value, "")
    if (found := reader.text("format")) != format_name:
        raise RoundError("format", f"must be {format_name!r}, not {found!r}")
    return reader


class JsonObject:
    """One object of a document and its path. Read each field once by its type, then call `end`."""

    __slots__ = ("_fields", "path")

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise RoundError(path, "must be an object")
        self._fields: dict[str, object] = dict(value)
        self.path = path

    def end(self) -> None:
        """Refuses the fields that nobody asked for."""
        for name in self._fields:
            raise RoundError(self.path_of(name), "is an unknown field")

    def path_of(self, name: str) -> str:
        """The path of a field."""
        return field_path(self.path, name)

    def take(self, name: str, default: object = _REQUIRED) -> object:
        """A field as it is."""
        value = self._fields.pop(name, default)
        if value is _REQUIRED:
            raise RoundError(self.path_of(name), "is required")
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there and not null; a null is taken."""
        if self._fields.get(name) is None:
            self._fields.pop(name, None)
            return False
        return True

    def text(self, name: str, default: object = _REQUIRED) -> str:
        """A text that is not empty."""
        return checked_text(self.take(name, default), lambda: self.path_of(name))

    def one_of(self, name: str, allowed: Sequence[str], default: object = _REQUIRED) -> str:
        """One of these texts."""
        value = self.take(name, default)
        if not isinstance(value, str) or value not in allowed:
            raise RoundError(self.path_of(name), f"must be one of {', '.join(allowed)}")
        return value

    def label_value(self, name: str) -> str:
        """A text that may be empty, empty when absent."""
        value = self.take(name, "")
        if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
            raise RoundError(self.path_of(name), "must be a text")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise RoundError(self.path_of(name), "must be true or false")
        return value

    def integer(self, name: str, default: object = _REQUIRED, *, least: int = -INT64_MAX, most: int = INT64_MAX) -> int:
        """A whole number between `least` and `most`."""
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise RoundError(self.path_of(name), f"must be a whole number between {least} and {most}")
        return value

    def number(self, name: str, default: object = _REQUIRED, *, least: float = 0.0, most: float = 1e15) -> float:
        """A finite number between `least` and `most`."""
        return _checked_number(self.take(name, default), lambda: self.path_of(name), least, most)

    def nested(self, name: str) -> "JsonObject":
        """An object, empty when absent."""
        return JsonObject(self.take(name, {}), self.path_of(name))

    def nested_list(self, name: str, *, most: int) -> "Iterator[JsonObject]":
        """The objects of a list, empty when absent."""
        for index, item in enumerate(self.items(name, most=most)):
            yield JsonObject(item, f"{self.path_of(name)}[{index}]")

    def items(self, name: str, *, most: int) -> list[object]:
        """A list, empty when absent."""
        value = self.take(name, [])
        if not isinstance(value, list):
            raise RoundError(self.path_of(name), "must be a list")
        if len(value) > most:
            raise RoundError(self.path_of(name), f"has {len(value)} items; at most {most} are allowed")
        return value

    def texts(self, name: str, *, most: int) -> tuple[str, ...]:
        """A list of texts, empty when absent."""
        path = self.path_of(name)
        return tuple(
            checked_text(item, lambda index=index: f"{path}[{index}]")  # type: ignore[misc]
            for index, item in enumerate(self.items(name, most=most))
        )

    def numbers(self, name: str, default: Mapping[str, float] | None = None) -> dict[str, float]:
        """An object of numbers that are not negative."""
        if default is not None and name not in self._fields:
            return dict(default)
        fields = self.nested(name)
        return {key: _checked_number(value, lambda key=key: fields.path_of(key)) for key, value in fields.rest()}  # type: ignore[misc]

    def labels(self, name: str) -> dict[str, str]:
        """An object of texts."""
        fields = self.nested(name)
        found: dict[str, str] = {}
        for key, value in fields.rest():
            if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
                raise RoundError(fields.path_of(key), "must be a text")
            found[key] = value
        return found

    def quantities(self, name: str, default: object = _REQUIRED) -> dict[str, str | int | float]:
        """An object of Kubernetes quantities, as they are written."""
        fields = JsonObject(self.take(name, default), self.path_of(name))
        found: dict[str, str | int | float] = {}
        for key, value in fields.rest():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise RoundError(fields.path_of(key), "must be a quantity such as 2, 500m or 4Gi")
            found[key] = value
        return found

    def names(self) -> list[str]:
        """The names of all fields that were not read yet."""
        return list(self._fields)

    def rest(self) -> list[tuple[str, object]]:
        """All fields that were not read yet."""
        fields = list(self._fields.items())
        self._fields.clear()
        return fields


def checked_text(value: object, path: Callable[[], str]) -> str:
    """A text that is not empty; the path is made only for an error."""
    if not isinstance(value, str) or not value:
        raise RoundError(path(), "must be a text that is not empty")
    if len(value) > TEXT_CHARS_MAX or "\0" in value:
        raise RoundError(path(), f"must have at most {TEXT_CHARS_MAX} characters and no NUL")
    return value


def _checked_number(value: object, path: Callable[[], str], least: float = 0.0, most: float = 1e15) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise RoundError(path(), "must be a number")
    if not least <= value <= most:
        raise RoundError(path(), f"must be between {least:g} and {most:g}")
    return float(value)
