"""The second step of a preemption: a lease that displaces runs was applied, so those runs are preempted now.

Input: the state alone, plus what this leader has on its way already. Output: preemptions by partition, for the
displaced runs that are alive while the run that displaces them is. Why a run is displaced stands beside it in the row,
so whoever leads finds the same, and a leader that died between the two steps leaves nothing hanging. A gang is
preempted with all its runs: those that no lease names are so because of the one that is named.
"""

from typing import NamedTuple

from app.domain.commands import Preemption, PreemptReason, RunPosition
from app.domain.ids import partition_of_job
from app.domain.rows import FLAG_PREEMPTIBLE
from app.scheduler.assumptions import Assumptions
from app.scheduler.job_columns import QUEUED, RUNNING, JobColumns
from app.scheduler.preemptions import preemption_of
from app.scheduler.room import active_members
from app.scheduler.state import State


class _Because(NamedTuple):
    """Slot of the job that takes the room, and why."""

    taker: int
    reason: PreemptReason


def due_preemptions(state: State, assumptions: Assumptions) -> dict[int, list[Preemption]]:
    """What to preempt now."""
    jobs = state.jobs
    named: dict[int, _Because] = {}
    for taker, positions in sorted(jobs.displaced.items(), key=lambda each: jobs.keys[each[0]]):
        if not QUEUED < jobs.state[taker] <= RUNNING:
            continue
        for position in positions:
            slot = jobs.runs.get(position.run_id)
            if slot is not None and slot != taker:
                named.setdefault(slot, _Because(taker, _reason(jobs, taker, slot, position)))
    because = dict(named)
    for slot, (taker, _) in named.items():
        for member in active_members(jobs, slot):
            if member != taker:
                because.setdefault(member, _Because(taker, PreemptReason.GANG))
    due: dict[int, list[Preemption]] = {}
    for slot, (taker, reason) in because.items():
        is_due = jobs.flags[slot] & FLAG_PREEMPTIBLE and QUEUED < jobs.state[slot] <= RUNNING
        if is_due and bytes(jobs.run_id[slot]) not in assumptions.ending_runs:
            queue = jobs.queues.name_of(int(jobs.queue[taker]))
            preemption = preemption_of(jobs, slot, reason, jobs.job_id(taker), queue)
            due.setdefault(partition_of_job(preemption.job_id), []).append(preemption)
    return due


def _reason(jobs: JobColumns, taker: int, slot: int, position: RunPosition) -> PreemptReason:
    """As the round said it; where the row is older than the field for it, as much as the priorities say."""
    if position.reason is not None:
        return position.reason
    priority = jobs.scheduled_at_priority
    return PreemptReason.URGENCY if priority[taker] > priority[slot] else PreemptReason.FAIR_SHARE
