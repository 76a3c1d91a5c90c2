"""Groups of jobs."""

import strawberry

from app.api.graphql.scalars import Cursor, DateTime, Long
from app.api.graphql.types.connections import PageInfo
from app.api.graphql.types.state_count import StateCount, state_counts
from app.db.queries.job_groups import Group


@strawberry.type(description="what the jobs of a group have in common; value null: they have none")
class GroupKey:
    field: str
    value: str | None


@strawberry.type
class JobGroup:
    keys: list[GroupKey]
    count: Long
    state_counts: list[StateCount]
    submitted_earliest: DateTime | None
    last_transition_latest: DateTime | None


@strawberry.type
class JobGroupEdge:
    node: JobGroup
    cursor: Cursor


@strawberry.type(description="complete: every matching job was counted, else the newest 50,000 (by annotations 10,000)")
class JobGroupConnection:
    edges: list[JobGroupEdge]
    nodes: list[JobGroup]
    page_info: PageInfo
    complete: bool


def job_group_of(by: list[str], group: Group) -> JobGroup:
    first, last = group.first_submitted_ms, group.last_transition_ms
    return JobGroup(
        keys=[GroupKey(field=field, value=value) for field, value in zip(by, group.values, strict=True)],
        count=Long(group.total),
        state_counts=state_counts(group.counts),
        submitted_earliest=DateTime(first) if first is not None else None,
        last_transition_latest=DateTime(last) if last is not None else None,
    )
