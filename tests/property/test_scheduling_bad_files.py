"""Bad round files: whatever value stands wherever, the answer is a round or one error with its path, no stack trace.

And bad rounds: an offender that is put into a good round is left out alone; everybody else is decided as without it.
"""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from app.scheduling.compiler import PLAIN
from app.scheduling.errors import RoundError
from app.scheduling.round_file import parse_round
from app.scheduling.round_print import print_round
from app.scheduling.schedule import schedule
from tests.property.scheduling_compare import decide
from tests.property.scheduling_pressed import pressed_document
from tests.property.scheduling_rounds import random_document
from tests.property.scheduling_wide import wide_document

Json = dict[str, Any]
WRONG: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**70, -(2**70), 1e308, 1e-320),
    *("", "a", "\0", "\ud800", "9" * 30, "1Gx", "-1", "x" * 5000, "default", "n0", "Exists"),
    *([], [None], [1], [""], [{}], [[]], ["n0", "n0"], {}, {"": 1}, {"cpu": "x"}, {"a": None}, {"name": "a"}),
]
FREE_NAMES = {
    *("labels", "capacity", "held", "requests", "nodeSelector", "penalty", "demand", "floatingResources"),
    *("maxFractionPerQueue", "fairShareResources", "maxFractionPerRound"),
}
"""Objects whose fields are named by whoever writes the file."""
GANG = {"id": "gx", "cardinality": 2}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document, its own parts included."""
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from places(child, (*path, name))


def put(document: Json, path: tuple[Any, ...], value: Any) -> Json:
    changed: Any = json.loads(json.dumps(document))
    target = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return dict(changed)


def told(document: Json) -> RoundError | None:
    """The error of a document; a round that is read is decided, printed and read again."""
    try:
        round_ = parse_round(json.dumps(document))
    except RoundError as error:
        return error
    schedule(round_, PLAIN)
    printed = print_round(round_)
    assert print_round(parse_round(printed)) == printed
    return None


@pytest.mark.parametrize("seed", range(60))
def test_a_wrong_value_anywhere_is_a_round_or_an_error_with_its_path(seed: int) -> None:
    r = Random(seed)
    make = r.choice([random_document, pressed_document])
    document = make(40_000 + seed)
    document["jobs"] = document["jobs"][:8]
    everywhere = list(places(document))
    errors = 0
    for path in r.sample(everywhere, min(25, len(everywhere))):
        for value in r.sample(WRONG, 8):
            error = told(put(document, path, value))
            if error is not None:
                errors += 1
                assert error.message
                # A lone half of a pair is no JSON at all; a node type that is gone is missed where it is named.
                elsewhere = "is not JSON" in error.message or "is not one of nodeTypes" in error.message
                assert elsewhere or error.path.startswith(str(path[0])), (path, value, str(error))
    assert errors


@pytest.mark.parametrize("seed", range(30))
def test_a_field_that_nobody_knows_is_named(seed: int) -> None:
    r = Random(seed)
    document = random_document(41_000 + seed)
    objects = [path for path in places(document) if isinstance(at(document, path), dict)]
    objects = [path for path in objects if not set(path) & FREE_NAMES]
    for path in r.sample(objects, min(10, len(objects))):
        error = told(put(document, (*path, "unheard"), 1))
        assert error is not None
        assert error.path.endswith(".unheard")


def at(document: Json, path: tuple[Any, ...]) -> Any:
    value: Any = document
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize("seed", range(40))
def test_a_cut_or_damaged_file_is_a_round_or_one_error(seed: int) -> None:
    r = Random(seed)
    data = json.dumps(random_document(42_000 + seed)).encode()
    for _ in range(20):
        place = r.randrange(len(data))
        damaged = r.choice([data[:place], data[:place] + bytes([r.randrange(256)]) + data[place + 1 :]])
        try:
            round_ = parse_round(damaged)
        except RoundError:
            continue
        schedule(round_, PLAIN)


def offenders(document: Json) -> list[list[Json]]:
    """Jobs that a round must leave out, one at a time (two for what only a pair does wrong)."""
    like = {"queue": document["queues"][0]["name"], "requests": {"cpu": 1}, "priorityClass": "low", "priority": -5}
    node = document["nodes"][0]["name"]
    return [
        [like | {"id": "x", "queue": "nowhere"}],
        [like | {"id": "x", "priorityClass": "nobody"}],
        [like | {"id": "x", "requests": {"cpu": -1}}],
        [like | {"id": "x", "requests": {"never": "-1Gi", "cpu": 1}}],
        [like | {"id": "x", "run": {"node": "vanished"}}],
        [like | {"id": "x", "run": {"node": node}, "requests": {"cpu": -9}}],
        [like | {"id": f"x{n}", "gang": GANG | {"cardinality": n}} for n in (2, 3)],
        [like | {"id": f"x{n}", "gang": GANG} for n in range(3)],
        [like | {"id": f"x{n}", "gang": GANG, "priorityClass": name} for n, name in enumerate(("low", "top"))],
        [like | {"id": f"x{n}", "gang": GANG | {"uniformityLabel": label}} for n, label in enumerate(("zone", "size"))],
    ]


@pytest.mark.parametrize("seed", range(25))
def test_an_offender_is_quarantined_alone(seed: int) -> None:
    document = pressed_document(43_000 + seed)
    document["config"].pop("lookback", None)
    before = decide(document, PLAIN)
    for group in offenders(document):
        after = decide(document | {"jobs": [*document["jobs"], *group]}, PLAIN)
        names = {each["id"] for each in group}
        assert {each["job"] for each in after["quarantined"]} == names
        assert all(each["reason"] for each in after["quarantined"])
        assert after | {"quarantined": []} == before | {"quarantined": []}, [*names]


def test_a_node_with_an_absurd_amount_is_left_out_alone() -> None:
    document = wide_document(44_000)
    for wrong in ({"capacity": {"cpu": -1}}, {"capacity": {"cpu": 1}, "held": {"memory": "-1Gi"}}):
        bad = {"name": "bad", "cluster": "c0", "labels": {}, **wrong}
        after = decide(document | {"nodes": [*document["nodes"], bad]}, PLAIN)
        before = decide(document, PLAIN)
        assert [each["node"] for each in after["quarantined"] if "node" in each] == ["bad"]
        for part in ("scheduled", "preempted", "queues", "limiter", "considered"):
            assert after[part] == before[part]
