"""The executor's process over a restless API server: watches are cut, history is forgotten, answers are lost, calls
refused, and the executor killed at any instant. Each run ends once and as its pod did, and nothing is left over."""

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.executor.kube.access import KubeAccess
from app.executor.kube.cluster import KubernetesCluster
from app.executor.lanes import LaneTimings
from app.executor.lock import LockTimings
from app.executor.loop import ExecutorLoop
from app.executor.options import ExecutorOptions
from app.executor.protocol import LAST_WORDS, ReportState
from app.executor.timings import Timings
from tests.unit.executor.builders import CLUSTER, an_id
from tests.unit.executor.small_api import SmallApi
from tests.unit.executor.small_kube import Refusal, SmallKube, now, serving

JOBS = 40
ENDED_WITHIN_S = 60.0
TIMINGS = Timings(
    create_timeout_ms=1_000,
    create_retry_ms=50,
    last_words_ms=1_500,
    read_retry_ms=100,
    unseen_ms=1_000,
    finished_keep_ms=1_500,
    delete_retry_ms=300,
    force_delete_ms=1_000,
    stuck_starting_ms=60_000,
    full_every_ms=1_000,
    full_retry_ms=100,
)
LANES = LaneTimings(reports_every_ms=5, heartbeat_every_ms=200, lease_wait_ms=50, retry_ms=10, retry_max_ms=50)
LOCK = LockTimings(duration_ms=1_000, renew_every_ms=200, margin_ms=300, wait_ms=10_000)


class KilledCluster(KubernetesCluster):
    """That of an executor that is killed: its lock is not given back."""

    async def release_lock(self, holder: str) -> None:
        """Nobody gives anything back."""


class Kubelet:
    """Plays all pods: one in five has an image name that is none, one in five exits 3."""

    def __init__(self, kube: SmallKube, rng: Random) -> None:
        self.kube = kube
        self.rng = rng

    async def run(self) -> None:
        while True:
            for pod in list(self.kube.objects["pods"].values()):
                if self.rng.random() < 0.3:
                    self._step(pod)
            await asyncio.sleep(0.02)

    def _step(self, pod: dict[str, Any]) -> None:
        name, phase = pod["metadata"]["name"], pod["status"]["phase"]
        number = int(name.removeprefix("argosy-"))
        if pod["metadata"].get("deletionTimestamp"):
            if phase in ("Pending", "Running"):
                self.kube.set_status(name, phase="Failed", containerStatuses=ended(143) if phase == "Running" else [])
            elif not pod["metadata"].get("finalizers"):
                self.kube.remove(name)
        elif phase == "Pending" and number % 5 == 0:
            waiting = {"name": "main", "state": {"waiting": {"reason": "InvalidImageName"}}}
            self.kube.set_status(name, phase="Pending", containerStatuses=[waiting])
        elif phase == "Pending":
            running = {"name": "main", "state": {"running": {"startedAt": now()}}}
            self.kube.set_status(name, phase="Running", containerStatuses=[running])
        elif phase == "Running" and self.rng.random() < 0.2:
            code = 3 if number % 5 == 1 else 0
            self.kube.set_status(name, phase="Failed" if code else "Succeeded", containerStatuses=ended(code))


def ended(code: int) -> list[dict[str, Any]]:
    return [{"name": "main", "state": {"terminated": {"exitCode": code, "startedAt": now(), "finishedAt": now()}}}]


def harm(kube: SmallKube, rng: Random) -> None:
    """One thing that API servers do."""
    match rng.randrange(6):
        case 0:
            kube.cut()
        case 1:
            kube.compact()
            kube.cut()
        case 2:
            kube.refusals.append(Refusal(rng.choice(("POST", "PATCH", "DELETE")), "/api/v1", silent=True))
        case 3:
            kube.refusals.append(Refusal(rng.choice(("POST", "PATCH", "DELETE")), "/api/v1", 500, "InternalError"))
        case 4:
            kube.refusals.append(Refusal("GET", "/api/v1", 503, "ServiceUnavailable"))
        case _:
            kube.refusals.append(Refusal("POST", "/api/v1", 429, "TooManyRequests"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(3))
async def test_each_run_ends_once_and_nothing_is_left_over(tmp_path: Path, seed: int) -> None:
    rng, kube, api = Random(seed), SmallKube(), SmallApi()
    kube.node("n0")
    async with serving(kube, tmp_path) as kubeconfig, asyncio.timeout(ENDED_WITHIN_S):
        kubelet = asyncio.create_task(Kubelet(kube, Random(seed)).run())
        process = start(kubeconfig, api)
        for number in range(1, JOBS + 1):
            api.lease(number)
            await asyncio.sleep(0.03)
            if rng.random() < 0.5:
                harm(kube, rng)
            if number in (JOBS // 3, JOBS * 2 // 3):
                await kill(process)
                process = start(kubeconfig, api)
        while api.states() != {"gone": JOBS} or kube.objects["pods"]:
            assert not process.done(), process
            await asyncio.sleep(0.05)
        await kill(process)
        kubelet.cancel()
    created = Counter(
        body["metadata"]["name"] for _, kind, event, body in kube.added if (kind, event) == ("pods", "ADDED")
    )
    assert set(created.values()) == {1}, "no run was created twice"
    for number in range(1, JOBS + 1):
        words = [word for word in api.runs[an_id(number)].words if word in LAST_WORDS]
        assert words[0] is (ReportState.FAILED if number % 5 in (0, 1) else ReportState.SUCCEEDED), number
        assert set(words[1:]) <= {ReportState.GONE}, "what a later instance says of a run that has ended"
    lost = [report for request in api.requests for report in request.reports if report.reason == "PodLost"]
    assert lost == []


def start(kubeconfig: Path, api: SmallApi) -> asyncio.Task[None]:
    options = ExecutorOptions(
        api_url="http://127.0.0.1:1",
        cluster=CLUSTER,
        token="t",
        timings=TIMINGS,
        lane_timings=LANES,
        lock_timings=LOCK,
    )
    access = KubeAccess(kubeconfig=kubeconfig)
    cluster = KilledCluster(access, cluster=CLUSTER, lease_namespace="default", rng=Random(1))
    return asyncio.create_task(ExecutorLoop(options, cluster, api, CollectorRegistry()).run())


async def kill(process: asyncio.Task[None]) -> None:
    process.cancel()
    with suppress(asyncio.CancelledError):
        await process
