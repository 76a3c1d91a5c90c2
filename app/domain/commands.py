"""Commands: everything that changes jobs, queues or settings, as it stands in argosy.commands. One class is one
Avro schema of the same name.

The principal, ids, priority classes and policies come inside; deciding adds nothing from outside. Ids are 16 bytes.
Times are ms since 1970.
"""

from enum import StrEnum

from msgspec import Struct

from app.domain.lifecycle import JobState


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks: the user, his groups and the global verbs that he holds (submit_any_jobs, cancel_any_jobs,
    create_queue ...)."""

    user: str
    groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()


class Subject(Struct, frozen=True, kw_only=True):
    """A user or group that a queue grants verbs to. kind: User or Group."""

    kind: str
    name: str


class Permission(Struct, frozen=True, kw_only=True):
    """Verbs of a queue (submit, cancel, preempt, reprioritize, watch) for some subjects."""

    subjects: tuple[Subject, ...]
    verbs: tuple[str, ...]


class QueueSpec(Struct, frozen=True, kw_only=True):
    """A queue as its creator describes it. weight = 1 / priority_factor; limits: JSON text of class -> resource ->
    fraction."""

    name: str
    priority_factor: float = 1.0
    cordoned: bool = False
    owners: tuple[str, ...] = ()
    group_owners: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()
    resource_limits: str = "{}"
    labels: dict[str, str] = {}
    retry_policies: tuple[str, ...] = ()


class CreateQueues(Struct, frozen=True, kw_only=True):
    """Create queues of one partition. An existing name is refused (CONFLICT), the others are created."""

    principal: Principal
    queues: tuple[QueueSpec, ...]


class QueueChange(Struct, frozen=True, kw_only=True):
    """How a queue is to be described from now on; None leaves a field as it is. See QueueSpec."""

    name: str
    priority_factor: float | None = None
    cordoned: bool | None = None
    owners: tuple[str, ...] | None = None
    group_owners: tuple[str, ...] | None = None
    permissions: tuple[Permission, ...] | None = None
    resource_limits: str | None = None
    labels: dict[str, str] | None = None
    retry_policies: tuple[str, ...] | None = None


class UpdateQueues(Struct, frozen=True, kw_only=True):
    """Change queues of one partition, each by itself; cordoned alone is what CordonQueues of the API writes."""

    principal: Principal
    queues: tuple[QueueChange, ...]


class DeleteQueues(Struct, frozen=True, kw_only=True):
    """Delete queues of one partition that have no live jobs."""

    principal: Principal
    names: tuple[str, ...]


class Spec(Struct, frozen=True, kw_only=True):
    """A pod spec: its id (first 16 bytes of SHA-256 of the canonical JSON) and that JSON, zstd."""

    spec_id: bytes
    body: bytes


class ShapeRef(Struct, frozen=True, kw_only=True):
    """A shape (in argosy.shapes before this command) and the part of its requests that views show: milli-cpu,
    bytes, bytes, whole GPUs."""

    shape_hash: bytes
    cpu_milli: int
    memory_bytes: int
    storage_bytes: int
    gpus: int


class Gang(Struct, frozen=True, kw_only=True):
    """Jobs of a queue that are placed all or nothing. fail_fast: a member whose run is returned or lost fails at once;
    else the whole gang starts again together. A gang of one job is an ordinary job."""

    gang_id: str
    cardinality: int
    uniformity_label: str | None = None
    fail_fast: bool = True


class JobItem(Struct, frozen=True, kw_only=True):
    """One job of a submit call. spec and shape are indexes into the command's lists; services and ingresses are
    JSON text ("" = none)."""

    job_id: bytes
    spec: int
    shape: int
    namespace: str
    priority: int
    priority_class: str
    preemptible: bool
    deadline_s: int
    client_id: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    services: str = ""
    ingresses: str = ""
    external_uri: str | None = None
    pools: tuple[str, ...] = ()
    gang: Gang | None = None


class SubmitJobs(Struct, frozen=True, kw_only=True):
    """One submit call: 1 to 1,000 jobs of one job set. With a request id, a repeated call gets the first answer."""

    principal: Principal
    queue: str
    job_set: str
    request_id: str | None = None
    all_or_nothing: bool = True
    specs: tuple[Spec, ...]
    shapes: tuple[ShapeRef, ...]
    jobs: tuple[JobItem, ...]


class CancelJobs(Struct, frozen=True, kw_only=True):
    """Cancel jobs of one partition by id; queue and job set, where given, must be the jobs' own."""

    principal: Principal
    job_ids: tuple[bytes, ...]
    queue: str | None = None
    job_set: str | None = None
    reason: str | None = None


class CancelJobSet(Struct, frozen=True, kw_only=True):
    """Cancel the jobs of a job set that are older than this command and stand in one of `states` (none = all live
    states) when reached."""

    principal: Principal
    queue: str
    job_set: str
    states: tuple[JobState, ...] = ()
    reason: str | None = None


class ReprioritizeJobs(Struct, frozen=True, kw_only=True):
    """Give jobs of one partition, by id, another priority; queue and job set, where given, must be the jobs' own."""

    principal: Principal
    job_ids: tuple[bytes, ...]
    priority: int
    queue: str | None = None
    job_set: str | None = None
    reason: str | None = None


class ReprioritizeJobSet(Struct, frozen=True, kw_only=True):
    """Give the live jobs of a job set that are older than this command another priority."""

    principal: Principal
    queue: str
    job_set: str
    priority: int
    reason: str | None = None


