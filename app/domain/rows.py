"""Rows of the changelog tables: what argosy.state and argosy.client-ids hold, and the keys under which they stand.

argosy.state: b"j" job id, b"r" run id (a run that we ended and that is not gone), b"q" queue name, b"o" offset of
an operation (8 bytes), b"c" cluster name, b"s" settings, b"\\0position". argosy.client-ids: b"c" or b"r" (client or
request id), incarnation (8 bytes), the id. A job's row begins with one fixed field (`JobHead`) that the scheduler
reads with numpy; the offsets below are its layout.
"""

import struct
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct

from app.domain.commands import QueueSpec, RunPosition
from app.domain.events import Outcome
from app.domain.lifecycle import JobState
from app.domain.limits import QUEUES_PER_COMMAND_MAX

POSITION_KEY = b"\0position"
SETTINGS_KEY = b"s"

FLAG_MORE = 1
"""the row's `more` is set"""
FLAG_STOPPING = 2
"""a run of this job that we ended is not gone: no lease is accepted"""
FLAG_PREEMPTIBLE = 4
FLAG_GANG = 8
"""the row's `more.gang` is set"""


def incarnation_of(offset: int, index: int) -> int:
    """What tells a queue from every other, also from an earlier one of its name: the place of its creation, offset of
    the command and index in it, as one number. Of two queues of one name the younger has the higher one."""
    assert 0 <= index < QUEUES_PER_COMMAND_MAX, "a command creates a bounded number of queues"
    return offset * QUEUES_PER_COMMAND_MAX + index


def offset_of_incarnation(incarnation: int) -> int:
    """The offset of the command that created a queue of this release."""
    return incarnation // QUEUES_PER_COMMAND_MAX


def job_key(job_id: bytes) -> bytes:
    return b"j" + job_id


def run_key(run_id: bytes) -> bytes:
    return b"r" + run_id


def queue_key(name: str) -> bytes:
    return b"q" + name.encode()


def operation_key(offset: int) -> bytes:
    return b"o" + offset.to_bytes(8, "big")


def cluster_key(name: str) -> bytes:
    return b"c" + name.encode()


def client_id_key(incarnation: int, client_id: str) -> bytes:
    return b"c" + incarnation.to_bytes(8, "big") + client_id.encode()


def request_id_key(incarnation: int, request_id: str) -> bytes:
    return b"r" + incarnation.to_bytes(8, "big") + request_id.encode()


@lru_cache(maxsize=1_000_000)
def name_hash(name: str) -> int:
    """The 64-bit hash under which a name stands in a JobHead (blake2b; 0 = none)."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") if name else 0


class JobHead(NamedTuple):
    """The fixed field of a job's row. Positions are (offset, ordinal) in the job's own partition, -1 = none; times
    are log times in ms."""

    state: int
    attempt: int
    attempted: int
    flags: int
    priority: int
    scheduled_at_priority: int
    submit_ordinal: int
    leased_ordinal: int
    submit_offset: int
    leased_offset: int
    submitted_ms: int
    since_ms: int
    queue_hash: int
    pool_hash: int
    cluster_hash: int
    node_hash: int
    run_id: bytes
    shape_hash: bytes


JOB_HEAD = struct.Struct(">BBBBiiiiqqqqQQQQ16s16s")
"""Big-endian layout of JobHead; numpy:
np.dtype([('state','u1'),('attempt','u1'),('attempted','u1'),('flags','u1'),('priority','>i4'), ...])"""
JOB_HEAD_DTYPE = [
    ("state", "u1"),
    ("attempt", "u1"),
    ("attempted", "u1"),
    ("flags", "u1"),
    ("priority", ">i4"),
    ("scheduled_at_priority", ">i4"),
    ("submit_ordinal", ">i4"),
    ("leased_ordinal", ">i4"),
    ("submit_offset", ">i8"),
    ("leased_offset", ">i8"),
    ("submitted_ms", ">i8"),
    ("since_ms", ">i8"),
    ("queue_hash", ">u8"),
    ("pool_hash", ">u8"),
    ("cluster_hash", ">u8"),
    ("node_hash", ">u8"),
    ("run_id", "V16"),
    ("shape_hash", "V16"),
]
NO_RUN = bytes(16)


class JobGang(Struct, frozen=True, kw_only=True):
    """The gang of a job. Its live members of one generation are placed together: they are all queued or all active.
    The generation grows when the gang starts again, or is submitted again while it runs."""

    gang_id: str
    cardinality: int
    uniformity_label: str | None
    fail_fast: bool
    priority_class: str
    generation: int


class JobMore(Struct, frozen=True, kw_only=True):
    """What most jobs do not have: nodes of attempted runs ("cluster/node"), runs displaced by the current lease until
    it runs or is over, the stopping run, the gang. prioritized_offset: of the command that gave the job its priority
    while an older operation had still to reach it (-1 = none): that operation passes it by."""

    avoid_nodes: tuple[str, ...] = ()
    displaced: tuple[RunPosition, ...] = ()
    stopping_run: bytes | None = None
    gang: JobGang | None = None
    prioritized_offset: int = -1


class JobRow(Struct, frozen=True, kw_only=True):
    """A live job. head: JOB_HEAD; cluster, node and pool are those of the current run ("" = none)."""

    head: bytes
    queue: str
    incarnation: int
    job_set: str
    cluster: str = ""
    node: str = ""
    pool: str = ""
    pools: tuple[str, ...] = ()
    more: JobMore | None = None


class RunRow(Struct, frozen=True, kw_only=True):
    """A run that we ended and whose last word has not been said: it still holds its room on the node."""

    job_id: bytes
    attempt: int
    cluster: str
    node: str
    pool: str
    shape_hash: bytes
    leased_offset: int
    leased_ordinal: int
    ended_offset: int
    reason: str


class QueueRow(Struct, frozen=True, kw_only=True):
    """A queue. incarnation: see `incarnation_of`; of queues of an earlier release the offset alone."""

    incarnation: int
    created_ms: int
    spec: QueueSpec


class OperationRow(Struct, frozen=True, kw_only=True):
    """An open job-set command. kind: cancel or reprioritize (then with the priority); cursor: id of the last job that
    it reached; states empty = all live states."""

    kind: str
    queue: str
    incarnation: int
    job_set: str
    states: tuple[JobState, ...]
    reason: str | None
    requestor: str
    cursor: bytes
    total: int
    priority: int | None = None


class ClusterRow(Struct, frozen=True, kw_only=True):
    """The instance that speaks for a cluster."""

    cluster: str
    instance: bytes


class SettingsRow(Struct, frozen=True, kw_only=True):
    """The settings in force; version 0 are the constants of app.domain.limits."""

    version: int
    max_attempts: int
    client_id_retention_ms: int


class PositionRow(Struct, frozen=True, kw_only=True):
    """How far a partition is decided: written last in every step. offset -1, epoch -1 before the first."""

    offset: int
    epoch: int
    log_time_ms: int
    settings_version: int


class ClientIdRow(Struct, frozen=True, kw_only=True):
    """The job that a client id stands for, and when it was submitted (log time)."""

    job_id: bytes
    log_time_ms: int


class RequestIdRow(Struct, frozen=True, kw_only=True):
    """The first answer to a request id: the job ids' 14-byte prefix, what was special about the call, how many jobs
    it had."""

    prefix: bytes
    outcome: Outcome
    log_time_ms: int
    jobs: int = 0
