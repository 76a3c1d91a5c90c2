"""Every rule of the scheduling core is needed: without it, a round is decided otherwise.

Each mutation changes one rule and names a round that shows it: a random one (kind and seed, as in
test_scheduling_equality) or a directed one. Those suites compare that very round with brute force, so they would find
the mutation. `python -m tests.property.test_scheduling_mutations` looks for rounds for those that name none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.scheduling.compiler import PLAIN, Kernels
from tests.property import scheduling_mutations_index, scheduling_mutations_input, scheduling_mutations_loop
from tests.property.scheduling_compare import decide, small_parts
from tests.property.scheduling_mutants import Mutation, mutant
from tests.property.test_scheduling_cases import CASES
from tests.property.test_scheduling_equality import MAKERS, SEEDS, submit_check

Json = dict[str, Any]
MUTATIONS = [
    *scheduling_mutations_input.MUTATIONS,
    *scheduling_mutations_loop.MUTATIONS,
    *scheduling_mutations_index.MUTATIONS,
]


def named(mutation: Mutation) -> str:
    function: Any = getattr(mutation.of, "py_func", mutation.of)
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}: {mutation.old} -> {mutation.new}"


def round_of(shown_by: tuple[str, int] | str) -> Json:
    if isinstance(shown_by, str):
        return CASES[shown_by]()
    kind, _, how = shown_by[0].partition("+")
    document = MAKERS[kind](shown_by[1])
    return submit_check(document) if how == "check" else document


@contextmanager
def parts_of(mutation: Mutation) -> Iterator[Kernels]:
    """The kernels that the mutation shows in: "+small": blocks and memories are small; "+walk": no heaps besides."""
    how = mutation.shown_by[0].partition("+")[2]
    if how in ("small", "walk"):
        with small_parts(walks=how == "walk") as kernels:
            yield kernels
    else:
        yield PLAIN


def outcome(document: Json, kernels: Kernels) -> Any:
    """The decisions, or how the mutant fails."""
    try:
        return decide(document, kernels)
    except (IndexError, ValueError, ZeroDivisionError, OverflowError) as error:
        return repr(error)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=named)
def test_without_the_rule_a_round_is_decided_otherwise(mutation: Mutation) -> None:
    document = round_of(mutation.shown_by)
    with parts_of(mutation) as original:
        expected = decide(document, original)
        with mutant(mutation) as kernels:
            assert outcome(document, kernels) != expected


def test_the_rounds_that_show_mutations_are_compared_with_brute_force() -> None:
    counts = dict(SEEDS)
    seeds = [each.shown_by for each in MUTATIONS if isinstance(each.shown_by, tuple)]
    assert all(seed < counts[kind] for kind, seed in seeds if "+" not in kind)


def search(limit: int) -> None:
    """Prints for each mutation without a round the first random round that shows it."""
    left = [mutation for mutation in MUTATIONS if not mutation.shown_by]
    for seed in range(limit):
        for kind, make in MAKERS.items():
            document = make(seed)
            expected = decide(document, PLAIN)
            for mutation in list(left):
                with mutant(mutation) as kernels:
                    if outcome(document, kernels) != expected:
                        print(named(mutation), (kind, seed), flush=True)
                        left.remove(mutation)
    print("without a round:", *map(named, left), sep="\n  ")


if __name__ == "__main__":
    search(int(sys.argv[1]))
