"""Deciding the leader's commands: epochs, settings, leases, expiry; and which executor instance speaks for a
cluster."""

from typing import Any

from app.domain.apply import state_of
from app.domain.changes import EpochBegun, InstanceBegun, SettingsChanged
from app.domain.commands import BeginEpoch, BeginInstance, ExpireKind, ExpireRuns, Expiry, Lease, LeaseJobs, Settings
from app.domain.decision import Deciding, Why, is_active
from app.domain.errors import ErrorCode
from app.domain.events import Event, LeaseData, StopReason
from app.domain.gangs import refused_gangs, restart
from app.domain.ids import format_id
from app.domain.lifecycle import EventKind, JobState
from app.domain.limits import ATTEMPTS_TOTAL_MAX, DISPLACED_PER_LEASE_MAX
from app.domain.rows import FLAG_STOPPING, ClusterRow, JobHead, JobRow, RunRow, SettingsRow, run_key


def begin_epoch(d: Deciding, command: BeginEpoch) -> None:
    """A leader begins; only a higher epoch than any before is accepted."""
    if command.epoch <= d.epoch:
        d.refuse(-1, ErrorCode.CONFLICT, "epoch", f"epoch {command.epoch} is not above {d.epoch}")
        return
    d.change(EpochBegun(command.epoch))


def change_settings(d: Deciding, command: Settings) -> None:
    """The leader's settings replace those in force when their version is higher."""
    if is_stale(d, command.epoch):
        return
    if command.version <= d.settings.version:
        d.refuse(-1, ErrorCode.CONFLICT, "version", f"version {command.version} is not above {d.settings.version}")
        return
    if command.max_attempts < 1 or command.client_id_retention_ms < 0:
        d.refuse(
            -1, ErrorCode.INVALID, "settings", "max_attempts must be at least 1, client_id_retention_ms not negative"
        )
        return
    row = SettingsRow(
        version=command.version,
        max_attempts=command.max_attempts,
        client_id_retention_ms=command.client_id_retention_ms,
    )
    d.change(SettingsChanged(row))


def begin_instance(d: Deciding, command: BeginInstance) -> None:
    """The log's order says which instance is the newer one."""
    d.change(InstanceBegun(ClusterRow(cluster=command.cluster, instance=command.instance)))


def lease_jobs(d: Deciding, command: LeaseJobs) -> None:
    """Gives queued jobs their runs; a job that has changed since the round keeps its state and the lease is refused,
    and with it those of its whole gang."""
    if is_stale(d, command.epoch):
        return
    of_gangs = refused_gangs(d, command.leases, _why_not)
    for index, lease in enumerate(command.leases):
        why = of_gangs.get(index) or _why_not(d, lease)
        if why is None:
            job = d.job(lease.job_id)
            assert job is not None
            _lease(d, lease, *job)
        d.answer("leases", index, lease.job_id, why, lease.run_id)


def expire_runs(d: Deciding, command: ExpireRuns) -> None:
    """Ends the named runs, where they are still what the leader saw."""
    if is_stale(d, command.epoch):
        return
    for index, expiry in enumerate(command.expiries):
        why = _expire(d, expiry)
        if why is None:
            d.affect(expiry.job_id)
        else:
            d.refuse(index, ErrorCode.CONFLICT, f"expiries[{index}]", why, expiry.run_id or expiry.job_id)


def requeue_or_fail(d: Deciding, job_id: bytes, attempts_left: bool, **run: Any) -> None:
    """After a run has left its job: the job waits again under the next attempt, with its whole gang if it is of one,
    or fails where it may not."""
    job = d.job(job_id)
    assert job is not None
    row, head = job
    why = None
    if not attempts_left or head.attempt >= ATTEMPTS_TOTAL_MAX:
        runs = f"{head.attempted} attempted runs and {head.attempt + 1} in all"
        why = "MaxRunsExceeded", f"{runs} were returned or lost: no more are made"
    elif row.more is None or row.more.gang is None:
        d.event(job_id, row, head, EventKind.QUEUED, attempt=head.attempt + 1)
    else:
        why = restart(d, job_id, row, row.more.gang)
    if why is not None:
        code, reason = why
        d.event(
            job_id, row, head, EventKind.FAILED, terminal=True, reason_code=code, reason=reason, retryable=False, **run
        )


def is_stale(d: Deciding, epoch: int) -> bool:
    """Refuses the command of a leader that leads no more, or not yet."""
    if epoch == d.epoch:
        return False
    d.refuse(-1, ErrorCode.CONFLICT, "epoch", f"epoch {epoch} does not lead, {d.epoch} does")
    return True


