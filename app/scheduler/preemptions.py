"""A preemption as it is sent, and why, in the words of the log and of people."""

from app.domain.commands import Preemption, PreemptReason
from app.domain.ids import format_id
from app.scheduler.job_columns import JobColumns
from app.scheduling.decisions import PreemptionReason

REASONS = {
    PreemptionReason.FAIR_SHARE: PreemptReason.FAIR_SHARE,
    PreemptionReason.URGENCY: PreemptReason.URGENCY,
    PreemptionReason.GANG: PreemptReason.GANG,
    PreemptionReason.OVERCOMMITTED: PreemptReason.OVERCOMMITTED,
}


def preemption_of(
    jobs: JobColumns, slot: int, reason: PreemptReason, by_job: bytes | None, by_queue: str
) -> Preemption:
    """Of the current run of the job in this slot. `by_job`: who takes its room, of queue `by_queue`; None = nobody."""
    return Preemption(
        job_id=jobs.job_id(slot),
        run_id=bytes(jobs.run_id[slot]),
        attempt=int(jobs.attempt[slot]),
        reason=reason,
        by_job=by_job,
        message=message_of(reason, by_job, by_queue),
    )


def message_of(reason: PreemptReason, by_job: bytes | None, by_queue: str) -> str:
    """One sentence; "" when the reason alone says it all. by_queue: of the job that takes the room."""
    if by_job is None:
        return ""
    taker = f"job {format_id(by_job)} of queue {by_queue}" if by_queue else f"job {format_id(by_job)}"
    match reason:
        case PreemptReason.FAIR_SHARE:
            return f"its queue held more than its fair share; {taker} takes its room"
        case PreemptReason.URGENCY:
            return f"{taker} is more urgent and takes its room"
        case PreemptReason.GANG:
            return f"another member of its gang made room for {taker}"
        case _:
            return f"{taker} takes its room"
