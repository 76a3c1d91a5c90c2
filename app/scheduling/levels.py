"""Levels: the priorities of a round as small numbers, lowest first. Level 0 is that of evicted jobs.

A job at a level counts at that level and those below; what must stay whatever happens counts at all of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app.scheduling.nodes import HOME_POOL
from app.scheduling.resources import Int32, Int64
from app.scheduling.round import Round

EVICTED_PRIORITY = -2
"""The priority of evicted jobs, if no job has one as low."""
CROSS_POOL_PRIORITY = -1
"""The priority of jobs on nodes that are at home in another pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """`priorities`: int64, ascending; level k + 1 is priorities[k]."""

    priorities: Int64

    def __len__(self) -> int:
        return len(self.priorities) + 1

    def weights(self) -> Int64:
        """int64 by level: how far its priority is above that of evicted jobs, 0 for level 0."""
        lowest = min(EVICTED_PRIORITY, int(self.priorities.min(initial=0)) - 1)
        return np.concatenate(([0], self.priorities - lowest)).astype(np.int64)

    def of(self, priorities: Iterable[int] | Int32 | Int64) -> Int32:
        """The levels of priorities of this round."""
        wanted = np.asarray(priorities, np.int64)
        levels: Int32 = (np.searchsorted(self.priorities, wanted) + 1).astype(np.int32)
        return levels


def levels_of(round_: Round, priorities: Int32) -> Levels:
    """The levels of a round: of classes, away placements, and of the runs that may be evicted (their priorities)."""
    known = {each.priority for each in round_.classes}
    known.update(away.priority for each in round_.classes for away in each.away)
    if bool((round_.nodes.pool != HOME_POOL).any()):
        known.add(CROSS_POOL_PRIORITY)
    return Levels(priorities=np.array(sorted(known.union(priorities.tolist())), np.int64))
