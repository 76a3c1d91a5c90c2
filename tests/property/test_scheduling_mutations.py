"""Rules of the kernels that a crowded round shows: without the rule, the decisions are others.

Each case replaces one kernel by a simpler function and names a crowded round (tests.property.scheduling_pressed) in
which that shows. `python -m tests.property.test_scheduling_mutations` looks for such rounds anew.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from app.scheduling.compiler import PLAIN, Kernels, plain_kernels
from app.scheduling.decisions_file import print_decisions
from app.scheduling.kernels import placing, rooms
from app.scheduling.kernels.jit import uncompiled
from app.scheduling.kernels.state import State
from app.scheduling.round_file import parse_round
from app.scheduling.schedule import schedule
from tests.property.scheduling_pressed import pressed_document

PREEMPT, RETURN = uncompiled(rooms.preempt), uncompiled(placing.return_unit)


def nothing(*_: Any) -> None:
    """Instead of a kernel that only notes something."""


def yes(*_: Any) -> bool:
    return True


def own_level(st: State, job: int) -> int:
    """Jobs that may not be preempted count at their own level only."""
    return int(st.level[job])


def alone(st: State, job: int, by: int, low: int, high: int) -> None:
    """Preempts a job and leaves its gang."""
    PREEMPT(st, job, by, 0, low, high)


def at_own_level(st: State, job: int, _: int) -> bool:
    """The repair looks at the level of each job only."""
    return RETURN(st, job, -1)


MUTATIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "_preempt_unit": (alone, 0),
    "_return_all": (nothing, 5),
    "set_cluster": (nothing, 15),
    "top_level": (own_level, 83),
    "return_unit": (at_own_level, 267),
    "_has_capacity": (yes, 689),
}


def decide(seed: int, kernels: Kernels) -> bytes:
    round_ = parse_round(json.dumps(pressed_document(seed)))
    try:
        return print_decisions(round_, schedule(round_, kernels))
    except (IndexError, FloatingPointError) as error:
        return repr(error).encode()


@pytest.mark.parametrize("name", MUTATIONS)
def test_without_the_rule_the_decisions_are_others(name: str) -> None:
    function, seed = MUTATIONS[name]
    assert decide(seed, plain_kernels({name: function})) != decide(seed, PLAIN)


def search(limit: int) -> None:
    """Prints for each mutation the first rounds that it changes."""
    mutants = {name: plain_kernels({name: function}) for name, (function, _) in MUTATIONS.items()}
    for seed in range(limit):
        expected = decide(seed, PLAIN)
        for name, kernels in list(mutants.items()):
            if decide(seed, kernels) != expected:
                print(name, seed, flush=True)
                del mutants[name]
    print("without a round:", *mutants)


if __name__ == "__main__":
    search(int(sys.argv[1]))
