"""What the demo submits: a seeded mix of pods of many kinds, as pure data.

Inputs: a random source. Outputs: job sets and jobs in the words of the API (`SubmitJobsInput`); nothing is sent here.
The commands are those that a fake cluster interprets: sleep, exit codes, images that cannot be pulled.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

JOBS_PER_CALL_MAX = 1_000
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One submit call: the variables of the mutation, and how many of its jobs are to be cancelled a little later."""

    input: dict[str, Any]
    cancel: int


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

    def _call(self, queue: str, job_set: str, jobs: int) -> Call:
        self._calls += 1
        specs = [self._pod_spec() for _ in range(min(jobs, 8))]
        items = [self._job(self._random.randrange(len(specs)), number) for number in range(jobs)]
        variables = {
            "queue": queue,
            "jobSet": job_set,
            "podSpecs": specs,
            "jobs": items,
        }
        return Call(input=variables, cancel=sum(self._random.random() < 0.03 for _ in range(jobs)))

    def _job(self, spec: int, number: int) -> dict[str, Any]:
        return {
            "podSpecIndex": spec,
            "priority": self._random.randrange(10),
            "priorityClass": self._random.choice(("argosy-default", "argosy-preemptible")),
            "labels": {"app": "demo"},
            "annotations": {"example.com/experiment": f"e{self._calls:05d}", "example.com/step": str(number)},
        }

    def _pod_spec(self) -> dict[str, Any]:
        kind = self._random.choices(
            (self._sleeper, self._failing, self._on_gpu, self._with_sidecar, self._unknown_image), (80, 6, 6, 6, 2)
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
        main = _container("train", ["sleep", str(self._random.choice((30, 60, 90)))], "4", "32Gi")
        gpus = str(self._random.choice((1, 2, 4)))
        for part in main["resources"].values():
            part["nvidia.com/gpu"] = gpus
        return {**_pod([main]), "tolerations": [GPU_TOLERATION]}

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


def _container(name: str, command: list[str], cpu: str, memory: str) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory, "ephemeral-storage": "1Gi"}
    return {
        "name": name,
        "image": "busybox:1.37",
        "command": command,
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
    }
