"""Mutants: the scheduling core with one rule changed, to see that some round shows it."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from app.scheduling.compiler import Kernels, plain_kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """In `of`, the text `old` (it stands there once) becomes `new`. `shown_by`: the round that is decided otherwise."""

    of: Callable[..., Any]
    old: str
    new: str
    shown_by: tuple[str, int] | str


Row = tuple[Callable[..., Any], str, str, tuple[str, int] | str]
"""A mutation on one line: of, old, new, shown by."""


def mutations(rows: list[Row]) -> list[Mutation]:
    return [Mutation(of=of, old=old, new=new, shown_by=shown_by) for of, old, new, shown_by in rows]


@contextmanager
def mutant(mutation: Mutation) -> Iterator[Kernels]:
    """Uncompiled kernels of the changed core. The change lasts as long as the context: functions get other code."""
    function: Any = inspect.unwrap(getattr(mutation.of, "py_func", mutation.of))
    if isinstance(function, property | classmethod):
        raise TypeError(f"{function} is no plain function")
    before = function.__code__
    function.__code__ = _changed(function, mutation)
    try:
        yield plain_kernels()
    finally:
        function.__code__ = before


def _changed(function: FunctionType, mutation: Mutation) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(mutation.old) != 1:
        raise ValueError(f"{function.__qualname__} has {mutation.old!r} {source.count(mutation.old)} times, not once")
    source = source.replace(mutation.old, mutation.new)
    source = source[source.index("def ") :]
    scope: dict[str, Any] = {}
    exec(compile(source, inspect.getfile(function), "exec"), dict(function.__globals__), scope)
    changed = scope[function.__name__]
    assert isinstance(changed, FunctionType)
    return changed.__code__
