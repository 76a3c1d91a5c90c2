"""What queries answer about jobs: typed records, and how they come out of rows of the history.

Input: rows of history_jobs, history_runs, history_errors. Output: JobRecord, RunRecord, ErrorRecord.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from asyncpg import Record
from msgspec import Struct

from app.db.engine import Connection
from app.db.names import Names
from app.domain.commands import Gang
from app.domain.ids import time_ms_of
from app.domain.lifecycle import ENDED, STATE_CODES, STATES, JobState
from app.domain.positions import Position

ORDINAL_BITS = 20
"""a position stands in one bigint: offset << 20 | ordinal"""
ORDINAL_MASK = (1 << ORDINAL_BITS) - 1

COLUMNS = (
    "job_id, last_transition, position, memory, storage, queue_id, job_set_id, owner_id, namespace_id, class_id, "
    "spec_id, priority, cpu, gpus, deadline_s, state, attempt, preemptible, node_id, cluster_id, pool_id, run_id, "
    "leased, pending, started, exit_code, category_id, code_id, client_id, gang, labels, "
    "tsvector_to_array(annotations) AS annotations, extra, reason, requestor"
)
NAMED = (
    "queue_id",
    "owner_id",
    "namespace_id",
    "class_id",
    "node_id",
    "cluster_id",
    "pool_id",
    "category_id",
    "code_id",
)

# Names and incarnations of some job sets.
JOB_SETS = "SELECT id, name, incarnation FROM history_job_sets WHERE id = ANY($1::bigint[])"


class Extra(Struct, frozen=True, omit_defaults=True):
    """What few jobs have, as JSON in one column. annotations: those too long for the index; gang: of the gang that the
    column of this name names."""

    services: str = ""
    ingresses: str = ""
    external_uri: str | None = None
    pools: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    gang: Gang | None = None


class RunRecord(Struct, frozen=True, kw_only=True):
    """One attempt. outcome: LEASED PENDING RUNNING while it lives, then SUCCEEDED FAILED CANCELLED PREEMPTED,
    LEASE_RETURNED or LEASE_EXPIRED."""

    run_id: bytes
    attempt: int
    outcome: str
    cluster: str
    node: str
    pool: str
    leased_ms: int | None
    pending_ms: int | None
    started_ms: int | None
    finished_ms: int | None
    exit_code: int | None
    category: str | None
    code: str | None
    reason: str | None


class ErrorRecord(Struct, frozen=True, kw_only=True):
    """What went wrong with an attempt, in the words of the cluster. kind: of the event; containers: JSON text ("" =
    none)."""

    attempt: int
    at_ms: int
    kind: str
    code: str
    message: str
    containers: str


class JobRecord(Struct, frozen=True, kw_only=True):
    """A job and its current or last run. last_transition_ms of an ended job is its end; position: of the last event
    that changed the row."""

    job_id: bytes
    queue: str
    incarnation: int
    job_set: str
    state: JobState
    priority: int
    priority_class: str
    preemptible: bool
    deadline_s: int
    client_id: str | None
    owner: str
    namespace: str
    labels: dict[str, str]
    annotations: dict[str, str]
    services: str
    ingresses: str
    external_uri: str | None
    pools: tuple[str, ...]
    gang: Gang | None
    spec_id: bytes
    cpu_milli: int
    memory_bytes: int
    storage_bytes: int
    gpus: int
    submitted_ms: int
    last_transition_ms: int
    attempt: int
    run_id: bytes | None
    cluster: str | None
    node: str | None
    pool: str | None
    leased_ms: int | None
    pending_ms: int | None
    started_ms: int | None
    finished_ms: int | None
    exit_code: int | None
    category: str | None
    code: str | None
    reason: str | None
    requestor: str | None
    position: Position


_LABELS = msgspec.json.Decoder(dict[str, str])
_EXTRA = msgspec.json.Decoder(Extra)
_NONE = Extra()


def packed(offset: int, ordinal: int) -> int:
    """A position of one partition as a bigint."""
    return offset << ORDINAL_BITS | ordinal


async def job_records(connection: Connection, names: Names, rows: Sequence[Record]) -> list[JobRecord]:
    """Rows with `COLUMNS` as records, in the same order."""
    if not rows:
        return []
    known = await names.fetch(connection, (row[column] for row in rows for column in NAMED))
    sets = {row["id"]: row for row in await connection.fetch(JOB_SETS, list({row["job_set_id"] for row in rows}))}
    return [_record(row, known, sets[row["job_set_id"]]) for row in rows]


def _record(row: Record, names: dict[int, str], job_set: Record) -> JobRecord:
    state = STATES[row["state"]]
    extra = _EXTRA.decode(row["extra"]) if row["extra"] is not None else _NONE
    annotations = dict(text.split("=", 1) for text in row["annotations"])
    return JobRecord(
        job_id=row["job_id"],
        queue=names[row["queue_id"]],
        incarnation=job_set["incarnation"],
        job_set=job_set["name"],
        state=state,
        priority=row["priority"],
        priority_class=names[row["class_id"]],
        preemptible=row["preemptible"],
        deadline_s=row["deadline_s"],
        client_id=row["client_id"],
        owner=names[row["owner_id"]],
        namespace=names[row["namespace_id"]],
        labels=_LABELS.decode(row["labels"]),
        annotations={**annotations, **extra.annotations},
        services=extra.services,
        ingresses=extra.ingresses,
        external_uri=extra.external_uri,
        pools=extra.pools,
        gang=extra.gang,
        spec_id=row["spec_id"],
        cpu_milli=row["cpu"],
        memory_bytes=row["memory"],
        storage_bytes=row["storage"],
        gpus=row["gpus"],
        submitted_ms=time_ms_of(row["job_id"]),
        last_transition_ms=row["last_transition"],
        attempt=row["attempt"],
        run_id=row["run_id"],
        cluster=_name(names, row["cluster_id"]),
        node=_name(names, row["node_id"]),
        pool=_name(names, row["pool_id"]),
        leased_ms=row["leased"],
        pending_ms=row["pending"],
        started_ms=row["started"],
        finished_ms=row["last_transition"] if state in ENDED else None,
        exit_code=row["exit_code"],
        category=_name(names, row["category_id"]),
        code=_name(names, row["code_id"]),
        reason=row["reason"],
        requestor=row["requestor"],
        position=_position(row["job_id"], row["position"]),
    )


def last_run(job: JobRecord) -> RunRecord | None:
    """The run that stands in the job's row."""
    if job.run_id is None:
        return None
    return RunRecord(
        run_id=job.run_id,
        attempt=job.attempt,
        outcome=job.state.value,
        cluster=job.cluster or "",
        node=job.node or "",
        pool=job.pool or "",
        leased_ms=job.leased_ms,
        pending_ms=job.pending_ms,
        started_ms=job.started_ms,
        finished_ms=job.finished_ms,
        exit_code=job.exit_code,
        category=job.category,
        code=job.code,
        reason=job.reason,
    )


def earlier_run(row: Record, names: dict[int, str]) -> RunRecord:
    """A row of history_runs."""
    return RunRecord(
        run_id=row["run_id"],
        attempt=row["attempt"],
        outcome=row["outcome"],
        cluster=_name(names, row["cluster_id"]) or "",
        node=_name(names, row["node_id"]) or "",
        pool=_name(names, row["pool_id"]) or "",
        leased_ms=row["leased"],
        pending_ms=row["pending"],
        started_ms=row["started"],
        finished_ms=row["finished"],
        exit_code=row["exit_code"],
        category=_name(names, row["category_id"]),
        code=_name(names, row["code_id"]),
        reason=row["reason"],
    )


def _position(job_id: bytes, value: int) -> Position:
    return Position(job_id[6], value >> ORDINAL_BITS, value & ORDINAL_MASK)


def _name(names: dict[int, str], number: Any) -> str | None:
    return None if number is None else names.get(number, "")


assert STATE_CODES[JobState.QUEUED] == 0, "partitions of history_jobs are cut by these numbers"
