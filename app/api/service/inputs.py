"""The inputs of the API's core (reference: api.graphql) as msgspec structs: the single source of the GraphQL input
types.

Types are checked by decoding (or by GraphQL); bounds of values are checked by this package, which names the field in
its own words.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Raw, Struct

Json = bool | int | float | str | list[Any] | dict[str, Any]
"""JSON! in the SDL; `Any` and `Raw` are JSON (nullable)"""
Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""GraphQL's Int"""
NULL = Raw(b"null")


class TypedInput(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of every input: the names of GraphQL, unknown fields refused."""


class SubjectInput(TypedInput, frozen=True, kw_only=True):
    """A user or group (kind: User or Group)."""

    kind: str
    name: str


class QueuePermissionInput(TypedInput, frozen=True, kw_only=True):
    """Verbs of a queue (submit, cancel, preempt, reprioritize, watch) for some subjects."""

    subjects: tuple[SubjectInput, ...]
    verbs: tuple[str, ...]


class QueueInput(TypedInput, frozen=True, kw_only=True):
    """A queue to create or to change. Its weight in fair shares is 1 / priorityFactor."""

    name: str
    priority_factor: float | None = 1.0
    cordoned: bool | None = False
    owners: tuple[str, ...] | None = ()
    group_owners: tuple[str, ...] | None = ()
    permissions: tuple[QueuePermissionInput, ...] | None = ()
    resource_limits_by_priority_class: Any = None
    labels: Any = None
    retry_policies: tuple[str, ...] | None = ()


class GangInput(TypedInput, frozen=True, kw_only=True):
    """Jobs of a queue that are placed all or none, on nodes with the same value of uniformityLabel. failFast: a member
    whose run is returned or lost fails; else the whole gang starts again together."""

    id: str
    cardinality: Int32
    uniformity_label: str | None = None
    fail_fast: bool | None = True


class JobInput(TypedInput, frozen=True, kw_only=True):
    """A job: exactly one of podSpec and podSpecIndex. Lower priority values run first."""

    client_id: str | None = None
    pod_spec: Raw = NULL
    pod_spec_index: Int32 | None = None
    namespace: str | None = "default"
    priority: float | None = 0.0
    priority_class: str | None = None
    labels: Any = None
    annotations: Any = None
    services: tuple[Json, ...] | None = None
    ingresses: tuple[Json, ...] | None = None
    gang: GangInput | None = None
    external_uri: str | None = None
    pools: tuple[str, ...] | None = None


class SubmitJobsInput(TypedInput, frozen=True, kw_only=True):
    """One call: 1 to 1,000 jobs of one job set. podSpecs: specs that several jobs share, by podSpecIndex."""

    queue: str
    job_set: str
    request_id: str | None = None
    pod_specs: tuple[Raw, ...] | None = None
    jobs: tuple[JobInput, ...]
    all_or_nothing: bool | None = True
    dry_run: bool | None = False
