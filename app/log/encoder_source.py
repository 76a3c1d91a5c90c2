"""Writes the Python source of an encoder: one function per schema, straight from a Struct to Avro.

Input: a parsed schema and the class. Output: `encode(value) -> bytes`, frame first. fastavro's generic writer takes
8–14 µs for a job or an event of the log, most of it in unions; a function that knows the type takes 1–2 µs
(benchmarks/codec.py). The bytes are the same: a test compares them with fastavro's for every schema.
"""

import struct
from collections.abc import Callable
from typing import Any

from app.log.errors import SchemaError, Unencodable
from app.log.struct_types import FieldType, Kind
from app.log.varints import NUMBER, SMALL, SOME_NUMBER, long_bytes

_INDENT = "    "
_NULL = r"b'\0'"
_SOME = r"b'\2'"


def string_bytes(text: str) -> bytes:
    """Length and UTF-8."""
    data = text.encode()
    size = len(data)
    return (NUMBER[size] if size < SMALL else long_bytes(size)) + data


def bytes_bytes(data: bytes) -> bytes:
    """Length and bytes."""
    size = len(data)
    return (NUMBER[size] if size < SMALL else long_bytes(size)) + data


def fixed_bytes(data: bytes, size: int) -> bytes:
    """Bytes of exactly this length. Raises Unencodable."""
    if len(data) != size:
        raise Unencodable(f"{len(data)} bytes where a fixed has {size}")
    return data


def array_bytes(items: Any, encode: Callable[[Any], bytes]) -> bytes:
    """A non-empty array, as one block."""
    return b"".join((long_bytes(len(items)), *map(encode, items), b"\0"))


def map_bytes(items: dict[str, Any], encode: Callable[[Any], bytes]) -> bytes:
    """A non-empty map, as one block, in the order of the dict."""
    pieces = [long_bytes(len(items))]
    for key, value in items.items():
        pieces += (string_bytes(key), encode(value))
    pieces.append(b"\0")
    return b"".join(pieces)


