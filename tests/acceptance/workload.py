"""What is submitted, and what must become of it: drawn from a seed, as pure data.

Outputs: calls of ten job sets, in the words of the API; each job with its natural end (what happens when nobody cancels
it) and whether and how somebody does.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

QUEUES = ("amber", "birch", "cedar", "dune", "ember")
JOB_SETS = 10
JOBS = 10_000
CALL_SIZES = (1, 1, 10, 30, 60, 100)
UNKNOWN_IMAGE = "registry.example.com/team/unknown:missing"
REPEATED_CALLS = 0.06
"""of the calls are sent again after their answer"""
CLIENT_ID_CALLS = 0.1
"""of the calls give each job a client id"""
DEFAULT, PREEMPTIBLE, URGENT = "argosy-default", "argosy-preemptible", "argosy-urgent"
PRIORITY_CLASSES = {
    DEFAULT: {"priority": 1000, "preemptible": False},
    PREEMPTIBLE: {"priority": 1000, "preemptible": True},
    URGENT: {"priority": 2000, "preemptible": False},
}
GANG_CALLS = 0.4
"""of the calls with at least 10 jobs begin with a gang"""


class Cancel(StrEnum):
    """Whether and how a job is cancelled."""

    NEVER = "never"
    BY_ID = "by id"
    WITH_SET = "with its job set"


@dataclass(frozen=True, slots=True)
class End:
    """How a job ends when nobody cancels it. code: the reason code of a failure."""

    state: str
    exit_code: int | None
    code: str | None


SUCCESS = End("SUCCEEDED", 0, None)
NO_IMAGE = End("FAILED", None, "ImageNotFound")


@dataclass(slots=True)
class PlannedJob:
    """A job of a call. cancel_after_s: from the answer of its call, for BY_ID; job_id: once it is known; gang: its
    name, unique in the plan."""

    input: dict[str, Any]
    end: End
    cancel: Cancel
    cancel_after_s: float = 0.0
    job_id: str = ""
    gang: str | None = None

    @property
    def is_preemptible(self) -> bool:
        """Whether it may end as PREEMPTED."""
        return bool(self.input["priorityClass"] == PREEMPTIBLE)


@dataclass(slots=True)
class PlannedCall:
    """One submit call. repeat: it is sent again after it was answered."""

    request_id: str
    pod_specs: list[dict[str, Any]]
    jobs: list[PlannedJob]
    repeat: bool = False


@dataclass(slots=True)
class PlannedSet:
    """A job set. cancelled_after_call: after so many of its calls the whole set is cancelled (None: never)."""

    queue: str
    name: str
    calls: list[PlannedCall] = field(default_factory=list)
    cancelled_after_call: int | None = None

    @property
    def jobs(self) -> list[PlannedJob]:
        return [job for call in self.calls for job in call.jobs]


class Workload:
    """The whole plan; the same seed gives the same."""

    def __init__(self, seed: int, jobs: int = JOBS, job_sets: int = JOB_SETS) -> None:
        self._random = Random(seed)
        self._seed = seed
        self.job_sets = [self._job_set(number, jobs // job_sets) for number in range(job_sets)]

    def _job_set(self, number: int, jobs: int) -> PlannedSet:
        made = PlannedSet(QUEUES[number % len(QUEUES)], f"set-{number}")
        # Two of ten, of different queues, are cancelled as a whole on the way: what comes later runs.
        is_cancelled = number % 6 == 3
        left = jobs
        while left:
            size = min(left, self._random.choice(CALL_SIZES))
            early = left > jobs * 2 // 3
            made.calls.append(self._call(number, len(made.calls), size, early=early))
            left -= size
        if is_cancelled:
            made.cancelled_after_call = len(made.calls) * 3 // 5
            for call in made.calls[: made.cancelled_after_call]:
                for job in call.jobs:
                    job.cancel = Cancel.WITH_SET
        return made

    def _call(self, job_set: int, number: int, size: int, *, early: bool) -> PlannedCall:
        shared = [self._draw(early=early) for _ in range(min(size, 4))]
        with_ids = self._random.random() < CLIENT_ID_CALLS
        jobs = []
        for index in range(size):
            own = self._random.random() < 0.1
            spec, end = self._draw(early=early) if own else self._random.choice(shared)
            item: dict[str, Any] = {
                "priority": self._random.randrange(5),
                "priorityClass": self._random.choices((DEFAULT, PREEMPTIBLE, URGENT), (80, 17, 3))[0],
                "labels": {"app": "acceptance", "set": str(job_set)},
                "annotations": {"example.com/call": str(number), "example.com/index": str(index)},
            }
            if own:
                item["podSpec"] = spec
            else:
                item["podSpecIndex"] = next(at for at, (each, _) in enumerate(shared) if each is spec)
            if with_ids:
                item["clientId"] = f"{job_set}-{number}-{index}"
            jobs.append(self._planned(item, end))
        if size >= 10 and self._random.random() < GANG_CALLS:
            self._make_gang(jobs[: self._random.choice((2, 3, 4))], f"gang-{job_set}-{number}")
        return PlannedCall(
            request_id=f"r{self._seed}-{job_set}-{number}",
            pod_specs=[spec for spec, _ in shared],
            jobs=jobs,
            repeat=self._random.random() < REPEATED_CALLS,
        )

    def _make_gang(self, members: list[PlannedJob], name: str) -> None:
        """These jobs start together or not at all. Nobody cancels one of them: the others would wait for ever."""
        gang = {
            "id": name,
            "cardinality": len(members),
            "uniformityLabel": self._random.choice((None, "kubernetes.io/arch")),
            "failFast": self._random.random() < 0.5,
        }
        for member in members:
            member.gang = name
            member.input |= {"gang": gang, "priorityClass": DEFAULT}
            if member.cancel is Cancel.BY_ID:
                member.cancel = Cancel.NEVER

    def _planned(self, item: dict[str, Any], end: End) -> PlannedJob:
        if self._random.random() < 0.05:
            return PlannedJob(item, end, Cancel.BY_ID, cancel_after_s=self._random.uniform(0.0, 6.0))
        return PlannedJob(item, end, Cancel.NEVER)

    def _draw(self, *, early: bool) -> tuple[dict[str, Any], End]:
        """A pod spec and its natural end. An unknown image takes a while to be given up: only early ones have it."""
        seconds = self._random.choice((1, 2, 3, 4, 5))
        kind = self._random.random()
        if kind < 0.08:
            code = self._random.choice((1, 2, 3, 137))
            return self._pod(["sh", "-c", f"sleep {seconds}; exit {code}"]), End("FAILED", code, "ExitCode")
        if kind < 0.1 and early:
            return self._pod(["sleep", str(seconds)], image=UNKNOWN_IMAGE), NO_IMAGE
        if kind < 0.13:
            spec = self._pod(["sleep", str(seconds)])
            spec["initContainers"] = [_container("prepare", ["sleep", "1"], "500m")]
            return spec, SUCCESS
        return self._pod(["sleep", str(seconds)]), SUCCESS

    def _pod(self, command: list[str], *, image: str = "busybox:1.37") -> dict[str, Any]:
        cpu = self._random.choice(("1", "1", "2", "2", "4"))
        main = _container("main", command, cpu)
        # Each spec is one of its own, as those of real users are.
        main["env"] = [{"name": "DRAWN", "value": f"{self._random.getrandbits(32):08x}"}]
        return {"restartPolicy": "Never", "containers": [{**main, "image": image}]}


def _container(name: str, command: list[str], cpu: str) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": "512Mi", "ephemeral-storage": "1Gi"}
    return {
        "name": name,
        "image": "busybox:1.37",
        "command": command,
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
    }
