"""Deciding ReportRuns: reports are levels, not edges. A later state implies the skipped ones, an earlier one than
known changes nothing, and only a wrong run, attempt, cluster or instance is refused. Retry, requeue and end are
decided on the report itself.
"""

from typing import Any

from app.domain.apply import state_of
from app.domain.commands import Report, ReportRuns, ReportState
from app.domain.decision import Deciding, is_active
from app.domain.errors import ErrorCode
from app.domain.events import StopReason
from app.domain.ids import format_id
from app.domain.leading import requeue_or_fail
from app.domain.lifecycle import EventKind, JobState
from app.domain.rows import ClusterRow, JobHead, JobRow, RunRow, cluster_key, run_key

LAST_WORDS = frozenset({ReportState.SUCCEEDED, ReportState.FAILED, ReportState.RETURNED, ReportState.GONE})


def report_runs(d: Deciding, command: ReportRuns) -> None:
    """Takes the reports one by one; one that raises is refused alone (INTERNAL) and named in `failed_items`."""
    for index, report in enumerate(command.reports):
        d.mark()
        try:
            _report(d, index, report)
        except Exception as error:
            d.roll_back()
            message = f"{type(error).__name__}: {error}"
            d.refuse(index, ErrorCode.INTERNAL, f"reports[{index}]", message, report.run_id)
            d.decision.failed_items.append((index, message))


def _report(d: Deciding, index: int, report: Report) -> None:
    path = f"reports[{index}]"
    stopping = d.state.row(run_key(report.run_id))
    if isinstance(stopping, RunRow):
        if _is_foreign(d, index, report, stopping.cluster):
            return
        if report.state in LAST_WORDS:
            d.stop(stopping.job_id, report.run_id, stopping.attempt, stopping.cluster, StopReason.GONE, gone=True)
        return
    job = d.job(report.job_id)
    if job is None:
        d.refuse(index, ErrorCode.NOT_FOUND, f"{path}.jobId", f"no live job {format_id(report.job_id)}", report.run_id)
        return
    row, head = job
    if not is_active(state_of(head)) or head.run_id != report.run_id:
        d.refuse(index, ErrorCode.CONFLICT, f"{path}.runId", "not the job's current run", report.run_id)
        return
    if head.attempt != report.attempt:
        d.refuse(index, ErrorCode.CONFLICT, f"{path}.attempt", f"the run is attempt {head.attempt}", report.run_id)
        return
    if _is_foreign(d, index, report, row.cluster):
        return
    if report.state is ReportState.GONE:
        message = "GONE answers a stop, and this run was not stopped"
        d.refuse(index, ErrorCode.CONFLICT, f"{path}.state", message, report.run_id)
        return
    _take(d, report, row, head)


def _is_foreign(d: Deciding, index: int, report: Report, cluster: str) -> bool:
    """Whether another cluster, or an instance that was replaced, speaks."""
    if report.cluster != cluster:
        path, message = "cluster", f"the run is of cluster {cluster}"
    else:
        known = d.state.row(cluster_key(cluster))
        if isinstance(known, ClusterRow) and known.instance == report.instance:
            return False
        path, message = "instance", f"another instance speaks for cluster {cluster}"
    d.refuse(index, ErrorCode.CONFLICT, f"reports[{index}].{path}", message, report.run_id)
    return True


def _take(d: Deciding, report: Report, row: JobRow, head: JobHead) -> None:
    """Brings the job to the level reported."""
    before = state_of(head)
    ran = report.state in (ReportState.RUNNING, ReportState.SUCCEEDED)
    ran = ran or (report.state is ReportState.FAILED and report.exit_code is not None)
    steps = []
    if before is JobState.LEASED and (ran or report.state is ReportState.PENDING):
        steps.append(EventKind.PENDING)
    if before in (JobState.LEASED, JobState.PENDING) and ran:
        steps.append(EventKind.RUNNING)
    if before is JobState.LEASED and report.state in (ReportState.PENDING, ReportState.RUNNING):
        d.decision.reported.append(report.run_id)
    for kind in steps:
        is_level = kind == report.state.value
        details = _details(report) if is_level else _where(report)
        d.event(report.job_id, row, head, kind, **details)
        job = d.job(report.job_id)
        assert job is not None
        row, head = job
    if report.state in LAST_WORDS:
        _end(d, report, row, head)
    if steps or report.state in LAST_WORDS:
        d.affect(report.job_id)


def _end(d: Deciding, report: Report, row: JobRow, head: JobHead) -> None:
    d.stop(report.job_id, report.run_id, head.attempt, row.cluster, StopReason.FINISHED, gone=True)
    details = _details(report)
    if report.state is ReportState.SUCCEEDED:
        d.event(report.job_id, row, head, EventKind.SUCCEEDED, terminal=True, **details)
    elif report.state is ReportState.FAILED:
        d.event(report.job_id, row, head, EventKind.FAILED, terminal=True, retryable=False, **details)
    else:
        run: dict[str, Any] = {"run_id": head.run_id, "cluster": row.cluster, "node": row.node, "pool": row.pool}
        d.event(report.job_id, row, head, EventKind.LEASE_RETURNED, attempted=report.attempted, **run, **details)
        job = d.job(report.job_id)
        assert job is not None
        requeue_or_fail(d, report.job_id, attempts_left=job[1].attempted < d.settings.max_attempts, **run)


def _where(report: Report) -> dict[str, Any]:
    """The fields of Event that say where a run stands."""
    return {"pod": report.pod, "namespace": report.namespace, "cluster_time_ms": report.time_ms}


def _details(report: Report) -> dict[str, Any]:
    """The fields of Event that come from the report."""
    return {
        **_where(report),
        "reason_code": report.reason,
        "reason": report.message,
        "exit_code": report.exit_code,
        "category": report.category,
        "containers": report.containers,
    }
