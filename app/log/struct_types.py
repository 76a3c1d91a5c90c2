"""What a schema and the class of its values say together of each field: the input of the encoder and decoder sources.

Inputs: an Avro schema (JSON) and a Struct class. Output: a `FieldType` tree in the order of the schema. Here they are
held against each other: same fields, order, nullability, types and symbols, else SchemaError with the place.
"""

import types
import typing
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import msgspec

from app.log.errors import SchemaError


class Kind(Enum):
    """The kinds of Avro types in use. A union is only ever of null and one other: `nullable`."""

    LONG = "long"
    STRING = "string"
    BYTES = "bytes"
    BOOLEAN = "boolean"
    DOUBLE = "double"
    FIXED = "fixed"
    ENUM = "enum"
    ARRAY = "array"
    MAP = "map"
    RECORD = "record"


_PLAIN: dict[type, Kind] = {int: Kind.LONG, str: Kind.STRING, bytes: Kind.BYTES, bool: Kind.BOOLEAN, float: Kind.DOUBLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldType:
    """kind, and what belongs to it: items: of an array or map; fields and cls: of a record; name and members: of an
    enum; size: of a fixed.

    mutable: an array whose value is a list (only the outermost is), not a tuple."""

    kind: Kind
    nullable: bool = False
    name: str = ""
    size: int = 0
    items: "FieldType | None" = None
    cls: type | None = None
    members: tuple[Enum, ...] = ()
    fields: "tuple[Field, ...]" = ()
    mutable: bool = False

    @property
    def inner(self) -> "FieldType":
        """The type of the items."""
        assert self.items is not None
        return self.items

    def without_null(self) -> "FieldType":
        return replace(self, nullable=False)

    def describe(self) -> str:
        return f"{'nullable ' if self.nullable else ''}{self.kind.value} {self.name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a record."""

    name: str
    type: FieldType


def type_of(schema: Any, cls: type[msgspec.Struct], *, array: bool = False) -> FieldType:
    """The tree of a schema whose values are of `cls` (array: lists of it). Raises SchemaError where schema and class
    differ."""
    resolver = _Resolver()
    if array:
        if not isinstance(schema, dict) or schema.get("type") != "array":
            raise SchemaError(f"{cls.__name__}: the schema must be an array")
        return FieldType(kind=Kind.ARRAY, items=resolver.resolve(schema["items"], cls, cls.__name__), mutable=True)
    return resolver.resolve(schema, cls, cls.__name__)


class _Resolver:
    """Knows the named types that were defined earlier in the schema."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}

    def resolve(self, schema: Any, hint: Any, path: str) -> FieldType:
        """The type of a place (`path`, for errors) of the schema whose Python type is `hint`."""
        if isinstance(schema, list):
            return self._union(schema, hint, path)
        if isinstance(schema, str) and schema in self._named:
            schema = self._named[schema]
        kind = schema if isinstance(schema, str) else schema.get("type")
        if kind in ("record", "enum", "fixed"):
            self._named[schema["name"]] = schema
        if kind == "record":
            return self._record(schema, hint, path)
        if kind == "enum":
            return self._enum(schema, hint, path)
        if kind == "fixed":
            self._expect(hint is bytes, path, hint, "fixed")
            return FieldType(kind=Kind.FIXED, name=schema["name"], size=schema["size"])
        if kind == "array":
            self._expect(
                typing.get_origin(hint) is tuple and typing.get_args(hint)[1:] == (Ellipsis,), path, hint, "array"
            )
            return FieldType(
                kind=Kind.ARRAY, items=self.resolve(schema["items"], typing.get_args(hint)[0], f"{path}[]")
            )
        if kind == "map":
            self._expect(typing.get_origin(hint) is dict and typing.get_args(hint)[0] is str, path, hint, "map")
            return FieldType(
                kind=Kind.MAP, items=self.resolve(schema["values"], typing.get_args(hint)[1], f"{path}{{}}")
            )
        plain = _PLAIN.get(hint)
        self._expect(plain is not None and plain.value == kind, path, hint, str(kind))
        assert plain is not None
        return FieldType(kind=plain)

    def _union(self, schema: list[Any], hint: Any, path: str) -> FieldType:
        options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else ()
        rest = [option for option in options if option is not types.NoneType]
        self._expect(len(rest) == 1 and len(options) == 2, path, hint, "union with null")
        if len(schema) != 2 or schema[0] != "null":
            raise SchemaError(f"{path}: a union must be of null, first, and one other")
        return replace(self.resolve(schema[1], rest[0], path), nullable=True)

    def _enum(self, schema: Any, hint: Any, path: str) -> FieldType:
        self._expect(isinstance(hint, type) and issubclass(hint, Enum), path, hint, "enum")
        members = tuple(hint)
        symbols = [member.value for member in members]
        if schema["symbols"] != symbols:
            raise SchemaError(f"{path}: the schema has the symbols {schema['symbols']}, {hint.__name__} has {symbols}")
        return FieldType(kind=Kind.ENUM, name=schema["name"], members=members)

    def _record(self, schema: Any, hint: Any, path: str) -> FieldType:
        self._expect(isinstance(hint, type) and issubclass(hint, msgspec.Struct), path, hint, "record")
        known = {field.name: field for field in msgspec.structs.fields(hint)}
        names = [field["name"] for field in schema["fields"]]
        if names != list(known):
            first = next((a or b for a, b in _side_by_side(names, list(known)) if a != b), "")
            raise SchemaError(
                f"{path}: schema and class {hint.__name__} differ from field {first!r} on (names or order)"
            )
        fields = []
        for field in schema["fields"]:
            mine = known[field["name"]]
            place = f"{path}.{field['name']}"
            optional = mine.default is not msgspec.NODEFAULT or mine.default_factory is not msgspec.NODEFAULT
            if optional != ("default" in field):
                raise SchemaError(f"{place}: it has a default in {'the class' if optional else 'the schema'} only")
            fields.append(Field(name=field["name"], type=self.resolve(field["type"], mine.type, place)))
        return FieldType(kind=Kind.RECORD, name=schema["name"], cls=hint, fields=tuple(fields))

    @staticmethod
    def _expect(fits: bool, path: str, hint: Any, kind: str) -> None:
        if not fits:
            raise SchemaError(f"{path}: the schema says {kind}, the class says {hint}")


def _side_by_side(left: list[str], right: list[str]) -> list[tuple[str, str]]:
    size = max(len(left), len(right))
    return list(zip(left + [""] * (size - len(left)), right + [""] * (size - len(right)), strict=True))
