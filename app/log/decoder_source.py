"""Writes the Python source of a decoder: one function per schema, straight from Avro to Structs.

Input: a parsed schema and the class. Output: `decode(data, at) -> (value, place behind it)`. Lengths beyond the data,
unknown symbols and branches raise Undecodable, IndexError, KeyError or UnicodeDecodeError; the codec makes one error
of them. Ends of slices are not checked one by one: a slice that is too short leaves a place behind the end, which the
next byte, or the codec's last look, finds.
"""

import struct
from collections.abc import Callable
from typing import Any

from app.log.errors import Undecodable
from app.log.struct_types import FieldType, Kind
from app.log.varints import SIGNED, length_rest, long_rest

_INDENT = "    "


def count_of(data: bytes, at: int) -> tuple[int, int]:
    """The item count of a block and the place behind it; a negative one is followed by the block's size in bytes.
    Raises Undecodable."""
    first = data[at]
    at += 1
    count, at = long_rest(data, at, first) if first >= 128 else (first >> 1 ^ -(first & 1), at)
    if count < 0:
        count = -count
        first = data[at]
        at += 1
        _, at = length_rest(data, at, first) if first & 129 else (first >> 1, at)
    # Every item of these schemas has at least one byte.
    if count > len(data) - at:
        raise Undecodable(f"a block of {count} items before byte {at}, and {len(data) - at} bytes are left")
    return count, at


def bad_branch(at: int) -> Undecodable:
    return Undecodable(f"no such branch of a union at byte {at}")


class DecoderSource:
    """Collects the lines of one function and the objects that they name."""

    def __init__(self, root: FieldType) -> None:
        self.names: dict[str, Any] = {
            "SIGNED": SIGNED,
            "long_rest": long_rest,
            "length_rest": length_rest,
            "count_of": count_of,
            "bad_branch": bad_branch,
            "double_from": struct.Struct("<d").unpack_from,
            "BOOLEAN": {0: False, 1: True},
        }
        self._lines: list[str] = ["def decode(d, i):"]
        self._depth = 1
        self._variables = 0
        result = self._read(root)
        self._line(f"return {result}, i")

    @property
    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._depth + text)

    def _variable(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _read(self, kind: FieldType) -> str:
        """Lines that read a value; the variable that holds it then, or the expression that makes it."""
        if not kind.nullable:
            return self._read_some(kind)
        result = self._variable()
        self._line("if not d[i]:")
        self._line(f"{_INDENT}{result} = None")
        self._line(f"{_INDENT}i += 1")
        self._line("elif d[i] == 2:")
        self._depth += 1
        self._line("i += 1")
        self._line(f"{result} = {self._read_some(kind.without_null())}")
        self._depth -= 1
        self._line("else:")
        self._line(f"{_INDENT}raise bad_branch(i)")
        return result

    def _read_some(self, kind: FieldType) -> str:
        match kind.kind:
            case Kind.RECORD:
                return self._read_record(kind)
            case Kind.ARRAY:
                return self._read_array(kind)
            case Kind.MAP:
                return self._read_map(kind)
            case Kind.LONG:
                return self._read_long()
            case Kind.STRING | Kind.BYTES:
                return self._read_text(kind)
            case _:
                return self._read_small(kind)

    def _read_record(self, kind: FieldType) -> str:
        values = [(field.name, self._read(field.type)) for field in kind.fields]
        assert kind.cls is not None
        self.names[kind.cls.__name__] = kind.cls
        result = self._variable()
        self._line(f"{result} = {kind.cls.__name__}({', '.join(f'{name}={value}' for name, value in values)})")
        return result

    def _read_long(self) -> str:
        x = self._variable()
        self._line(f"{x} = d[i]")
        self._line("i += 1")
        self._line(f"if {x} < 128:")
        self._line(f"{_INDENT}{x} = SIGNED[{x}]")
        self._line("elif d[i] < 128:")
        self._line(f"{_INDENT}{x} = SIGNED[{x} - 128 | d[i] << 7]")
        self._line(f"{_INDENT}i += 1")
        self._line("else:")
        self._line(f"{_INDENT}{x}, i = long_rest(d, i, {x})")
        return x

    def _read_text(self, kind: FieldType) -> str:
        x = self._variable()
        self._line("n = d[i]")
        self._line("i += 1")
        self._line("if n & 129:")
        self._line(f"{_INDENT}n, i = length_rest(d, i, n)")
        self._line(f"{_INDENT}n += i")
        self._line("else:")
        self._line(f"{_INDENT}n = i + (n >> 1)")
        self._line(f"{x} = d[i:n]{'.decode()' if kind.kind is Kind.STRING else ''}")
        self._line("i = n")
        return x

    def _read_small(self, kind: FieldType) -> str:
        """What has a known length."""
        x = self._variable()
        if kind.kind is Kind.DOUBLE:
            self._line(f"{x} = double_from(d, i)[0]")
            self._line("i += 8")
        elif kind.kind is Kind.FIXED:
            self._line(f"{x} = d[i : i + {kind.size}]")
            self._line(f"i += {kind.size}")
        else:
            table = "BOOLEAN"
            if kind.kind is Kind.ENUM:
                table = kind.name
                # By the byte: symbol 0 is 0, symbol 1 is 2 (zigzag); no enum here has more than 64.
                self.names[table] = {code << 1: member for code, member in enumerate(kind.members)}
            self._line(f"{x} = {table}[d[i]]")
            self._line("i += 1")
        return x

    def _read_array(self, kind: FieldType) -> str:
        x = self._variable()
        empty = "[]" if kind.mutable else "()"

        def append() -> None:
            self._line(f"{x}.append({self._read(kind.inner)})")

        self._read_blocks(x, empty, "[]", append)
        if not kind.mutable:
            self._line(f"{_INDENT}{x} = tuple({x})")
        return x

    def _read_map(self, kind: FieldType) -> str:
        x = self._variable()

        def put() -> None:
            key = self._read_text(FieldType(kind=Kind.STRING))
            self._line(f"{x}[{key}] = {self._read(kind.inner)}")

        self._read_blocks(x, "{}", "{}", put)
        return x

    def _read_blocks(self, x: str, empty: str, collection: str, read_item: Callable[[], None]) -> None:
        """Blocks of items up to the empty one. Most collections in the log are empty, most others one block."""
        count = self._variable()
        self._line("if not d[i]:")
        self._line(f"{_INDENT}{x} = {empty}")
        self._line(f"{_INDENT}i += 1")
        self._line("else:")
        self._depth += 1
        self._line(f"{x} = {collection}")
        self._line(f"{count}, i = count_of(d, i)")
        self._line(f"while {count}:")
        self._depth += 1
        self._line(f"for {self._variable()} in range({count}):")
        self._depth += 1
        read_item()
        self._depth -= 1
        self._line(f"{count}, i = (0, i + 1) if not d[i] else count_of(d, i)")
        self._depth -= 2
