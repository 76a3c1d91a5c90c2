"""What users ask of jobs and queues beside submitting and cancelling: plausible mostly, wrong now and then.

Input: the generator of the load and a partition as the load sees it. Output: a command.
"""

import random
from collections.abc import Sequence

from app.domain.commands import (
    Command,
    DeleteQueues,
    PreemptJobs,
    Principal,
    QueueChange,
    ReprioritizeJobs,
    ReprioritizeJobSet,
    UpdateQueues,
)
from tests.faults.load_parts import Part


def a_request(some: random.Random, part: Part, jobs: Sequence[bytes], principal: Principal) -> Command:
    """One of the verbs; `jobs`: some live ones."""
    ids = tuple(jobs) + ((some.randbytes(16),) if some.random() < 0.2 else ())
    priority = some.randrange(100) if some.random() < 0.97 else -1
    queue, job_set = some.choice(part.queues), f"set-{some.randrange(6)}"
    match some.randrange(8):
        case 0 | 1 | 2:
            return ReprioritizeJobs(principal=principal, job_ids=ids, priority=priority, reason="load")
        case 3 | 4:
            active = tuple(job for job in ids if job not in part.jobs or part.jobs[job].run_id)
            return PreemptJobs(principal=principal, job_ids=active if some.random() < 0.8 else ids, reason="load")
        case 5:
            return ReprioritizeJobSet(principal=principal, queue=queue, job_set=job_set, priority=priority)
        case 6:
            return UpdateQueues(principal=principal, queues=(_a_change(some, queue), _a_change(some, "unknown")))
        case _:
            # Queues of the load have jobs; so mostly nothing comes of it.
            return DeleteQueues(principal=principal, names=("unknown",) if some.random() < 0.9 else (queue,))


def _a_change(some: random.Random, name: str) -> QueueChange:
    return QueueChange(
        name=name,
        priority_factor=some.choice((None, 1.0, 2.5, -1.0)),
        cordoned=some.choice((None, False, True)),
        owners=some.choice((None, (), ("alice",))),
        labels=some.choice((None, {}, {"team": "b"})),
    )
