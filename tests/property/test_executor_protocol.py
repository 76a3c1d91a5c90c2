"""The executor's protocol under random interleavings: with all rules no walk goes wrong, without any one of them some
walk does.

A failing walk is replayed by its seed: `walk(SEED)` of tests/property/protocol_model/world.py. Longer searches:
ARGOSY_PROTOCOL_WALKS=5000."""

import os
from collections.abc import Iterator

import pytest

from tests.property.protocol_model.mutations import MUTATIONS, without
from tests.property.protocol_model.world import Walk, walk

WALKS = int(os.environ.get("ARGOSY_PROTOCOL_WALKS", "200"))
FIRST_SEED = int(os.environ.get("ARGOSY_PROTOCOL_FIRST_SEED", "0"))
MUTATION_WALKS_MAX = 2_000
"""so many walks are tried when the recorded one does not find a missing rule (any more: the model or the rules have
changed)"""
BATCH = 25


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + WALKS, BATCH))
def test_with_all_rules_no_walk_goes_wrong(first: int) -> None:
    ends = [walk(seed) for seed in range(first, first + BATCH)]
    assert [end for end in ends if end.finding is not None] == []


def seeds(recorded: int) -> Iterator[int]:
    """The recorded seed first."""
    yield recorded
    yield from range(MUTATION_WALKS_MAX)


@pytest.mark.parametrize("rule", MUTATIONS)
def test_without_any_one_rule_some_walk_goes_wrong(rule: str) -> None:
    mutation = MUTATIONS[rule]
    found: Walk | None = None
    with without(rule) as off:
        for seed in seeds(mutation.seed):
            end = walk(seed, off=off, rest_steps_max=8_000)
            if end.finding is not None and mutation.finding in end.finding:
                found = end
                break
    assert found is not None, f"no walk misses the rule {rule!r} ({mutation.source})"
    assert walk(found.seed).finding is None, "the same walk goes well with the rule"


def test_a_walk_is_the_same_every_time() -> None:
    assert [walk(seed) for seed in (3, 4)] == [walk(seed) for seed in (3, 4)]
