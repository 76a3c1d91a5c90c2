"""Events: what was decided, as it stands in argosy.events. EventsRecord, Event and their parts are Avro schemas of
the same name.

One command record yields one or more events records (cut at 4 MiB). A reader decodes only what it serves: the
history reads `jobs` and the blocks, the executors' view reads `jobs`, `specs`, `leases`, `reported`, `stops`; a
waiting client reads `outcome` and `operations`.
"""

from enum import StrEnum

from msgspec import Struct

from app.domain.commands import Gang, RunPosition, Spec
from app.domain.errors import Refusal
from app.domain.lifecycle import EventKind, JobState


class Event(Struct, frozen=True, kw_only=True):
    """One event of a job. ordinal completes its position; before and attempt let a view count by deltas without
    reading. gang_generation comes with SUBMITTED and QUEUED of a member of a gang, preempted_by (a job) with
    PREEMPTING, PREEMPTED and the FAILED behind them."""

    ordinal: int
    kind: EventKind
    job_id: bytes
    before: JobState | None
    after: JobState
    attempt: int
    terminal: bool = False
    run_id: bytes | None = None
    cluster: str | None = None
    node: str | None = None
    pool: str | None = None
    pod: str | None = None
    namespace: str | None = None
    requestor: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    category: str | None = None
    priority: int | None = None
    retryable: bool | None = None
    attempted: bool | None = None
    cluster_time_ms: int | None = None
    containers: str = ""
    preempted_by: bytes | None = None
    gang_generation: int | None = None


class JobData(Struct, frozen=True, kw_only=True):
    """What is known of a job at its submission, once. block is the index of its job set in the record's blocks;
    ordinal is of SUBMITTED."""

    ordinal: int
    block: int
    job_id: bytes
    spec_id: bytes
    shape_hash: bytes
    cpu_milli: int
    memory_bytes: int
    storage_bytes: int
    gpus: int
    owner: str
    groups: tuple[str, ...]
    namespace: str
    priority: int
    priority_class: str
    preemptible: bool
    deadline_s: int
    client_id: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    services: str
    ingresses: str
    external_uri: str | None
    pools: tuple[str, ...]
    gang: Gang | None = None


class LeaseData(Struct, frozen=True, kw_only=True):
    """A run that a cluster is to start; ordinal is of its LEASED event."""

    ordinal: int
    run_id: bytes
    job_id: bytes
    attempt: int
    cluster: str
    node: str
    pool: str
    displaced: tuple[RunPosition, ...]


class StopReason(StrEnum):
    """Why an executor is told to stop a run, or that its end was accepted (finished, gone). restarted: its gang starts
    again."""

    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    EXPIRED = "expired"
    FINISHED = "finished"
    GONE = "gone"
    RESTARTED = "restarted"


class StopData(Struct, frozen=True, kw_only=True):
    """A run that ended. gone: its last word has been said, so it holds no room any more; ordinal places it among
    the command's events."""

    ordinal: int
    run_id: bytes
    job_id: bytes
    attempt: int
    cluster: str
    reason: StopReason
    gone: bool


class Block(Struct, frozen=True, kw_only=True):
    """The events of one job set in this record. incarnation: of the queue (app.domain.rows); body: framed Avro array
    of Event (the version of its schema is its own)."""

    queue: str
    incarnation: int
    job_set: str
    count: int
    body: bytes


class Duplicate(Struct, frozen=True, kw_only=True):
    """The job at `index` of a submit call was submitted before under this client id."""

    index: int
    job_id: bytes


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a command. repeated: the 14-byte prefix of the first call's job ids when its request id was
    known already.

    affected names the first 10,000 ids that the command changed, affected_count counts all."""

    refusals: tuple[Refusal, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    repeated: bytes = b""
    affected: tuple[bytes, ...] = ()
    affected_count: int = 0
    operation: bool = False


class Progress(Struct, frozen=True, kw_only=True):
    """How far an operation came in this command: the jobs that it changed now, how many in all, and whether it is
    done."""

    operation: int
    affected: tuple[bytes, ...]
    total: int
    closed: bool


class EventsRecord(Struct, frozen=True, kw_only=True):
    """The events of one command, or a part of them. offset: of the command in argosy.commands; last: no further
    record of this command.

    outcome stands in the last record only."""

    offset: int
    first_ordinal: int
    count: int
    last: bool
    log_time_ms: int
    command: str
    outcome: Outcome | None = None
    operations: tuple[Progress, ...] = ()
    specs: tuple[Spec, ...] = ()
    jobs: tuple[JobData, ...] = ()
    leases: tuple[LeaseData, ...] = ()
    reported: tuple[bytes, ...] = ()
    stops: tuple[StopData, ...] = ()
    blocks: tuple[Block, ...] = ()
