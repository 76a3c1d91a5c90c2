"""Which form of the kernels a round runs with: compiled, or the same source as plain Python.

Rounds run uncompiled until `compile_now` is done, which takes a while with a cold cache on disk: a process calls
`schedule.compile_kernels()` at its start, in a thread of its own if nothing may wait for it. The decisions are the
same. With NUMBA_DISABLE_JIT=1 in the environment everything runs uncompiled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numba

from app.scheduling.kernels import entry, survey
from app.scheduling.kernels.code_cache import is_complete, mark_complete
from app.scheduling.kernels.jit import uncompiled
from app.scheduling.kernels.reference import same, table_of
from app.scheduling.kernels.state import I32, I64, U8, State


@dataclass(frozen=True, slots=True)
class Handle:
    """A state as kernels take it: `argument`, good for as long as this object lives."""

    argument: Any
    keeps: tuple[State, I64 | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """The entry points, in one of their forms. `handle` makes of a state what the others take for it."""

    handle: Callable[[State], Handle]
    add_up: Callable[[I32, I32, U8, U8, U8, I64, I64, I64, I64, I64], None]
    note_held: Callable[[U8, I32, I32, I64, U8], None]
    may_go: Callable[[U8, I32, I32, I32, U8, U8, U8], None]
    values_of: Callable[[I32, U8, I32], int]
    rank_runs: Callable[[U8, I32, I64, I32, U8, I64, I64, I64], int]
    fill_rooms: Callable[[I64, I64, I64, U8, I32, I32, U8, I64], None]
    balance_and_schedule: Callable[[Any, I64, I64, bool], I64]
    repair: Callable[[Any, I64, bool], int]
    check_alone: Callable[[Any, I64, I64], None]


def _by_address(state: State) -> Handle:
    table = table_of(state)
    return Handle(table.ctypes.data, (state, table))


def _by_itself(state: State) -> Handle:
    return Handle(state, (state, None))


COMPILED = Kernels(
    handle=_by_itself if numba.config.DISABLE_JIT else _by_address,
    add_up=survey.add_up,
    note_held=survey.note_held,
    may_go=survey.may_go,
    values_of=survey.values_of,
    rank_runs=survey.rank_runs,
    fill_rooms=survey.fill_rooms,
    balance_and_schedule=entry.balance_and_schedule,
    repair=entry.repair,
    check_alone=entry.check_alone,
)


def plain_kernels(replaced: Mapping[str, Callable[..., Any]] | None = None) -> Kernels:
    """The uncompiled form, with some kernels replaced by other functions."""
    others = {"state_at": same, **(replaced or {})}
    return Kernels(
        handle=_by_itself,
        add_up=uncompiled(survey.add_up, others),
        note_held=uncompiled(survey.note_held, others),
        may_go=uncompiled(survey.may_go, others),
        values_of=uncompiled(survey.values_of, others),
        rank_runs=uncompiled(survey.rank_runs, others),
        fill_rooms=uncompiled(survey.fill_rooms, others),
        balance_and_schedule=uncompiled(entry.balance_and_schedule, others),
        repair=uncompiled(entry.repair, others),
        check_alone=uncompiled(entry.check_alone, others),
    )


PLAIN = plain_kernels()
_current: list[Kernels] = [PLAIN]


def compile_now(warm_up: Callable[[Kernels], object]) -> None:
    """Compiles by running `warm_up` with the compiled kernels; then rounds use them."""
    warm_up(COMPILED)
    _current[0] = COMPILED
    if not numba.config.DISABLE_JIT and not is_complete():
        mark_complete()


def current_kernels() -> Kernels:
    """The form that a round that begins now should use."""
    return _current[0]
