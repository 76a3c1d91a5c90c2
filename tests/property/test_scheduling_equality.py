"""Every decision, reason, cause, share and explanation is what brute force says, on thousands of random rounds.

The seeds are these ranges, the same in every run; `python -m tests.property.test_scheduling_equality KIND FIRST COUNT`
looks at others. A round that differs is printed with its seed, and the smallest round like it.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from app.scheduling.compiler import COMPILED, PLAIN, Kernels
from app.scheduling.ways import PINNED_MAX
from tests.property.scheduling_compare import difference, small_parts, smallest
from tests.property.scheduling_pressed import pressed_document
from tests.property.scheduling_rounds import random_document
from tests.property.scheduling_wide import wide_document

Json = dict[str, Any]
MAKERS: dict[str, Callable[[int], Json]] = {
    "mixed": random_document,
    "pressed": pressed_document,
    "wide": wide_document,
}
SEEDS = [("mixed", 1500), ("pressed", 1500), ("wide", 120)]
STEP = {"mixed": 300, "pressed": 300, "wide": 40}
UNCOMPILED = [("mixed", 5000, 60), ("pressed", 5000, 60), ("wide", 5000, 6)]
CHUNKS = [(kind, first, STEP[kind]) for kind, count in SEEDS for first in range(0, count, STEP[kind])]


def submit_check(document: Json) -> Json:
    return document | {"config": document["config"] | {"submitCheck": True}}


def assert_equal(kind: str, first: int, count: int, kernels: Kernels, change: Callable[[Json], Json] = dict) -> None:
    """Two of three rounds with the index, the third with its nodes looked at one by one."""
    for seed in range(first, first + count):
        listed = PINNED_MAX if seed % 3 == 0 else 0
        document = change(MAKERS[kind](seed))

        def differs(other: Json, listed: int = listed) -> bool:
            return bool(difference(other, kernels, listed=listed))

        if differs(document):
            told = difference(document, kernels, listed=listed)
            less = smallest(document, differs)
            pytest.fail(
                f"round {kind} {seed} (nodes in lists up to {listed}):\n{json.dumps(document)}\n{told}\n"
                f"smallest round:\n{json.dumps(less)}\n{difference(less, kernels, listed=listed)}"
            )


@pytest.mark.parametrize(("kind", "first", "count"), CHUNKS)
def test_compiled_kernels_decide_what_brute_force_decides(kind: str, first: int, count: int) -> None:
    print(f"rounds {kind} {first} to {first + count - 1}")
    assert_equal(kind, first, count, COMPILED)


@pytest.mark.parametrize(("kind", "first", "count"), UNCOMPILED)
def test_uncompiled_kernels_decide_what_brute_force_decides(kind: str, first: int, count: int) -> None:
    print(f"rounds {kind} {first} to {first + count - 1}")
    assert_equal(kind, first, count, PLAIN)


@pytest.mark.parametrize(("kind", "first", "count"), [("mixed", 0, 60), ("pressed", 0, 300), ("wide", 0, 12)])
def test_small_blocks_and_short_memories_decide_what_brute_force_decides(kind: str, first: int, count: int) -> None:
    print(f"rounds {kind} {first} to {first + count - 1}")
    with small_parts() as kernels:
        assert_equal(kind, first, count, kernels)
    with small_parts(walks=True) as kernels:
        assert_equal(kind, first, count // 2, kernels)


@pytest.mark.parametrize(("kind", "first", "count"), [("mixed", 7000, 200), ("pressed", 7000, 150), ("wide", 7000, 10)])
def test_submit_checks_say_what_brute_force_says(kind: str, first: int, count: int) -> None:
    print(f"rounds {kind} {first} to {first + count - 1}")
    assert_equal(kind, first, count, COMPILED, submit_check)


if __name__ == "__main__":
    assert_equal(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), COMPILED)
