"""When a process that ended is started again."""

import pytest

from app.admin.plan import PAUSE_MAX_S, QUICK_PAUSE_S, QUICK_STARTS_MAX, Verdict, restart_of
from app.streams.exits import Exit


@pytest.mark.parametrize("code", [Exit.FAILED, Exit.OUTLIVED, Exit.UNCOMMITTED, Exit.LOCKED])
def test_a_worker_that_stopped_itself_to_recover_is_started_at_once(code: Exit) -> None:
    restart = restart_of(code, quick_ends=1)
    assert restart.verdict is Verdict.RESTART
    assert restart.pause_s == QUICK_PAUSE_S


@pytest.mark.parametrize("code", [Exit.HOLE, Exit.REFUSED])
def test_a_code_that_no_start_can_mend_halts_with_a_reason(code: Exit) -> None:
    restart = restart_of(code, quick_ends=1)
    assert restart.verdict is Verdict.HALT
    assert restart.reason


@pytest.mark.parametrize("code", [-9, -15, 0, 1, 2])
def test_another_end_is_followed_by_pauses_that_double_up_to_ten_seconds(code: int) -> None:
    pauses = [restart_of(code, quick_ends=quick_ends).pause_s for quick_ends in range(1, 9)]
    assert pauses[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert set(pauses[5:]) == {PAUSE_MAX_S}
    assert restart_of(code, quick_ends=100_000).pause_s == PAUSE_MAX_S


def test_stopping_itself_again_and_again_costs_longer_and_longer_pauses_too() -> None:
    assert restart_of(70, quick_ends=QUICK_STARTS_MAX).pause_s == QUICK_PAUSE_S
    assert restart_of(70, quick_ends=QUICK_STARTS_MAX + 5).pause_s == PAUSE_MAX_S


def test_a_process_that_is_run_once_is_done_when_it_ends() -> None:
    assert restart_of(0, quick_ends=1, restart=False).verdict is Verdict.DONE
    assert restart_of(1, quick_ends=1, restart=False).verdict is Verdict.DONE
