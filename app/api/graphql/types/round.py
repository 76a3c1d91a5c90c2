"""Scheduling rounds, in numbers."""

import strawberry
from strawberry.scalars import JSON

from app.api.graphql.scalars import Cursor, DateTime, Long
from app.api.graphql.types.connections import PageInfo
from app.db.queries.rounds import RoundSummary
from app.domain.ids import format_id


@strawberry.type(
    description="one scheduling pass over a pool; timings: phase -> microseconds; blocked: jobs not placed"
)
class Round:
    id: strawberry.ID
    pool: str
    epoch: Long
    kind: str
    started: DateTime
    nodes: int
    queued: Long
    running: Long
    considered: Long
    placed: int
    preempted: int
    blocked: Long
    timings: JSON


@strawberry.type
class RoundEdge:
    node: Round
    cursor: Cursor


@strawberry.type
class RoundConnection:
    edges: list[RoundEdge]
    nodes: list[Round]
    page_info: PageInfo


def round_of_summary(summary: RoundSummary) -> Round:
    return Round(
        id=strawberry.ID(format_id(summary.round_id)),
        pool=summary.pool,
        epoch=Long(summary.epoch),
        kind=summary.kind,
        started=DateTime(summary.started_ms),
        nodes=summary.nodes,
        queued=Long(summary.queued),
        running=Long(summary.running),
        considered=Long(summary.considered),
        placed=summary.placed,
        preempted=summary.preempted,
        blocked=Long(summary.blocked),
        timings=JSON(summary.timings_us),
    )
