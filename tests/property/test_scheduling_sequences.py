"""Rounds that follow each other: they come to rest, and what is kept between them changes no decision."""

import json
from random import Random
from typing import Any

import pytest

from app.scheduling.compiler import PLAIN
from app.scheduling.decisions_file import print_decisions
from app.scheduling.memory import Memory
from app.scheduling.round_file import parse_round
from app.scheduling.schedule import schedule
from tests.property.scheduling_compare import few_nodes_are
from tests.property.scheduling_pressed import pressed_document
from tests.property.scheduling_rerun import after, disturbed
from tests.property.scheduling_rounds import random_document
from tests.property.scheduling_wide import wide_document
from tests.property.test_scheduling_equality import MAKERS

Json = dict[str, Any]
REST_WITHIN = 10


def decide(document: Json, memory: Memory | None = None) -> bytes:
    round_ = parse_round(json.dumps(document))
    return print_decisions(round_, schedule(round_, PLAIN, memory))


@pytest.mark.parametrize("seed", range(120))
def test_a_pool_without_arrivals_comes_to_rest(seed: int) -> None:
    """After at most ten rounds nothing changes any more, and whoever runs then runs on."""
    document = (pressed_document, random_document)[seed % 2](10_000 + seed)
    document["config"] |= {"lookback": 1000, "decisionBudget": None}
    for time in range(REST_WITHIN + 1):
        decided = json.loads(decide(document))
        if not decided["scheduled"] and not decided["preempted"]:
            break
        document = after(document, decided, 100 + time)
    assert not decided["scheduled"]
    assert not decided["preempted"]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("part", range(3))
def test_what_is_kept_from_round_to_round_changes_no_decision(kind: str, part: int) -> None:
    for seed in range(20_000 + 20 * part, 20_000 + 20 * part + (2 if kind == "wide" else 20)):
        r, memory = Random(seed), Memory()
        document = MAKERS[kind](seed)
        with few_nodes_are(0):
            for time in range(5):
                cold = decide(document)
                assert decide(document, memory) == cold, f"{kind} {seed}, round {time}: {json.dumps(document)}"
                if time == 2:
                    assert decide(document, memory) == cold, "the same round once more"
                document = disturbed(after(document, json.loads(cold), 100 + time), r)


def test_memories_may_change_pools() -> None:
    memory = Memory()
    for seed in range(15):
        for make in (random_document, pressed_document, wide_document):
            document = make(seed)
            assert decide(document, memory) == decide(document)
