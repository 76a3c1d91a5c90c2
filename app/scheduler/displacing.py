"""The second step of a preemption: a lease that displaces runs was applied, so those runs are preempted now.

Input: the state alone, plus what this leader has on its way already. Output: preemptions by partition, for the
displaced runs that are alive while the run that displaces them is. Whoever leads finds them, so a leader that died
between the two steps leaves nothing hanging. A gang is preempted with all its runs.
"""

from collections.abc import Mapping

from app.domain.commands import Preemption, PreemptReason
from app.domain.ids import partition_of_job
from app.domain.rows import FLAG_PREEMPTIBLE
from app.scheduler.assumptions import Assumptions
from app.scheduler.job_columns import QUEUED, RUNNING
from app.scheduler.preemptions import preemption_of
from app.scheduler.room import active_members
from app.scheduler.state import State


def due_preemptions(
    state: State, assumptions: Assumptions, reasons: Mapping[bytes, PreemptReason]
) -> dict[int, list[Preemption]]:
    """What to preempt now. `reasons`: what rounds of this leader said of runs, by run id."""
    jobs = state.jobs
    due: dict[int, list[Preemption]] = {}
    seen: set[int] = set()
    for taker, positions in sorted(jobs.displaced.items(), key=lambda each: jobs.keys[each[0]]):
        if not QUEUED < jobs.state[taker] <= RUNNING:
            continue
        for position in positions:
            slot = jobs.runs.get(position.run_id)
            if slot is None:
                continue
            for member in (slot, *active_members(jobs, slot)):
                run_id = bytes(jobs.run_id[member])
                is_due = jobs.flags[member] & FLAG_PREEMPTIBLE and QUEUED < jobs.state[member] <= RUNNING
                if member in seen or member == taker or not is_due or run_id in assumptions.ending_runs:
                    continue
                seen.add(member)
                reason = reasons.get(run_id)
                if reason is None:
                    reason = _guess(state, taker, member) if member == slot else PreemptReason.GANG
                queue = jobs.queues.name_of(int(jobs.queue[taker]))
                preemption = preemption_of(jobs, member, reason, jobs.job_id(taker), queue)
                due.setdefault(partition_of_job(preemption.job_id), []).append(preemption)
    return due


def _guess(state: State, taker: int, member: int) -> PreemptReason:
    """What the round of an earlier leader had in mind: it said so in its record; the priorities say as much."""
    priority = state.jobs.scheduled_at_priority
    return PreemptReason.URGENCY if priority[taker] > priority[member] else PreemptReason.FAIR_SHARE
