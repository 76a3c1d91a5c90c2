"""A job, its runs, and pages of jobs."""

import strawberry
from strawberry.scalars import JSON

from app.api.errors import InvalidArgument
from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import JobState
from app.api.graphql.scalars import Cursor, DateTime, Long, Quantity
from app.api.graphql.types.connections import AsOf, PageInfo
from app.api.graphql.types.events import JobEvent
from app.api.graphql.types.job_events import events_of_job
from app.db.queries.job_count import COUNT_MAX
from app.db.queries.job_filter import JobFilter
from app.db.queries.job_records import ErrorRecord, JobRecord, RunRecord, last_run
from app.db.queries.jobs import JobDetail
from app.domain.commands import Gang as GangOfJob
from app.domain.ids import format_id, parse_id
from app.pods.canonical import unpack_spec
from app.pods.quantity import format_amount


@strawberry.type(description="what views show of a job's requests")
class JobRequests:
    cpu: Quantity
    memory: Quantity
    ephemeral_storage: Quantity
    gpu: int


@strawberry.type(description="one attempt of a job on a node; state: of the job while it lives, then how it ended")
class Run:
    id: strawberry.ID
    attempt: int
    cluster: str
    node: str
    pool: str
    state: str
    leased: DateTime | None
    pending: DateTime | None
    started: DateTime | None
    finished: DateTime | None
    exit_code: int | None
    failure_category: str | None
    reason_code: str | None
    reason: str | None


@strawberry.type(description="what went wrong with an attempt, in the words of the cluster")
class JobError:
    attempt: int
    time: DateTime
    kind: str
    code: str
    message: str


@strawberry.type(description="jobs of a queue that are placed all or none; see GangInput")
class Gang:
    id: str
    cardinality: int
    uniformity_label: str | None
    fail_fast: bool


async def _runs(root: "Job", info: RequestInfo) -> list[Run]:
    return [_run(run) for run in (await _detail(root, info)).runs]


async def _errors(root: "Job", info: RequestInfo) -> list[JobError]:
    return [_error(error) for error in (await _detail(root, info)).errors]


async def _pod_spec(root: "Job", info: RequestInfo) -> JSON | None:
    packed = (await _detail(root, info)).spec
    return JSON(unpack_spec(packed)) if packed is not None else None


async def _events(root: "Job", info: RequestInfo) -> list[JobEvent]:
    found = await info.context.services.insight.events(parse_id(root.id))
    return events_of_job(found, info.context.services.coordinates) if found is not None else []


async def _detail(job: "Job", info: RequestInfo) -> JobDetail:
    """What a row of a list has not; asked for once."""
    if job.detail is None:
        job.detail = await info.context.job_details.load(job.id)
    return job.detail


@strawberry.type
class Job:
    id: strawberry.ID
    queue: str
    job_set: str
    state: JobState
    priority: float
    priority_class: str
    preemptible: bool
    client_id: str | None
    owner: str
    namespace: str
    labels: JSON
    annotations: JSON
    external_uri: str | None
    pools: list[str]
    submitted: DateTime
    last_transition: DateTime
    finished: DateTime | None
    requests: JobRequests
    deadline_seconds: Long
    attempt: int
    cluster: str | None
    node: str | None
    pool: str | None
    exit_code: int | None
    failure_category: str | None
    reason_code: str | None
    reason: str | None
    requestor: str | None
    last_run: Run | None
    gang: Gang | None
    detail: strawberry.Private[JobDetail | None]

    runs: list[Run] = strawberry.field(resolver=_runs, description="all attempts, oldest first")
    errors: list[JobError] = strawberry.field(resolver=_errors, description="what went wrong, oldest first")
    events: list[JobEvent] = strawberry.field(
        resolver=_events, description="oldest first; a very long history shows its beginning and its end"
    )
    pod_spec: JSON | None = strawberry.field(
        resolver=_pod_spec, description="the pod spec after defaults; null until it can be read"
    )


async def _count_up_to(root: "JobConnection", info: RequestInfo, limit: int = COUNT_MAX) -> Long:
    if not 1 <= limit <= COUNT_MAX:
        raise InvalidArgument("limit", f"must be between 1 and {COUNT_MAX:,}, not {limit}")
    return Long(await info.context.services.read.count_up_to(root.wanted, limit))


@strawberry.type
class JobEdge:
    node: Job
    cursor: Cursor


@strawberry.type(
    description="countEstimate is null for filters that would have to be counted; jobsChanged after the cursor gives "
    "exactly what the answer lacks"
)
class JobConnection:
    edges: list[JobEdge]
    nodes: list[Job]
    page_info: PageInfo
    count_estimate: Long | None
    as_of: AsOf
    cursor: Cursor
    wanted: strawberry.Private[JobFilter]

    count_up_to: Long = strawberry.field(
        resolver=_count_up_to,
        description="how many jobs match; the limit (at most 10,000) stands for that many or more",
    )


def job_of_record(record: JobRecord, detail: JobDetail | None = None) -> Job:
    """A job as the history knows it."""
    run = last_run(record)
    return Job(
        id=strawberry.ID(format_id(record.job_id)),
        queue=record.queue,
        job_set=record.job_set,
        state=record.state,
        priority=float(record.priority),
        priority_class=record.priority_class,
        preemptible=record.preemptible,
        client_id=record.client_id,
        owner=record.owner,
        namespace=record.namespace,
        labels=JSON(record.labels),
        annotations=JSON(record.annotations),
        external_uri=record.external_uri,
        pools=list(record.pools),
        submitted=DateTime(record.submitted_ms),
        last_transition=DateTime(record.last_transition_ms),
        finished=_time(record.finished_ms),
        requests=JobRequests(
            cpu=_quantity("cpu", record.cpu_milli),
            memory=_quantity("memory", record.memory_bytes),
            ephemeral_storage=_quantity("ephemeral-storage", record.storage_bytes),
            gpu=record.gpus,
        ),
        deadline_seconds=Long(record.deadline_s),
        attempt=record.attempt,
        cluster=record.cluster,
        node=record.node,
        pool=record.pool,
        exit_code=record.exit_code,
        failure_category=record.category,
        reason_code=record.code,
        reason=record.reason,
        requestor=record.requestor,
        last_run=_run(run) if run is not None else None,
        gang=_gang(record.gang) if record.gang is not None else None,
        detail=detail,
    )


def job_of_detail(detail: JobDetail) -> Job:
    return job_of_record(detail.job, detail)


def _gang(gang: GangOfJob) -> Gang:
    return Gang(
        id=gang.gang_id,
        cardinality=gang.cardinality,
        uniformity_label=gang.uniformity_label,
        fail_fast=gang.fail_fast,
    )


def _run(run: RunRecord) -> Run:
    return Run(
        id=strawberry.ID(format_id(run.run_id)),
        attempt=run.attempt,
        cluster=run.cluster,
        node=run.node,
        pool=run.pool,
        state=run.outcome,
        leased=_time(run.leased_ms),
        pending=_time(run.pending_ms),
        started=_time(run.started_ms),
        finished=_time(run.finished_ms),
        exit_code=run.exit_code,
        failure_category=run.category,
        reason_code=run.code,
        reason=run.reason,
    )


def _error(error: ErrorRecord) -> JobError:
    return JobError(
        attempt=error.attempt, time=DateTime(error.at_ms), kind=error.kind, code=error.code, message=error.message
    )


def _time(time_ms: int | None) -> DateTime | None:
    return DateTime(time_ms) if time_ms is not None else None


def _quantity(resource: str, amount: int) -> Quantity:
    return Quantity(format_amount(resource, amount))
