"""What a round decides against what brute force decides, and the smallest round that still differs."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from app.scheduling import arrays, ways
from app.scheduling.compiler import Kernels, plain_kernels
from app.scheduling.decisions_file import print_decisions
from app.scheduling.kernels import best_fit, fair_preemption, node_index, placing, rooms
from app.scheduling.round_file import parse_round
from app.scheduling.schedule import schedule
from tests.property.scheduling_reference import reference_decisions
from tests.property.scheduling_rules import amounts

Json = dict[str, Any]
SHARES = ("fairShare", "cappedShare", "uncappedShare", "demandShare", "actualShareBefore", "actualShareAfter")
TABLES = ("jobs", "nodes", "queues", "clusters", "priorityClasses", "nodeTypes")
SHRINKS_MAX = 400
SMALL = {"BLOCK": 4, "FILL": 3, "RING": 16, "CATCH_UP": 6, "FREED_RING": 4, "HEAP_SPARE": 1, "SCANNED_MAX": 2}
MODULES = (arrays, best_fit, fair_preemption, node_index, placing, rooms)


@contextmanager
def few_nodes_are(count: int) -> Iterator[None]:
    """Rounds of tests have few nodes, which are looked at one by one up to this many; with 0 the index has them all."""
    standard, ways.PINNED_MAX = ways.PINNED_MAX, count
    try:
        yield
    finally:
        ways.PINNED_MAX = standard


@contextmanager
def small_parts(*, walks: bool = False) -> Iterator[Kernels]:
    """Uncompiled kernels with blocks of four nodes and short memories, which small rounds fill, split and overflow.

    `walks`: there is no room for heaps, so balancing walks over the evicted jobs.
    """
    small = SMALL | {"HEAP_ENTRIES_MAX": 0} if walks else SMALL
    before = [(module, name, getattr(module, name)) for module in MODULES for name in small if hasattr(module, name)]
    for module, name, _ in before:
        setattr(module, name, small[name])
    try:
        yield plain_kernels()
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def decide(document: Json, kernels: Kernels | None = None, *, listed: int = 0) -> Json:
    """The decisions document, and `considered`. `listed`: sets of so many nodes are lists and not in the index."""
    with few_nodes_are(listed):
        round_ = parse_round(json.dumps(document))
        decisions = schedule(round_, kernels)
        decided: Json = json.loads(print_decisions(round_, decisions))
    return decided | {"considered": decisions.considered}


def in_terms_of_brute_force(decided: Json) -> Json:
    """Decisions in the form of `reference_decisions`."""
    waits = decided["unschedulable"]
    return {
        "scheduled": decided["scheduled"],
        "fits": {e["job"]: (e["node"], e["scheduledAtPriority"], e["method"]) for e in decided["scheduled"]},
        "preempted": {each["job"]: (each["reason"], each["by"]) for each in decided["preempted"]},
        "unschedulable": {each["job"]: each["reason"] for each in waits},
        "quarantined": {each.get("job", each.get("node")) for each in decided["quarantined"]},
        "shares": {each["name"]: tuple(each[name] for name in SHARES) for each in decided["queues"]},
        "fairness": decided["fairness"],
        "tokens": (decided["limiter"] or {"tokens": None})["tokens"],
        "why": {each["job"]: (each["nodes"], amounts(each["shortfall"])) for each in waits if "nodes" in each},
        "considered": decided["considered"],
    }


def difference(document: Json, kernels: Kernels | None = None, *, listed: int = 0) -> str:
    """What the core decides otherwise than brute force, one line a part; empty when all is equal."""
    expected = reference_decisions(json.loads(json.dumps(document)))
    try:
        found = in_terms_of_brute_force(decide(document, kernels, listed=listed))
    except (IndexError, ZeroDivisionError, ValueError) as error:
        return f"the core raises {error!r}"
    parts = [part for part in expected if found[part] != expected[part]]
    return "\n".join(f"{part}:\n  core      {found[part]}\n  reference {expected[part]}" for part in parts)


def smallest(document: Json, differs: Callable[[Json], bool]) -> Json:
    """Leaves out of a round that differs what it can do without, rows first, then fields."""
    tries = 0
    shrunk = True
    while shrunk and tries < SHRINKS_MAX:
        shrunk = False
        for change in _reductions(document):
            tries += 1
            if tries < SHRINKS_MAX and _still(change, differs):
                document, shrunk = change, True
                break
    return document


def _still(document: Json, differs: Callable[[Json], bool]) -> bool:
    """A round that is no round any more (a row too few) does not count."""
    try:
        return differs(document)
    except (ValueError, KeyError, IndexError, StopIteration):
        return False


def _reductions(document: Json) -> Iterator[Json]:
    for table in TABLES:
        rows = document.get(table, [])
        for size in (len(rows) // 2, 1):
            for at in range(0, len(rows), size or 1):
                if size:
                    yield document | {table: rows[:at] + rows[at + size :]}
    for name in [*document.get("config", {})]:
        yield document | {"config": {key: value for key, value in document["config"].items() if key != name}}
    for name in ("limiter", "floatingResources", "clusters"):
        if name in document:
            yield {key: value for key, value in document.items() if key != name}
    for table in TABLES:
        for at, row in enumerate(document.get(table, [])):
            for name in row:
                if name not in ("name", "id", "queue", "requests", "capacity", "cluster", "priority", "submitted"):
                    less = {key: value for key, value in row.items() if key != name}
                    yield document | {table: [*document[table][:at], less, *document[table][at + 1 :]]}