def _why_not(d: Deciding, lease: Lease) -> Why | None:
    if len(lease.displaced) > DISPLACED_PER_LEASE_MAX:
        message = f"{len(lease.displaced)} displaced runs, at most {DISPLACED_PER_LEASE_MAX}"
        return ErrorCode.INVALID, "displaced", message
    job = d.job(lease.job_id)
    if job is None:
        return ErrorCode.NOT_FOUND, "jobId", f"no live job {format_id(lease.job_id)}"
    row, head = job
    state = state_of(head)
    if state is not JobState.QUEUED:
        return ErrorCode.CONFLICT, "jobId", f"the job is {state}"
    if head.attempt != lease.attempt:
        return ErrorCode.CONFLICT, "attempt", f"the job stands at attempt {head.attempt}"
    if head.flags & FLAG_STOPPING:
        return ErrorCode.CONFLICT, "jobId", "a run of the job is still stopping"
    if row.more is not None and row.more.avoid_nodes and f"{lease.cluster}/{lease.node}" in row.more.avoid_nodes:
        return ErrorCode.CONFLICT, "node", f"the job was attempted on {lease.node} before"
    if d.state.row(run_key(lease.run_id)) is not None:
        return ErrorCode.CONFLICT, "runId", "the run id is in use"
    return None


def _lease(d: Deciding, lease: Lease, row: JobRow, head: JobHead) -> None:
    ordinal = d.ordinal()
    data = LeaseData(
        ordinal=ordinal,
        run_id=lease.run_id,
        job_id=lease.job_id,
        attempt=head.attempt,
        cluster=lease.cluster,
        node=lease.node,
        pool=lease.pool,
        displaced=lease.displaced,
    )
    event = Event(
        ordinal=ordinal,
        kind=EventKind.LEASED,
        job_id=lease.job_id,
        before=JobState.QUEUED,
        after=JobState.LEASED,
        attempt=head.attempt,
        run_id=lease.run_id,
        cluster=lease.cluster,
        node=lease.node,
        pool=lease.pool,
    )
    d.leased(row, event, data, lease.scheduled_at_priority)


def _expire(d: Deciding, expiry: Expiry) -> str | None:
    """Ends one run or job; returns why not."""
    stopping = d.state.row(run_key(expiry.run_id)) if expiry.run_id is not None else None
    if isinstance(stopping, RunRow):
        if expiry.kind is not ExpireKind.FORGOTTEN:
            return "the run is stopping already"
        d.stop(stopping.job_id, expiry.run_id or b"", stopping.attempt, stopping.cluster, StopReason.GONE, gone=True)
        return None
    job = d.job(expiry.job_id)
    if job is None:
        return f"no live job {format_id(expiry.job_id)}"
    row, head = job
    active = is_active(state_of(head))
    if (head.run_id if active else None) != expiry.run_id or head.attempt != expiry.attempt:
        return f"the job stands at attempt {head.attempt} with another run or none"
    if expiry.kind is ExpireKind.AGED:
        if active:
            d.stop(expiry.job_id, head.run_id, head.attempt, row.cluster, StopReason.EXPIRED, gone=False)
        reason = "the job is older than the log is kept"
        d.event(
            expiry.job_id,
            row,
            head,
            EventKind.FAILED,
            terminal=True,
            reason_code="Aged",
            reason=reason,
            retryable=False,
        )
        return None
    if not active:
        return "the job has no run"
    _run_expired(d, expiry, row, head)
    return None


def _run_expired(d: Deciding, expiry: Expiry, row: JobRow, head: JobHead) -> None:
    code, reason = _EXPIRED[expiry.kind]
    gone = expiry.kind is ExpireKind.FORGOTTEN
    d.stop(
        expiry.job_id,
        head.run_id,
        head.attempt,
        row.cluster,
        StopReason.GONE if gone else StopReason.EXPIRED,
        gone=gone,
    )
    run: dict[str, Any] = {"run_id": head.run_id, "cluster": row.cluster, "node": row.node, "pool": row.pool}
    d.event(expiry.job_id, row, head, EventKind.LEASE_EXPIRED, reason_code=code, reason=reason, attempted=False, **run)
    if expiry.kind is ExpireKind.SILENT:
        job = d.job(expiry.job_id)
        assert job is not None
        d.event(
            expiry.job_id,
            *job,
            EventKind.FAILED,
            terminal=True,
            reason_code=code,
            reason=reason,
            retryable=False,
            **run,
        )
    else:
        requeue_or_fail(d, expiry.job_id, attempts_left=True, **run)


_EXPIRED = {
    ExpireKind.SILENT: ("LeaseExpired", "the cluster has not been heard for too long"),
    ExpireKind.UNREPORTED: ("NeverReported", "the cluster is heard but never reported this run"),
    ExpireKind.FORGOTTEN: ("ClusterForgotten", "the cluster was declared dead"),
}
