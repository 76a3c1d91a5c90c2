"""What an executor needs of a job, as one value in a row of view leases: written by the view, read by the query of
the executors' sync."""

import msgspec
from msgspec import Struct

from app.domain.commands import Gang, RunPosition


class LeaseJob(Struct, frozen=True, kw_only=True, array_like=True):
    """Queue, job set and what JobData holds of a job beside its spec. services and ingresses: JSON text ("" = none).
    Fields are added at the end, with a default: rows of earlier releases have fewer."""

    queue: str
    job_set: str
    owner: str
    groups: tuple[str, ...]
    namespace: str
    preemptible: bool
    deadline_s: int
    labels: dict[str, str]
    annotations: dict[str, str]
    services: str
    ingresses: str
    gang: Gang | None = None


_JOBS = msgspec.msgpack.Decoder(LeaseJob)
_DISPLACED = msgspec.msgpack.Decoder(tuple[RunPosition, ...])
_ENCODER = msgspec.msgpack.Encoder()


def encode_job(job: LeaseJob) -> bytes:
    """The column `job`."""
    return _ENCODER.encode(job)


def decode_job(value: bytes) -> LeaseJob:
    """The column `job`."""
    return _JOBS.decode(value)


def encode_displaced(runs: tuple[RunPosition, ...]) -> bytes | None:
    """The column `displaced`; None for none."""
    return _ENCODER.encode(runs) if runs else None


def decode_displaced(value: bytes | None) -> tuple[RunPosition, ...]:
    """The column `displaced`."""
    return _DISPLACED.decode(value) if value is not None else ()
