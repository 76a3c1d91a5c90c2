"""Which rows deciding a command will read: so that a store can fetch them in one go before."""

from app.domain.commands import (
    BeginInstance,
    CancelJobs,
    CancelJobSet,
    Command,
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
    SubmitJobs,
    UpdateQueues,
)
from app.domain.rows import POSITION_KEY, SETTINGS_KEY, cluster_key, job_key, queue_key, run_key


def keys_read(command: Command) -> tuple[list[bytes], list[bytes]]:
    """Keys of argosy.state and of argosy.client-ids. A hint: rows that depend on other rows (client ids on the
    queue's incarnation) are read when they are needed."""
    keys = [POSITION_KEY, SETTINGS_KEY]
    if isinstance(command, SubmitJobs):
        keys.append(queue_key(command.queue))
        keys.extend(job_key(item.job_id) for item in command.jobs)
    elif isinstance(command, ReportRuns):
        for report in command.reports:
            keys += (run_key(report.run_id), job_key(report.job_id))
        keys.extend(cluster_key(name) for name in sorted({report.cluster for report in command.reports}))
    elif isinstance(command, LeaseJobs):
        for lease in command.leases:
            keys += (run_key(lease.run_id), job_key(lease.job_id))
    elif isinstance(command, ExpireRuns):
        for expiry in command.expiries:
            keys.append(job_key(expiry.job_id))
            if expiry.run_id is not None:
                keys.append(run_key(expiry.run_id))
    elif isinstance(command, PreemptRuns):
        for preemption in command.preemptions:
            keys += (run_key(preemption.run_id), job_key(preemption.job_id))
    elif isinstance(command, RejectJobs):
        keys.extend(job_key(rejection.job_id) for rejection in command.rejections)
    elif isinstance(command, CancelJobs | ReprioritizeJobs | PreemptJobs):
        keys.extend(job_key(job_id) for job_id in command.job_ids)
    elif isinstance(command, CancelJobSet | ReprioritizeJobSet):
        keys.append(queue_key(command.queue))
    elif isinstance(command, DeleteQueues):
        keys.extend(map(queue_key, command.names))
    elif isinstance(command, CreateQueues | UpdateQueues):
        keys.extend(queue_key(spec.name) for spec in command.queues)
    elif isinstance(command, BeginInstance):
        keys.append(cluster_key(command.cluster))
    return keys, []
