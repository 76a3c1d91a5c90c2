"""What the rounds of one pool have in common: kept from one to the next, so that a round costs what changed.

`Memory.prepare(round)` is a fresh preparation with everything taken over that is the same as in the round before:
matching and groups of nodes, units of amounts, large arrays; and all of it when nothing changed. Differences are
found, not declared, so a caller cannot be wrong about them. The decisions are those of a fresh start.
"""

import weakref

import numpy as np

from app.scheduling.arrays import Bytes
from app.scheduling.compiler import Kernels
from app.scheduling.decisions import Decisions
from app.scheduling.ledger import open_ledger
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.outcome import LateDetails
from app.scheduling.quarantine import admit
from app.scheduling.round import Round
from app.scheduling.round_state import Earlier, Figures, Prepared, prepare
from app.scheduling.sameness import has_same_labels, is_same_round

COPIED_MAX = 1 << 22
"""Bytes that deciding a round changes. More are copied only when a round comes a second time."""


def figures_of(round_: Round, kernels: Kernels, earlier: Earlier | None = None) -> Figures:
    """Who takes part in a round, and what the pool and its queues have."""
    admission = admit(round_)
    ledger = open_ledger(round_, admission, kernels)
    keeps = earlier is not None and has_same_labels(earlier.round, round_)
    return Figures(
        round=round_,
        admission=admission,
        ledger=ledger,
        shares=ledger.shares(round_),
        matcher=earlier.matcher if earlier is not None and keeps else NodeMatcher(round_.nodes, round_.node_types),
        indexed=tuple(round_.resources.columns[name] for name in round_.config.indexed_resources),
    )


class Memory:
    """The last round of a pool. Not for several threads at once."""

    def __init__(self) -> None:
        self._last: tuple[Figures, Prepared] | None = None
        self._untouched: Bytes | None = None
        self._kernels: Kernels | None = None
        self._details: weakref.ref[LateDetails] | None = None

    def prepare(self, round_: Round, kernels: Kernels) -> tuple[Figures, Prepared]:
        """The round ready for the kernels."""
        is_same = self._last is not None and self._kernels is kernels and is_same_round(self._last[0].round, round_)
        if is_same and self._last is not None and self._untouched is not None:
            return self._again(*self._last, self._untouched)
        earlier = None if self._last is None else Earlier.of(*self._last)
        self._last, self._untouched = None, None
        figures = figures_of(round_, kernels, earlier)
        prepared = prepare(figures, kernels, earlier)
        self._last, self._kernels = (figures, prepared), kernels
        if is_same or prepared.arena.nbytes <= COPIED_MAX:
            self._untouched = prepared.arena.copy()
        return self._last

    def _again(self, figures: Figures, prepared: Prepared, untouched: Bytes) -> tuple[Figures, Prepared]:
        details = None if self._details is None else self._details()
        if details is not None:
            details.settle()
        np.copyto(prepared.arena, untouched)
        return figures, prepared

    def note(self, decisions: Decisions) -> None:
        """Remembers who may still read the state of the round."""
        details = decisions.details
        self._details = weakref.ref(details) if isinstance(details, LateDetails) else None
