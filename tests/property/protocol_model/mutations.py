"""Each rule, switched off by name: the walks must then find why it is there.

A rule of the executor is a function of app/executor/rules.py and is replaced by one that always gives the careless
answer; a rule of the queue agent, the leaders, the API or the executor's shell is a name in `off`. `seed` is one
whose walk is known to find the rule missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.executor import rules
from app.executor.desired import Run, Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A rule that can be switched off. source: where it is written down; function: its name in app/executor/rules.py,
    if it is there. with_off: a second rule that guards the same thing, switched off too; `finding` is then what only
    both together allow."""

    source: str
    seed: int
    function: str | None = None
    careless: Callable[..., object] | None = None
    with_off: str | None = None
    finding: str = ""


def _seen_as_absent(run: Run, *_: object) -> bool:
    return not run.creates_in_flight and (run.deleted_ms is not None or run.absent_ms is not None)


def _told_as_lease(run: Run) -> bool:
    return run.told is Told.LEASE and run.created_ms is None and run.refused is None


MUTATIONS: dict[str, Mutation] = {
    "mark before deleting": Mutation(
        source="rule 4, X7",
        seed=546,
        function="must_be_marked",
        careless=lambda *_: False,
        finding="logged as lost",
    ),
    "drop answers that are behind": Mutation(
        source="rule 2", seed=84, function="answer_is_behind", careless=lambda *_: False
    ),
    "wait for displaced runs": Mutation(
        source="rule 2", seed=1, function="displaced_are_gone", careless=lambda *_: True
    ),
    "displaced runs were told of": Mutation(source="rule 2", seed=93, function="has_told_of", careless=lambda *_: True),
    "create at most once": Mutation(source="rule 2", seed=0, function="may_be_created", careless=_told_as_lease),
    "lost pods end their run": Mutation(
        source="rule 3", seed=419, function="lost_pod_ends_run", careless=lambda *_: False
    ),
    "ask for full answers": Mutation(source="rule 3", seed=22),
    "positive evidence": Mutation(
        source="DESIGN.md 7",
        seed=87,
        function="log_has_ended",
        careless=lambda *_: True,
        with_off="offer only after BeginInstance",
        finding="nobody ended it",
    ),
    "forget only what has ended": Mutation(
        source="rule 3", seed=0, function="may_be_forgotten", careless=lambda *_: True
    ),
    "last words wait for creates": Mutation(
        source="rule 4", seed=23, function="certain_from_ms", careless=lambda *_: 0
    ),
    "last words are certain": Mutation(
        source="rule 4", seed=9, function="absence_is_certain", careless=_seen_as_absent
    ),
    "delete first, report after": Mutation(
        source="rule 4", seed=4, function="trouble_is_said_while_pod_lives", careless=lambda: True
    ),
    "keep finished pods": Mutation(source="rule 5", seed=491, function="finished_pod_may_go", careless=lambda *_: True),
    "act only with the lock": Mutation(
        source="DESIGN.md 7", seed=328, function="lock_allows_acting", careless=lambda *_: True
    ),
    "refuse old instances": Mutation(source="rule 1", seed=88),
    "an instance begins once": Mutation(source="rule 1", seed=2216),
    "offer only after BeginInstance": Mutation(source="rule 1", seed=16),
    "refuse leases while a run stops": Mutation(source="DESIGN.md 5", seed=434),
    "refuse old epochs": Mutation(source="DESIGN.md 6", seed=4),
    "assume undecided leases": Mutation(source="DESIGN.md 6", seed=1),
    "hold room until gone": Mutation(source="DESIGN.md 6", seed=94),
}


@contextmanager
def without(name: str) -> Iterator[frozenset[str]]:
    """The named rule is off inside; gives what `walk` takes as `off`."""
    mutation = MUTATIONS[name]
    off = frozenset(other for other in (mutation.with_off,) if other is not None)
    if mutation.function is None:
        yield off | {name}
        return
    careful = getattr(rules, mutation.function)
    setattr(rules, mutation.function, mutation.careless)
    try:
        yield off
    finally:
        setattr(rules, mutation.function, careful)
