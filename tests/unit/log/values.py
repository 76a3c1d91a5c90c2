"""Hypothesis strategies for every value that is written to the log, drawn from the classes of app.domain themselves."""

import types
import typing
from enum import Enum
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

from app.domain.rows import JOB_HEAD, JobRow

LONGS = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-100, 20_000)
SURROGATES: tuple[Literal["Cs"]] = ("Cs",)
TEXTS = st.text(st.characters(exclude_categories=SURROGATES), max_size=40) | st.sampled_from(
    ["", "default", "ü€😀", "x" * 9_000]
)
BLOBS = st.binary(max_size=40) | st.just(bytes(9_000))
DOUBLES = st.floats(allow_nan=False)


def values_of(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Values of a class with every field drawn."""
    fields = {field.name: _of_hint(field.type) for field in msgspec.structs.fields(cls)}
    if cls is JobRow:
        fields["head"] = st.binary(min_size=JOB_HEAD.size, max_size=JOB_HEAD.size)
    return st.builds(cls, **fields)


def _of_hint(hint: Any) -> st.SearchStrategy[Any]:
    plain = {int: LONGS, str: TEXTS, bytes: BLOBS, bool: st.booleans(), float: DOUBLES}
    if hint in plain:
        return plain[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return st.lists(_of_hint(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXTS, _of_hint(arguments[1]), max_size=3)
    if origin in (types.UnionType, typing.Union):
        return st.none() | _of_hint(next(option for option in arguments if option is not types.NoneType))
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    return values_of(hint)
