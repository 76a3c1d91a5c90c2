"""`decide`: what a command yields, as a pure function of the state and the log.

No clock, no randomness, no configuration, no I/O: the same commands give the same decisions under any hash seed. It
writes only to the overlay's layer of the command in hand; a raise is a bug, and the caller drops the layer, refuses
the command and goes on.
"""

from app.domain.cancelling import cancel_job_set, cancel_jobs, reach_to_cancel
from app.domain.changes import IdForgotten
from app.domain.commands import (
    BeginEpoch,
    BeginInstance,
    CancelJobs,
    CancelJobSet,
    Command,
    Continue,
    CreateQueues,
    DeleteQueues,
    ExpireRuns,
    LeaseJobs,
    PreemptJobs,
    PreemptRuns,
    RejectJobs,
    ReportRuns,
    ReprioritizeJobs,
    ReprioritizeJobSet,
    Settings,
    SubmitJobs,
    UpdateQueues,
)
from app.domain.decision import Deciding, Decision
from app.domain.leading import begin_epoch, begin_instance, change_settings, expire_runs, lease_jobs
from app.domain.limits import CLIENT_IDS_EXPIRED_PER_COMMAND_MAX
from app.domain.operations import CANCEL, REPRIORITIZE, Reach, move_operations_on
from app.domain.preempting import preempt_runs, reject_jobs
from app.domain.preempting_on_request import preempt_jobs
from app.domain.queues import create_queues, delete_queues, update_queues
from app.domain.reporting import report_runs
from app.domain.reprioritizing import reach_to_reprioritize, reprioritize_job_set, reprioritize_jobs
from app.domain.state import Overlay
from app.domain.submitting import submit_jobs

__all__ = ["Decision", "decide"]

_REACH: dict[str, Reach] = {CANCEL: reach_to_cancel, REPRIORITIZE: reach_to_reprioritize}


def decide(state: Overlay, command: Command, partition: int, offset: int, log_time_ms: int) -> Decision:
    """Decides the command at `offset` of `partition`; `log_time_ms` is the running maximum of the broker's append
    times.

    The changes stand in the overlay; the caller keeps or drops them."""
    d = Deciding(state, partition, offset, log_time_ms)
    operation = False
    match command:
        case SubmitJobs():
            submit_jobs(d, command)
        case ReportRuns():
            report_runs(d, command)
        case LeaseJobs():
            lease_jobs(d, command)
        case CancelJobs():
            cancel_jobs(d, command)
        case CancelJobSet():
            operation = cancel_job_set(d, command)
        case ReprioritizeJobs():
            reprioritize_jobs(d, command)
        case ReprioritizeJobSet():
            operation = reprioritize_job_set(d, command)
        case PreemptJobs():
            preempt_jobs(d, command)
        case ExpireRuns():
            expire_runs(d, command)
        case PreemptRuns():
            preempt_runs(d, command)
        case RejectJobs():
            reject_jobs(d, command)
        case CreateQueues():
            create_queues(d, command)
        case UpdateQueues():
            update_queues(d, command)
        case DeleteQueues():
            delete_queues(d, command)
        case BeginInstance():
            begin_instance(d, command)
        case BeginEpoch():
            begin_epoch(d, command)
        case Settings():
            change_settings(d, command)
        case Continue():
            pass
    _forget_ids(d)
    move_operations_on(d, _REACH)
    return d.finish(operation=operation)


def _forget_ids(d: Deciding) -> None:
    """Deletes client and request ids that no longer count, oldest first, a bounded number with each command."""
    horizon_ms = d.log_time_ms - d.settings.client_id_retention_ms
    for key in d.state.oldest_ids(horizon_ms + 1, CLIENT_IDS_EXPIRED_PER_COMMAND_MAX):
        d.change(IdForgotten(key))
