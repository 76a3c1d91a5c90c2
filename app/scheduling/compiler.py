"""Which form of the kernels a round runs with: compiled, or the same source as plain Python.

Rounds run uncompiled until `compile_now` is done, which takes a while with a cold cache on disk: a process calls
`schedule.compile_kernels()` at its start, in a thread of its own if nothing may wait for it. The decisions are the
same. With NUMBA_DISABLE_JIT=1 in the environment everything runs uncompiled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from app.scheduling.kernels import entry
from app.scheduling.kernels.jit import uncompiled
from app.scheduling.kernels.passes import Lists
from app.scheduling.kernels.reference import reference_to
from app.scheduling.kernels.state import I32, I64, State

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """The entry points, in one of their forms."""

    fill_rooms: Callable[[I64, I64, I64, I32, I32, I32], None]
    balance_and_schedule: Callable[[State, Lists, I64, bool], int]
    repair: Callable[[State, Lists, I64, bool], int]
    find_overdrawn: Callable[[State, I64], I64]
    check_alone: Callable[[State, Lists, I64, I64], None]


def _with_reference(kernel: Callable[..., T]) -> Callable[..., T]:
    """A kernel that takes the state, called with a reference to it."""
    return lambda state, *others: kernel(reference_to(state), *others)


COMPILED = Kernels(
    fill_rooms=entry.fill_rooms,
    balance_and_schedule=_with_reference(entry.balance_and_schedule),
    repair=_with_reference(entry.repair),
    find_overdrawn=_with_reference(entry.find_overdrawn),
    check_alone=_with_reference(entry.check_alone),
)


def plain_kernels(replaced: Mapping[str, Callable[..., object]] | None = None) -> Kernels:
    """The uncompiled form, with some kernels replaced by other functions."""
    return Kernels(
        fill_rooms=uncompiled(entry.fill_rooms, replaced),
        balance_and_schedule=uncompiled(entry.balance_and_schedule, replaced),
        repair=uncompiled(entry.repair, replaced),
        find_overdrawn=uncompiled(entry.find_overdrawn, replaced),
        check_alone=uncompiled(entry.check_alone, replaced),
    )


PLAIN = plain_kernels()
_current: list[Kernels] = [PLAIN]


def compile_now(warm_up: Callable[[Kernels], object]) -> None:
    """Compiles by running `warm_up` with the compiled kernels; then rounds use them."""
    warm_up(COMPILED)
    _current[0] = COMPILED


def current_kernels() -> Kernels:
    """The form that a round that begins now should use."""
    return _current[0]