class PreemptJobs(Struct, frozen=True, kw_only=True):
    """Preempt the runs of jobs of one partition, and of their gangs; queue and job set as in CancelJobs."""

    principal: Principal
    job_ids: tuple[bytes, ...]
    queue: str | None = None
    job_set: str | None = None
    reason: str | None = None


class Continue(Struct, frozen=True, kw_only=True):
    """Move open operations on; the queue agent sends it to itself when no other command comes."""


class Settings(Struct, frozen=True, kw_only=True):
    """What deciding needs of the settings; version grows by one with each change of the content."""

    epoch: int
    version: int
    max_attempts: int
    client_id_retention_ms: int


class BeginEpoch(Struct, frozen=True, kw_only=True):
    """A scheduler leads from here; commands of lower epochs are refused. leader names the process for people."""

    epoch: int
    leader: str


class BeginInstance(Struct, frozen=True, kw_only=True):
    """A new executor process speaks for the cluster from here; reports of other instances are refused. instance: 16
    bytes."""

    cluster: str
    instance: bytes


class PreemptReason(StrEnum):
    """Why a run is preempted, as the rounds say it: for the fair share of others, for a higher priority, as a member
    of a gang of which another is, because its node holds more than it has."""

    FAIR_SHARE = "FAIR_SHARE"
    URGENCY = "URGENCY"
    GANG = "GANG"
    OVERCOMMITTED = "OVERCOMMITTED"


class RunPosition(Struct, frozen=True, kw_only=True):
    """A run and the position of its LEASED event. reason: why it is preempted, where it is displaced; None = not said,
    as in records that are older than the field."""

    run_id: bytes
    partition: int
    offset: int
    ordinal: int
    reason: PreemptReason | None = None


class Lease(Struct, frozen=True, kw_only=True):
    """A run of a job on a node. attempt is the job's when the decision was made; displaced runs must be gone before
    its pod is created."""

    job_id: bytes
    run_id: bytes
    attempt: int
    cluster: str
    node: str
    pool: str
    scheduled_at_priority: int
    displaced: tuple[RunPosition, ...] = ()


class LeaseJobs(Struct, frozen=True, kw_only=True):
    """Placements of one round for one partition. round_id names the record in argosy.rounds."""

    epoch: int
    round_id: bytes
    leases: tuple[Lease, ...]


class Preemption(Struct, frozen=True, kw_only=True):
    """One run to preempt. by_job: the job that takes its room, where one does; message is for people ("" = none)."""

    job_id: bytes
    run_id: bytes
    attempt: int
    reason: PreemptReason
    by_job: bytes | None = None
    message: str = ""


class PreemptRuns(Struct, frozen=True, kw_only=True):
    """Runs of one partition that make room for others."""

    epoch: int
    preemptions: tuple[Preemption, ...]


class Rejection(Struct, frozen=True, kw_only=True):
    """One queued job that can never run. reason_code is a short name in CamelCase, reason a sentence for people."""

    job_id: bytes
    attempt: int
    reason_code: str
    reason: str


class RejectJobs(Struct, frozen=True, kw_only=True):
    """Queued jobs of one partition that the leader found impossible to place."""

    epoch: int
    rejections: tuple[Rejection, ...]


class ExpireKind(StrEnum):
    """Why the leader ends a run or job: its cluster is silent (the job fails), the run was never reported (the job
    is queued again), the job grew older than the log is kept (it fails), the cluster was declared dead (the run
    counts as gone, the job is queued again)."""

    SILENT = "SILENT"
    UNREPORTED = "UNREPORTED"
    AGED = "AGED"
    FORGOTTEN = "FORGOTTEN"


class Expiry(Struct, frozen=True, kw_only=True):
    """One run (or, AGED and queued, one job without run) to end. A stopping run is named too when its cluster is
    FORGOTTEN."""

    job_id: bytes
    run_id: bytes | None
    attempt: int
    kind: ExpireKind


class ExpireRuns(Struct, frozen=True, kw_only=True):
    """Runs of one partition that the leader ends."""

    epoch: int
    expiries: tuple[Expiry, ...]


class ReportState(StrEnum):
    """What an executor says of a run; the last four are last words: none of its containers runs or ever will."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    RETURNED = "RETURNED"
    GONE = "GONE"


class Report(Struct, frozen=True, kw_only=True):
    """The level that a run has reached. time_ms is the cluster's clock, kept as data; containers is JSON text ("" =
    none)."""

    cluster: str
    instance: bytes
    job_id: bytes
    run_id: bytes
    attempt: int
    state: ReportState
    time_ms: int
    node: str | None = None
    pod: str | None = None
    namespace: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    category: str | None = None
    attempted: bool = True
    containers: str = ""


class ReportRuns(Struct, frozen=True, kw_only=True):
    """Reports for one partition, of any clusters, decided item by item."""

    reports: tuple[Report, ...]


Command = (
    CreateQueues
    | UpdateQueues
    | DeleteQueues
    | SubmitJobs
    | CancelJobs
    | CancelJobSet
    | ReprioritizeJobs
    | ReprioritizeJobSet
    | PreemptJobs
    | Continue
    | Settings
    | BeginEpoch
    | BeginInstance
    | LeaseJobs
    | ExpireRuns
    | PreemptRuns
    | RejectJobs
    | ReportRuns
)
