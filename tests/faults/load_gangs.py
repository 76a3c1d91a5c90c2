"""What the load does with gangs, preemption and rejection: plausible mostly, wrong now and then.

Input: the generator of the load and a partition as the load sees it. Outputs: parts of commands.
"""

import random
from collections.abc import Sequence

from msgspec.structs import replace

from app.domain.commands import (
    Gang,
    Lease,
    Preemption,
    PreemptReason,
    PreemptRuns,
    Rejection,
    RejectJobs,
    RunPosition,
)
from app.domain.lifecycle import JobState
from tests.faults.load_parts import Part


def a_gang(some: random.Random) -> Gang:
    """One of 60 gangs, sometimes with another cardinality than its members had before."""
    number = some.randrange(60)
    cardinality = 1 + number % 4 if some.random() < 0.95 else some.choice((-1, 0, 5, 10_001))
    label = "zone" if number % 5 == 0 else None
    return Gang(gang_id=f"gang-{number}", cardinality=cardinality, uniformity_label=label, fail_fast=number % 3 == 0)


def whole_gangs(some: random.Random, part: Part, queued: Sequence[bytes]) -> list[bytes]:
    """These queued jobs and mostly all that wait with them, mostly of complete gangs only."""
    if some.random() < 0.15:
        return list(queued)
    waiting: dict[tuple[str, str, int], list[bytes]] = {}
    for job_id, run in part.jobs.items():
        if run.gang is not None and run.state is JobState.QUEUED:
            waiting.setdefault((run.queue, run.gang.gang_id, run.generation), []).append(job_id)
    # Every complete one: which of them a round would take is no matter here.
    whole = [
        job_id
        for members in waiting.values()
        if len(members) == _cardinality(part, members[0]) and some.random() < 0.7
        for job_id in members
    ]
    return [job_id for job_id in queued if part.jobs[job_id].gang is None] + whole


def _cardinality(part: Part, job_id: bytes) -> int:
    gang = part.jobs[job_id].gang
    return gang.cardinality if gang is not None else 1


def displaced(some: random.Random, part: Part) -> tuple[RunPosition, ...]:
    """Runs that a lease displaces; that they are active does not matter to deciding."""
    if some.random() < 0.8:
        return ()
    runs = [run.run_id for run in part.jobs.values() if run.run_id][: some.randrange(1, 4)]
    return tuple(RunPosition(run_id=run, partition=part.number, offset=part.offset, ordinal=0) for run in runs)


def preempt(some: random.Random, part: Part, jobs: Sequence[bytes]) -> PreemptRuns:
    """The active ones among some jobs, and a stranger now and then."""
    items = [
        Preemption(
            job_id=job_id,
            run_id=part.jobs[job_id].run_id or some.randbytes(16),
            attempt=part.jobs[job_id].attempt + (some.random() < 0.03),
            reason=some.choice(list(PreemptReason)),
            by_job=some.randbytes(16) if some.random() < 0.5 else None,
            message="the load" if some.random() < 0.5 else "",
        )
        for job_id in jobs
        if part.jobs[job_id].run_id or some.random() < 0.05
    ]
    return PreemptRuns(epoch=part.epoch - (some.random() < 0.05), preemptions=tuple(items))


def reject(some: random.Random, part: Part, jobs: Sequence[bytes]) -> RejectJobs:
    """The queued ones among some jobs, and others now and then."""
    items = [
        Rejection(
            job_id=job_id,
            attempt=part.jobs[job_id].attempt + (some.random() < 0.03),
            reason_code="FitsNowhere",
            reason="the load says so",
        )
        for job_id in jobs
        if part.jobs[job_id].state is JobState.QUEUED or some.random() < 0.1
    ]
    return RejectJobs(epoch=part.epoch - (some.random() < 0.05), rejections=tuple(items))


def with_displaced(some: random.Random, part: Part, lease: Lease) -> Lease:
    """The lease, displacing somebody now and then."""
    runs = displaced(some, part)
    return replace(lease, displaced=runs) if runs else lease
