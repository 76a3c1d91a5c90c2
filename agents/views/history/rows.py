"""The shape of what plan.py makes and encode.py writes: a job's row as a list in the order of the columns, and the
rest.

A patch is a row of which only what changed is set, with two more places: the state before the batch, and whether a run
ended in it (then what the old row says of its run is void).
"""

from dataclasses import dataclass, field
from typing import Any

COLUMNS = (
    "job_id",
    "spec_id",
    "last_transition",
    "position",
    "memory",
    "storage",
    "queue_id",
    "job_set_id",
    "owner_id",
    "namespace_id",
    "class_id",
    "priority",
    "cpu",
    "gpus",
    "deadline_s",
    "state",
    "attempt",
    "preemptible",
    "run_id",
    "node_id",
    "cluster_id",
    "pool_id",
    "leased",
    "pending",
    "started",
    "category_id",
    "code_id",
    "exit_code",
    "client_id",
    "gang",
    "labels",
    "annotations",
    "extra",
    "reason",
    "requestor",
)
(
    JOB_ID,
    SPEC_ID,
    LAST_TRANSITION,
    POSITION,
    MEMORY,
    STORAGE,
    QUEUE_ID,
    JOB_SET_ID,
    OWNER_ID,
    NAMESPACE_ID,
    CLASS_ID,
    PRIORITY,
    CPU,
    GPUS,
    DEADLINE_S,
    STATE,
    ATTEMPT,
    PREEMPTIBLE,
    RUN_ID,
    NODE_ID,
    CLUSTER_ID,
    POOL_ID,
    LEASED,
    PENDING,
    STARTED,
    CATEGORY_ID,
    CODE_ID,
    EXIT_CODE,
    CLIENT_ID,
    GANG,
    LABELS,
    ANNOTATIONS,
    EXTRA,
    REASON,
    REQUESTOR,
) = range(len(COLUMNS))
BEFORE, RESET = len(COLUMNS), len(COLUMNS) + 1
RUN = (RUN_ID, NODE_ID, CLUSTER_ID, POOL_ID, LEASED, PENDING, STARTED, CATEGORY_ID, CODE_ID, EXIT_CODE)
"""places of what belongs to the run"""

PATCHED = (
    "last_transition",
    "position",
    "state",
    "attempt",
    "priority",
    "run_id",
    "node_id",
    "cluster_id",
    "pool_id",
    "leased",
    "pending",
    "started",
    "category_id",
    "code_id",
    "exit_code",
    "reason",
    "requestor",
)
"""columns that an event may change"""
OF_THE_RUN = tuple(COLUMNS[place] for place in RUN)

JobRow = list[Any]


@dataclass(slots=True)
class JobSetChange:
    """What a batch does to a job set. counts: jobs that are new in the batch, by the state in which it leaves them."""

    first_submitted: int | None = None
    last_transition: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * 9)


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that ended before its job did. whole: it was leased in this batch, so nothing of it stands in the old row.

    Times in ms; names as numbers."""

    job_id: bytes
    attempt: int
    finished: int
    run_id: bytes | None
    cluster_id: int | None
    node_id: int | None
    pool_id: int | None
    leased: int | None
    pending: int | None
    started: int | None
    exit_code: int | None
    category_id: int | None
    code_id: int | None
    outcome: str
    reason: str | None
    whole: bool


@dataclass(frozen=True, slots=True)
class JobError:
    """A row of history_errors."""

    job_id: bytes
    position: int
    at: int
    attempt: int
    kind: str
    code: str | None
    message: str | None
    containers: str | None


@dataclass(frozen=True, slots=True)
class EventsRow:
    """A row of history_job_set_events, its body not yet compressed."""

    position: int
    at: int
    job_set_id: int
    count: int
    body: bytes


@dataclass(slots=True)
class Plan:
    """What a batch does to the tables of the history."""

    new: dict[bytes, JobRow] = field(default_factory=dict)
    patches: dict[bytes, JobRow] = field(default_factory=dict)
    runs: list[EndedRun] = field(default_factory=list)
    errors: list[JobError] = field(default_factory=list)
    events: list[EventsRow] = field(default_factory=list)
    changes: dict[int, JobSetChange] = field(default_factory=dict)
    job_sets: dict[object, tuple[object, ...]] = field(default_factory=dict)
    names: dict[object, tuple[object, ...]] = field(default_factory=dict)
