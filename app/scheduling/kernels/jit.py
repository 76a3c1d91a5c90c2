"""How kernels are compiled, and how the same source runs uncompiled.

`@kernel` compiles a function at its first call and keeps the code on disk (code_cache.py). With NUMBA_DISABLE_JIT=1
in the environment nothing is compiled at all. `uncompiled(entry)` gives the plain Python form of a kernel and of all
kernels that it calls, for rounds that must not wait for the compiler.

A literal argument makes the compiler specialise the kernel and all below it for that value, so calls of large kernels
pass `wide(0)` instead of `0`.
"""

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np

from app.scheduling.kernels.code_cache import KernelCache, use_any_cpu

use_any_cpu()
P = ParamSpec("P")
T = TypeVar("T")
wide: Callable[[int], int] = np.int64  # type: ignore[assignment]
"""A literal as a plain number."""


def kernel(function: Callable[P, T]) -> Callable[P, T]:
    """Compiles without the interpreter lock, without bounds checks and without reordering of float operations."""
    compiled: Any = numba.njit(nogil=True, boundscheck=False, fastmath=False)(function)
    if not numba.config.DISABLE_JIT:
        compiled._cache = KernelCache(function)
    result: Callable[P, T] = compiled
    return result


def uncompiled(entry: Callable[P, T], replaced: Mapping[str, Callable[..., Any]] | None = None) -> Callable[P, T]:
    """The plain Python form of a kernel: every kernel in reach of it is replaced by its source.

    `replaced`: other functions to call instead of the kernels of these names (to see what a rule is good for).
    """
    plain: Callable[P, T] = _plain(entry, {}, replaced or {})
    return plain


def _plain(entry: Any, done: dict[int, Any], replaced: Mapping[str, Callable[..., Any]]) -> Any:
    source = getattr(entry, "py_func", entry)
    if id(source) in done:
        return done[id(source)]
    scope: dict[str, Any] = dict(source.__globals__)
    result = FunctionType(source.__code__, scope, source.__name__, source.__defaults__, source.__closure__)
    done[id(source)] = result
    for name in source.__code__.co_names:
        if name in replaced:
            scope[name] = replaced[name]
        elif hasattr(scope.get(name), "py_func"):
            scope[name] = _plain(scope[name], done, replaced)
    return result
