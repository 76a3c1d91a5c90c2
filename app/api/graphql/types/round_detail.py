"""What one round decided: who was placed where, who was preempted for whom, who found no place and why."""

import strawberry
from strawberry.scalars import JSON

from app.api.graphql.scalars import Long
from app.domain.ids import format_id
from app.domain.rounds import Blocked, Displaced, Placed


@strawberry.type
class Placement:
    job_id: strawberry.ID
    run_id: strawberry.ID
    queue: str
    cluster: str
    node: str
    scheduled_at_priority: int
    method: str


@strawberry.type(description="by: the job it makes room for; null: its queue held more than its share")
class Preemption:
    job_id: strawberry.ID
    run_id: strawberry.ID
    queue: str
    node: str
    reason: str
    by: strawberry.ID | None


@strawberry.type(description="a reason, and on how many nodes it holds")
class NodeReason:
    reason: str
    nodes: int


@strawberry.type(description="jobs of one queue and one shape without a place; shortfall: missing on the best node")
class BlockedJobs:
    queue: str
    jobs: Long
    example: strawberry.ID
    reason: str
    nodes: list[NodeReason]
    shortfall: JSON


def placement_of(placed: Placed) -> Placement:
    return Placement(
        job_id=strawberry.ID(format_id(placed.job_id)),
        run_id=strawberry.ID(format_id(placed.run_id)),
        queue=placed.queue,
        cluster=placed.cluster,
        node=placed.node,
        scheduled_at_priority=placed.scheduled_at_priority,
        method=placed.method,
    )


def preemption_of(displaced: Displaced) -> Preemption:
    return Preemption(
        job_id=strawberry.ID(format_id(displaced.job_id)),
        run_id=strawberry.ID(format_id(displaced.run_id)),
        queue=displaced.queue,
        node=displaced.node,
        reason=displaced.reason,
        by=strawberry.ID(format_id(displaced.by)) if displaced.by is not None else None,
    )


def blocked_of(blocked: Blocked) -> BlockedJobs:
    return BlockedJobs(
        queue=blocked.queue,
        jobs=Long(blocked.jobs),
        example=strawberry.ID(format_id(blocked.example)),
        reason=blocked.reason,
        nodes=[NodeReason(reason=each.reason, nodes=each.nodes) for each in blocked.nodes],
        shortfall=JSON(dict(blocked.shortfall)),
    )
