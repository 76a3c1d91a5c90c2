"""What the demo submits: a seeded mix of pods of many kinds, as pure data: single jobs and gangs, preemptible and
urgent ones, and one that fits on no node.

Inputs: a random source. Outputs: job sets and jobs in the words of the API (`SubmitJobsInput`); nothing is sent here.
The commands are those that a fake cluster interprets: sleep, exit codes, images that cannot be pulled.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

JOBS_PER_CALL_MAX = 1_000
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
DEFAULT, PREEMPTIBLE, URGENT = "argosy-default", "argosy-preemptible", "argosy-urgent"
ZONE_LABEL = "topology.kubernetes.io/zone"
GANG_SIZES = (2, 4, 8)
GANGS = 0.01
"""of the jobs begin a gang"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One submit call: the variables of the mutation, and the indexes of its jobs that are cancelled a little later.

    None of them is of a gang: the others would wait for it for ever."""

    input: dict[str, Any]
    cancel: tuple[int, ...] = ()


class Workload:
    """Draws calls for the demo's queues; the same seed gives the same calls."""

    def __init__(self, seed: int, queues: tuple[str, ...]) -> None:
        self._random = Random(seed)
        self._queues = queues
        self._calls = 0

    def calls(self, jobs: int, job_set: str) -> list[Call]:
        """Calls that submit `jobs` jobs in all, spread over the queues."""
        shares: dict[str, int] = dict.fromkeys(self._queues, 0)
        for queue in self._random.choices(self._queues, k=jobs):
            shares[queue] += 1
        found = []
        for queue, count in shares.items():
            while count > 0:
                some = min(count, JOBS_PER_CALL_MAX)
                found.append(self._call(queue, job_set, some))
                count -= some
        return found

    def impossible(self, job_set: str) -> Call:
        """One job that fits on no node of the demo: it asks for twice the GPUs that the largest node has."""
        main = _container("train", ["sleep", "60"], "4", "32Gi")
        spec = {**_pod([_with_gpus(main, 16)]), "tolerations": [GPU_TOLERATION]}
        job = {"podSpecIndex": 0, "labels": {"app": "demo", "kind": "impossible"}}
        return Call(input={"queue": self._queues[0], "jobSet": job_set, "podSpecs": [spec], "jobs": [job]})

    def _call(self, queue: str, job_set: str, jobs: int) -> Call:
        self._calls += 1
        specs = [self._pod_spec() for _ in range(min(jobs, 8))]
        items: list[dict[str, Any]] = []
        while len(items) < jobs:
            size = self._random.choice(GANG_SIZES)
            if self._random.random() < GANGS and len(items) + size <= jobs:
                items += self._gang(len(specs), len(items), size)
                specs.append(self._member())
            else:
                items.append(self._job(self._random.randrange(min(jobs, 8)), len(items)))
        variables = {
            "queue": queue,
            "jobSet": job_set,
            "podSpecs": specs,
            "jobs": items,
        }
        alone = [index for index, item in enumerate(items) if "gang" not in item]
        return Call(input=variables, cancel=tuple(index for index in alone if self._random.random() < 0.03))

    def _job(self, spec: int, number: int) -> dict[str, Any]:
        return {
            "podSpecIndex": spec,
            "priority": self._random.randrange(10),
            "priorityClass": self._random.choices((DEFAULT, PREEMPTIBLE, URGENT), (40, 57, 3))[0],
            "labels": {"app": "demo"},
            "annotations": {"example.com/experiment": f"e{self._calls:05d}", "example.com/step": str(number)},
        }

    def _gang(self, spec: int, number: int, size: int) -> list[dict[str, Any]]:
        """Members that start together in one zone or not at all; half of the gangs start again when one is lost."""
        gang = {
            "id": f"gang-{self._calls:05d}-{number}",
            "cardinality": size,
            "uniformityLabel": ZONE_LABEL,
            "failFast": self._random.random() < 0.5,
        }
        together = {"priority": 0, "priorityClass": self._random.choice((DEFAULT, PREEMPTIBLE)), "gang": gang}
        return [{**self._job(spec, number + member), **together} for member in range(size)]

    def _member(self) -> dict[str, Any]:
        command = ["sleep", str(self._random.choice((20, 40, 60)))]
        return _pod([_container("worker", command, "8", "32Gi")])

    def _pod_spec(self) -> dict[str, Any]:
        kind = self._random.choices(
            (self._sleeper, self._failing, self._on_gpu, self._with_sidecar, self._unknown_image), (71, 6, 15, 6, 2)
        )[0]
        return kind()

    def _sleeper(self) -> dict[str, Any]:
        seconds = self._random.choice((10, 20, 30, 45, 60, 120))
        return _pod([_container("main", ["sleep", str(seconds)], *self._size())])

    def _failing(self) -> dict[str, Any]:
        code = self._random.choice((1, 2, 137))
        command = ["sh", "-c", f"sleep {self._random.choice((5, 15))}; exit {code}"]
        return _pod([_container("main", command, *self._size())])

    def _on_gpu(self) -> dict[str, Any]:
        """Long enough that the GPUs are contended for: here shares are balanced and urgent jobs preempt."""
        main = _container("train", ["sleep", str(self._random.choice((60, 120, 240)))], "2", "16Gi")
        return {
            **_pod([_with_gpus(main, self._random.choice((1, 2, 4, 8)))]),
            "tolerations": [GPU_TOLERATION],
        }

    def _with_sidecar(self) -> dict[str, Any]:
        prepare = _container("prepare", ["sleep", "2"], "500m", "256Mi")
        main = _container("main", ["sleep", str(self._random.choice((20, 40)))], *self._size())
        return {**_pod([main, _container("upload", ["sleep", "5"], "100m", "64Mi")]), "initContainers": [prepare]}

    def _unknown_image(self) -> dict[str, Any]:
        main = _container("main", ["sleep", "5"], *self._size())
        return _pod([{**main, "image": "registry.example.com/team/unknown:missing"}])

    def _size(self) -> tuple[str, str]:
        cpu = self._random.choice((1, 1, 2, 2, 4, 8))
        return str(cpu), f"{cpu * self._random.choice((2, 4, 8))}Gi"


def _pod(containers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"restartPolicy": "Never", "containers": containers}


def _with_gpus(container: dict[str, Any], gpus: int) -> dict[str, Any]:
    parts = container["resources"].items()
    return {**container, "resources": {key: {**part, "nvidia.com/gpu": str(gpus)} for key, part in parts}}


def _container(name: str, command: list[str], cpu: str, memory: str) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory, "ephemeral-storage": "1Gi"}
    return {
        "name": name,
        "image": "busybox:1.37",
        "command": command,
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
    }
