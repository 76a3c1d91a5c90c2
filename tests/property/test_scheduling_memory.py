"""What is kept between the rounds of a pool makes no difference: every round is decided as by a fresh start."""

import copy
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduling import memory as memory_module
from app.scheduling.decisions import Decisions
from app.scheduling.decisions_file import print_decisions
from app.scheduling.memory import COPIED_MAX, Memory
from app.scheduling.round import Round
from app.scheduling.round_file import parse_round
from app.scheduling.schedule import schedule
from tests.property.scheduling_pressed import pressed_document
from tests.property.scheduling_rounds import random_document

Json = dict[str, Any]
SEEDS = st.integers(min_value=0, max_value=2**48)
MAKERS = st.sampled_from((random_document, pressed_document))


def changed(document: Json, random: Random) -> Json:
    """A later round of the same pool: little, much or nothing is different."""
    later = copy.deepcopy(document)
    for change in random.sample(("jobs", "nodes", "queues", "config", "cordon", "labels"), random.choice([0, 1, 1, 2])):
        if change == "jobs":
            later["jobs"] = [job for job in later["jobs"] if random.random() < 0.8]
        elif change == "nodes" and later["nodes"]:
            gone = later["nodes"].pop()["name"]
            later["jobs"] = [job for job in later["jobs"] if (job.get("run") or {}).get("node") != gone]
        elif change == "queues":
            later["limiter"] = {"tokens": random.randint(1, 9), "burst": 9}
        elif change == "config":
            later.setdefault("config", {})["protectedFractionOfFairShare"] = random.choice([0.0, 0.5, 1.0])
        elif not later["nodes"]:
            continue
        elif change == "cordon":
            random.choice(later["nodes"])["unschedulable"] = random.random() < 0.5
        elif change == "labels":
            random.choice(later["nodes"]).setdefault("labels", {})["rack"] = random.choice(["r1", "r2"])
    return later


def text(round_: Round, decisions: Decisions) -> bytes:
    return print_decisions(round_, decisions)


@settings(max_examples=120, deadline=None)
@given(MAKERS, SEEDS)
def test_rounds_with_a_memory_are_decided_as_without(make: Any, seed: int) -> None:
    random, memory = Random(seed), Memory()
    document = make(seed)
    for _ in range(4):
        round_ = parse_round(json.dumps(document))
        assert text(round_, schedule(round_, memory=memory)) == text(round_, schedule(round_))
        document = changed(document, random)


@settings(max_examples=60, deadline=None)
@given(MAKERS, SEEDS, st.sampled_from((0, COPIED_MAX)))
def test_the_same_round_again_is_decided_alike_and_the_answers_stay_readable(make: Any, seed: int, most: int) -> None:
    """Of rounds that are large, nothing is kept before they come a second time."""
    round_, memory = parse_round(json.dumps(make(seed))), Memory()
    expected = text(round_, schedule(round_))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_module, "COPIED_MAX", most)
        answers = [schedule(round_, memory=memory) for _ in range(4)]
    assert text(round_, schedule(round_, memory=memory)) == expected
    assert [text(round_, answer) for answer in answers] == [expected] * 4
