"""Which runs and jobs the leader ends: of silent clusters, never reported, too old.

Input: job columns, silence, this leader's assumptions, settings, now. Output: expiries by partition, at most a
bounded number at once. Every run is named with its attempt, so what changed meanwhile is refused when it is
decided.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.domain.commands import ExpireKind, Expiry
from app.domain.ids import partition_of_job
from app.scheduler.assumptions import Assumptions
from app.scheduler.job_columns import LEASED, QUEUED, RUNNING
from app.scheduler.silence import HEARD_S, Silence
from app.scheduler.state import State

EXPIRIES_PER_TICK_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryRules:
    """Limits in seconds; see SchedulerSettings."""

    silent_s: float
    unreported_s: float
    age_max_s: float


class Due(NamedTuple):
    """An expiry and what it is remembered by until it is decided: the run id or, for a job without a run, its id."""

    expiry: Expiry
    key: bytes


def due_expiries(
    state: State, silence: Silence, assumptions: Assumptions, rules: ExpiryRules, now_s: float
) -> dict[int, list[Due]]:
    """What to end now, by partition."""
    jobs = state.jobs
    count = jobs.count
    live, job_state = jobs.live[:count], jobs.state[:count]
    active = live & (job_state > QUEUED) & (job_state <= RUNNING)
    aged = live & (state.log_time_ms - jobs.submitted_ms[:count] > rules.age_max_s * 1000)
    silent = active & _of_clusters(state, silence, lambda name: silence.silent_s(name) >= rules.silent_s)
    heard = _of_clusters(
        state,
        silence,
        lambda name: silence.heard_s(name) >= rules.unreported_s and silence.silent_s(name) <= HEARD_S,
    )
    unreported = active & (job_state == LEASED) & heard & (now_s - jobs.seen_s[:count] >= rules.unreported_s)
    due: dict[int, list[Due]] = {}
    found = 0
    for kind, mask in (
        (ExpireKind.AGED, aged),
        (ExpireKind.SILENT, silent & ~aged),
        (ExpireKind.UNREPORTED, unreported & ~silent & ~aged),
    ):
        for slot in np.flatnonzero(mask).tolist():
            if found >= EXPIRIES_PER_TICK_MAX:
                return due
            job_id = jobs.job_id(slot)
            run_id = bytes(jobs.run_id[slot]) if active[slot] else None
            key = run_id or job_id
            if key in assumptions.ending_runs or (run_id is None and jobs.keys[slot] in assumptions.jobs):
                continue
            expiry = Expiry(job_id=job_id, run_id=run_id, attempt=int(jobs.attempt[slot]), kind=kind)
            due.setdefault(partition_of_job(job_id), []).append(Due(expiry, key))
            found += 1
    return due


def clusters_with_runs(state: State) -> set[str]:
    """Names of the clusters that runs which are not gone belong to, as far as their names are known."""
    jobs = state.jobs
    count = jobs.count
    active = jobs.live[:count] & (jobs.state[:count] > QUEUED)
    numbers = np.unique(jobs.cluster[:count][active])
    names = {jobs.clusters.name_of(number) for number in numbers.tolist()}
    names.update(run.row.cluster for run in state.stopping.values())
    names.discard("")
    return names


def _of_clusters(state: State, silence: Silence, holds: Callable[[str], bool]) -> npt.NDArray[np.bool_]:
    """bool by slot: whether it holds for the cluster of the job's run."""
    clusters = state.jobs.clusters
    of_number = np.zeros(len(clusters) + 1, np.bool_)
    for name in silence.totals():
        number = clusters.find(name)
        if number >= 0:
            of_number[number] = holds(name)
    mask: npt.NDArray[np.bool_] = of_number[state.jobs.cluster[: state.jobs.count]]
    return mask