class EncoderSource:
    """Collects the lines of one function and the objects that they name."""

    def __init__(self, root: FieldType, frame: bytes) -> None:
        self.names: dict[str, Any] = {
            "NUMBER": NUMBER,
            "SOME_NUMBER": SOME_NUMBER,
            "long_bytes": long_bytes,
            "string_bytes": string_bytes,
            "bytes_bytes": bytes_bytes,
            "fixed_bytes": fixed_bytes,
            "array_bytes": array_bytes,
            "map_bytes": map_bytes,
            "double_bytes": struct.Struct("<d").pack,
            "boolean_bytes": {False: b"\0", True: b"\1"}.__getitem__,
        }
        self._lines: list[str] = []
        self._waiting: list[str] = []
        self._depth = 1
        self._variables = 0
        self._lines += ["def encode(value):", f"{_INDENT}pieces = [{frame!r}]", f"{_INDENT}extend = pieces.extend"]
        self._write(root, "value")
        self._flush()
        self._line("return b''.join(pieces)")

    @property
    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._depth + text)

    def _flush(self) -> None:
        """Expressions that stand one behind the other go out in one call."""
        if self._waiting:
            self._line(f"extend(({', '.join(self._waiting)},))")
            self._waiting = []

    def _variable(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _write(self, kind: FieldType, value: str) -> None:
        """Statements or a waiting expression that put `value` (an expression) out."""
        if kind.nullable and kind.kind in (Kind.RECORD, Kind.ARRAY, Kind.MAP):
            self._write_nullable(kind, value)
        elif kind.kind is Kind.RECORD:
            self._write_record(kind, value)
        elif kind.kind is Kind.ARRAY and kind.inner.kind is Kind.RECORD:
            self._write_records(kind, value)
        else:
            self._waiting.append(self._expression(kind, value))

    def _write_record(self, kind: FieldType, value: str) -> None:
        if not value.isidentifier():
            variable = self._variable()
            self._flush()
            self._line(f"{variable} = {value}")
            value = variable
        for field in kind.fields:
            self._write(field.type, f"{value}.{field.name}")

    def _write_nullable(self, kind: FieldType, value: str) -> None:
        variable = self._variable()
        self._flush()
        self._line(f"{variable} = {value}")
        self._line(f"if {variable} is None:")
        self._line(f"{_INDENT}extend(({_NULL},))")
        self._line("else:")
        self._depth += 1
        self._waiting.append(_SOME)
        self._write(kind.without_null(), variable)
        self._flush()
        self._depth -= 1

    def _write_records(self, kind: FieldType, value: str) -> None:
        items, item = self._variable(), self._variable()
        self._flush()
        self._line(f"{items} = {value}")
        self._line(f"if {items}:")
        self._depth += 1
        self._line(f"extend((long_bytes(len({items})),))")
        self._line(f"for {item} in {items}:")
        self._depth += 1
        self._write(kind.inner, item)
        self._flush()
        self._depth -= 2
        self._waiting.append(_NULL)

    def _expression(self, kind: FieldType, value: str) -> str:
        """An expression of type bytes."""
        x = self._variable()
        if kind.kind is Kind.LONG:
            table, before = ("SOME_NUMBER", f"{_SOME} + ") if kind.nullable else ("NUMBER", "")
            known = f"{x} < {SMALL}" if kind.nullable else f"({x} := {value}) < {SMALL}"
            text = f"({table}[{x}] if 0 <= {known} else {before}long_bytes({x}))"
        elif kind.kind in (Kind.STRING, Kind.BYTES):
            data = "value.encode()" if kind.kind is Kind.STRING else "value"
            data = data.replace("value", x if kind.nullable else value)
            table, before = ("SOME_NUMBER", f"{_SOME} + ") if kind.nullable else ("NUMBER", "")
            d, n = self._variable(), self._variable()
            text = f"({table}[{n}] if ({n} := len({d} := {data})) < {SMALL} else {before}long_bytes({n})) + {d}"
            text = f"({text})"
        elif kind.kind is Kind.ENUM:
            return f"{self._enum(kind)}[{value}]"
        elif kind.kind is Kind.BOOLEAN:
            some = _SOME + " + " if kind.nullable else ""
            text = f"{some}boolean_bytes({x if kind.nullable else value})"
        elif kind.kind is Kind.DOUBLE:
            some = _SOME + " + " if kind.nullable else ""
            text = f"{some}double_bytes({x if kind.nullable else value})"
        elif kind.kind is Kind.FIXED:
            some = _SOME + " + " if kind.nullable else ""
            text = f"{some}fixed_bytes({x if kind.nullable else value}, {kind.size})"
        elif kind.kind in (Kind.ARRAY, Kind.MAP) and not kind.nullable:
            function = "array_bytes" if kind.kind is Kind.ARRAY else "map_bytes"
            return f"({function}({x}, {self._function(kind.inner)}) if ({x} := {value}) else {_NULL})"
        else:
            raise SchemaError(f"no encoder for {kind.describe()}")
        return f"({_NULL} if ({x} := {value}) is None else {text})" if kind.nullable else text

    def _enum(self, kind: FieldType) -> str:
        """The name of a table symbol -> bytes (and None -> null when nullable)."""
        some = b"\x02" if kind.nullable else b""
        table: dict[Any, bytes] = {member: some + NUMBER[code] for code, member in enumerate(kind.members)}
        if kind.nullable:
            table[None] = b"\0"
        name = f"{'SOME_' if kind.nullable else ''}{kind.name}"
        self.names[name] = table
        return name

    def _function(self, kind: FieldType) -> str:
        """The name of a function item -> bytes, for arrays and maps of plain values."""
        if kind.nullable:
            raise SchemaError(f"no encoder for nullable items: {kind.describe()}")
        if kind.kind is Kind.ENUM:
            return f"{self._enum(kind)}.__getitem__"
        if kind.kind in (Kind.LONG, Kind.STRING, Kind.BYTES, Kind.BOOLEAN, Kind.DOUBLE):
            return f"{kind.kind.value}_bytes"
        raise SchemaError(f"no encoder for items of {kind.describe()}")
