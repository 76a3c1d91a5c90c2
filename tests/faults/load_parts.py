"""The partitions of an installation as a load sees them: what it needs to make plausible commands.

Input: decisions. Output: `Part`, brought up to them by `note`.
"""

from dataclasses import dataclass, field

from app.domain.commands import Command, Gang, SubmitJobs
from app.domain.decide import Decision
from app.domain.lifecycle import EventKind, JobState
from app.domain.memory import MemoryState


@dataclass(slots=True)
class Run:
    """What the load knows of a live job."""

    queue: str
    job_set: str
    attempt: int = 0
    state: JobState = JobState.QUEUED
    run_id: bytes = b""
    cluster: str = ""
    gang: Gang | None = None
    generation: int = 0


@dataclass(slots=True)
class Part:
    """One partition as the load sees it."""

    number: int
    queues: list[str]
    state: MemoryState = field(default_factory=MemoryState)
    offset: int = -1
    epoch: int = -1
    version: int = 0
    instances: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[bytes, Run] = field(default_factory=dict)
    stopping: dict[bytes, tuple[bytes, str, int]] = field(default_factory=dict)
    """run id -> job id, cluster, attempt"""
    calls: list[SubmitJobs] = field(default_factory=list)
    opening: list[Command] = field(default_factory=list)


def note(part: Part, decision: Decision) -> None:
    """What was decided becomes what the load knows."""
    gangs = {data.job_id: data.gang for data in decision.jobs}
    for job_set, event in decision.events:
        if event.kind is EventKind.SUBMITTED:
            part.jobs[event.job_id] = Run(
                job_set.queue, job_set.job_set, gang=gangs[event.job_id], generation=event.gang_generation or 0
            )
        elif event.terminal:
            part.jobs.pop(event.job_id)
        else:
            run = part.jobs[event.job_id]
            run.state, run.attempt = event.after, event.attempt
            if event.gang_generation is not None:
                run.generation = event.gang_generation
            if event.after is JobState.QUEUED:
                run.run_id = b""
            elif event.run_id is not None:
                run.run_id, run.cluster = event.run_id, event.cluster or ""
    for stop in decision.stops:
        if stop.gone:
            part.stopping.pop(stop.run_id, None)
        else:
            part.stopping[stop.run_id] = (stop.job_id, stop.cluster, stop.attempt)
