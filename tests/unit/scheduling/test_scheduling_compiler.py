"""Which form of the kernels runs when."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from app.scheduling import compiler
from app.scheduling.compiler import COMPILED, PLAIN, Kernels, compile_now, current_kernels
from app.scheduling.schedule import compile_kernels
from tests.unit.scheduling.cases import decide, document, jobs, node, places


def test_rounds_run_uncompiled_until_the_compiler_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_current", [PLAIN])
    seen: list[Kernels] = []

    def warm_up(kernels: Kernels) -> None:
        seen.append(kernels)
        assert current_kernels() is PLAIN, "rounds go on meanwhile"
        assert len(places(decide(document([node("n", cpu=2)], jobs(3))))) == 2

    compile_now(warm_up)
    assert seen == [COMPILED]
    assert current_kernels() is COMPILED


def test_compiling_uses_every_kernel_so_that_no_round_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[str] = set()

    def noted(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            used.add(name)
            return getattr(PLAIN, name)(*arguments)

        return call

    names = {field.name for field in fields(Kernels)}
    monkeypatch.setattr(compiler, "COMPILED", Kernels(**{name: noted(name) for name in names}))
    monkeypatch.setattr(compiler, "_current", [PLAIN])
    monkeypatch.setattr(compiler, "is_complete", lambda: True)
    compile_kernels()
    assert used == names
