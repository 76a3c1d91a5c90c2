"""A queue."""

import msgspec
import strawberry
from strawberry.scalars import JSON

from app.api.graphql.context import RequestInfo
from app.api.graphql.scalars import Cursor, DateTime
from app.api.graphql.types.connections import AsOf, PageInfo
from app.api.graphql.types.state_count import StateCount, state_counts
from app.api.service.granted_verbs import VERBS, why_not
from app.db.queries.queues import QueueRecord
from app.domain.commands import Permission, QueueSpec


@strawberry.type(description="a user or group; kind: User or Group")
class Subject:
    kind: str
    name: str


@strawberry.type(description="verbs that a queue grants to subjects")
class QueuePermission:
    subjects: list[Subject]
    verbs: list[str]


@strawberry.type(description="a verb that the caller has not, and why")
class RefusedVerb:
    verb: str
    reason: str


def _allowed_verbs(root: "Queue", info: RequestInfo) -> list[str]:
    principal = info.context.principal
    return [verb for verb in VERBS if why_not(principal, verb, root.spec) is None]


def _refused_verbs(root: "Queue", info: RequestInfo) -> list[RefusedVerb]:
    principal = info.context.principal
    reasons = [(verb, why_not(principal, verb, root.spec)) for verb in VERBS]
    return [RefusedVerb(verb=verb, reason=reason) for verb, reason in reasons if reason is not None]


async def _state_counts(root: "Queue", info: RequestInfo) -> list[StateCount]:
    return state_counts(await info.context.queue_counts.load(root.name))


@strawberry.type(description="the owner of a fair share; weight = 1 / priorityFactor")
class Queue:
    name: str
    priority_factor: float
    weight: float
    cordoned: bool
    owners: list[str]
    group_owners: list[str]
    permissions: list[QueuePermission]
    labels: JSON
    resource_limits_by_priority_class: JSON
    retry_policies: list[str]
    created: DateTime | None
    spec: strawberry.Private[QueueSpec]

    state_counts: list[StateCount] = strawberry.field(
        resolver=_state_counts, description="jobs of the queue by state, as far as the history has come"
    )
    allowed_verbs: list[str] = strawberry.field(
        resolver=_allowed_verbs,
        description="what the caller may do: submit cancel preempt reprioritize watch update cordon delete",
    )
    refused_verbs: list[RefusedVerb] = strawberry.field(resolver=_refused_verbs, description="the others of these")


@strawberry.type
class QueueEdge:
    node: Queue
    cursor: Cursor


@strawberry.type
class QueueConnection:
    edges: list[QueueEdge]
    nodes: list[Queue]
    page_info: PageInfo
    count_estimate: int
    as_of: AsOf


def queue_of_spec(spec: QueueSpec, created_ms: int | None = None) -> Queue:
    """The queue as it was described."""
    return Queue(
        name=spec.name,
        priority_factor=spec.priority_factor,
        weight=1.0 / spec.priority_factor,
        cordoned=spec.cordoned,
        owners=list(spec.owners),
        group_owners=list(spec.group_owners),
        permissions=[_permission(each) for each in spec.permissions],
        labels=JSON(spec.labels),
        resource_limits_by_priority_class=JSON(msgspec.json.decode(spec.resource_limits or "{}")),
        retry_policies=list(spec.retry_policies),
        created=DateTime(created_ms) if created_ms is not None else None,
        spec=spec,
    )


def queue_of_record(record: QueueRecord) -> Queue:
    """The queue as the view knows it."""
    return queue_of_spec(record.spec, record.created_ms)


def _permission(permission: Permission) -> QueuePermission:
    subjects = [Subject(kind=each.kind, name=each.name) for each in permission.subjects]
    return QueuePermission(subjects=subjects, verbs=list(permission.verbs))
