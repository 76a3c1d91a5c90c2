"""The executor's process over a real API server and a small API, in the test's own event loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Raw
from prometheus_client import CollectorRegistry

from app.executor.exits import ExecutorExit
from app.executor.kube.access import KubeAccess
from app.executor.kube.cluster import KubernetesCluster
from app.executor.kubernetes import Cluster
from app.executor.lanes import LaneTimings
from app.executor.lock import LockTimings
from app.executor.loop import ExecutorLoop
from app.executor.options import ExecutorOptions
from app.executor.timings import Timings
from tests.unit.executor.small_api import SmallApi

TIMINGS = Timings(
    create_timeout_ms=2_000,
    create_retry_ms=200,
    last_words_ms=3_000,
    read_retry_ms=500,
    finished_keep_ms=3_000,
    force_delete_ms=2_000,
    image_not_found_ms=1_000,
    image_unavailable_ms=1_000,
    # longer than an API server takes to be back, with the players of its pods
    stuck_starting_ms=12_000,
    node_lost_ms=1_000,
    full_every_ms=3_000,
    full_retry_ms=1_000,
)
LANES = LaneTimings(reports_every_ms=20, heartbeat_every_ms=500, lease_wait_ms=200)
LOCK = LockTimings(duration_ms=3_000, renew_every_ms=700, margin_ms=1_000, wait_ms=6_000)
NODES = [f"kube-{number:04d}" for number in range(4)]


def spec(*command: str, image: str = "busybox:1.37", **more: Any) -> Raw:
    container = {"name": "main", "image": image, "command": list(command)}
    return Raw(json.dumps({"containers": [container], "terminationGracePeriodSeconds": 1, **more}).encode())


class Running:
    """An executor that runs. failure: what it left with."""

    def __init__(self, loop: ExecutorLoop) -> None:
        self.loop = loop
        self.failure: ExecutorExit | None = None

    async def until(self, holds: Callable[[], bool], what: str, timeout_s: float = 40.0) -> None:
        """Waits for a condition."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    assert self.failure is None, self.failure
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {timeout_s} s: {what}") from None


@asynccontextmanager
async def executor(
    kubeconfig: Path, api: SmallApi, *, cluster: str = "c0", fails: bool = False
) -> AsyncIterator[Running]:
    """Runs until the block ends; it is then stopped in order. cluster: tests of one plane take names of their own, for
    what an earlier one left is else taken for theirs. fails: it may leave by itself."""
    kube = KubernetesCluster(
        KubeAccess(kubeconfig=kubeconfig), cluster=cluster, lease_namespace="default", rng=Random(3)
    )
    async with executor_over(kube, api, cluster=cluster, fails=fails) as running:
        yield running


@asynccontextmanager
async def executor_over(
    kube: Cluster, api: SmallApi, *, cluster: str = "c0", fails: bool = False
) -> AsyncIterator[Running]:
    """The same over any cluster."""
    options = ExecutorOptions(
        api_url="http://127.0.0.1:1",
        cluster=cluster,
        token="t",
        timings=TIMINGS,
        lane_timings=LANES,
        lock_timings=LOCK,
    )
    running = Running(ExecutorLoop(options, kube, api, CollectorRegistry()))

    async def work() -> None:
        try:
            await running.loop.run()
        except ExecutorExit as leaving:
            running.failure = leaving

    task = asyncio.create_task(work())
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        assert fails or running.failure is None, running.failure
