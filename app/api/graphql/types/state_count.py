"""How many jobs stand in a state."""

from collections.abc import Mapping

import strawberry

from app.api.graphql.enums import JobState
from app.domain.lifecycle import STATES


@strawberry.type
class StateCount:
    state: JobState
    count: int


def state_counts(counts: Mapping[JobState, int]) -> list[StateCount]:
    """Every state, in the order of a job's life."""
    return [StateCount(state=state, count=counts.get(state, 0)) for state in STATES]
