"""Which form of the kernels runs when."""

import pytest

from app.scheduling import compiler
from app.scheduling.compiler import COMPILED, PLAIN, Kernels, compile_now, current_kernels
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
