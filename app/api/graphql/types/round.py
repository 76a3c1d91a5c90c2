"""Scheduling rounds, in numbers."""

import strawberry
from strawberry.scalars import JSON

from app.api.errors import ApiError
from app.api.graphql.context import RequestInfo
from app.api.graphql.scalars import Cursor, DateTime, Long
from app.api.graphql.types.connections import PageInfo
from app.api.graphql.types.round_detail import (
    BlockedJobs,
    Placement,
    Preemption,
    blocked_of,
    placement_of,
    preemption_of,
)
from app.api.graphql.types.series import QueueShare, queue_share_of
from app.db.queries.rounds import RoundSummary
from app.domain.errors import ErrorCode
from app.domain.ids import format_id, parse_id
from app.domain.rounds import RoundRecord


async def _record(root: "Round", info: RequestInfo) -> RoundRecord:
    """The whole round; asked for once."""
    if root.record is None:
        root.record = await info.context.services.insight.round(parse_id(root.id))
    if root.record is None:
        raise ApiError(ErrorCode.NOT_FOUND, f"round {root.id} is not there any more")
    return root.record


async def _placements(root: "Round", info: RequestInfo) -> list[Placement]:
    return [placement_of(each) for each in (await _record(root, info)).placed]


async def _preemptions(root: "Round", info: RequestInfo) -> list[Preemption]:
    return [preemption_of(each) for each in (await _record(root, info)).preempted]


async def _blocked_jobs(root: "Round", info: RequestInfo) -> list[BlockedJobs]:
    return [blocked_of(each) for each in (await _record(root, info)).blocked]


async def _shares(root: "Round", info: RequestInfo) -> list[QueueShare]:
    return [queue_share_of(root.pool, each) for each in (await _record(root, info)).shares]


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
    record: strawberry.Private[RoundRecord | None] = None

    placements: list[Placement] = strawberry.field(resolver=_placements, description="who was placed where")
    preemptions: list[Preemption] = strawberry.field(resolver=_preemptions, description="who was preempted for whom")
    blocked_jobs: list[BlockedJobs] = strawberry.field(
        resolver=_blocked_jobs, description="who found no place, by queue, shape and reason"
    )
    shares: list[QueueShare] = strawberry.field(
        resolver=_shares, description="of queues, when they changed in this round"
    )


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


def round_of_record(record: RoundRecord) -> Round:
    return Round(
        id=strawberry.ID(format_id(record.round_id)),
        pool=record.pool,
        epoch=Long(record.epoch),
        kind=record.kind,
        started=DateTime(record.started_ms),
        nodes=record.nodes,
        queued=Long(record.queued),
        running=Long(record.running),
        considered=Long(record.considered),
        placed=len(record.placed),
        preempted=len(record.preempted),
        blocked=Long(sum(each.jobs for each in record.blocked)),
        timings=JSON(record.timings_us),
        record=record,
    )
