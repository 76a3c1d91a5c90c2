"""How fast the executor runs pods through a real Kubernetes API server: `make bench-executor`.

Conditions: etcd, kube-apiserver and kwok (1,000 nodes) of infra/kube on this machine; pods that run a second. Three
measurements: (1) the API server's own ceiling: a plain client creates the same pods with as many connections as the
executor has workers and watches them until all have ended; (2) the executor over the same plane, from the first lease
that it is given to the last end that it reports, with an API of a few lines in the same process, whose cost counts;
(3) single leases at a low rate, from lease to the API server's answer. Then what a heartbeat costs while many pods run
and nothing changes. Prints one JSON object as the last line. ARGOSY_BENCH_JOBS, _NODES, _SAMPLES, _RUNNING make it
smaller.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Raw
from prometheus_client import CollectorRegistry

from app.admin.errors import AdminError
from app.admin.kube_binaries import kube_version
from app.admin.kube_node import KubeNodes
from app.executor.applier import CREATORS
from app.executor.cursor import ORDINAL_MAX, Cursor
from app.executor.kube.access import KubeAccess
from app.executor.kube.calls import Answer, Calls
from app.executor.kube.cluster import KubernetesCluster
from app.executor.kubernetes import CreateOutcome, PodManifest
from app.executor.loop import ExecutorLoop
from app.executor.manifest import ManifestRules, build_manifest
from app.executor.options import ExecutorOptions
from app.executor.protocol import ReportState, Stop, SyncAnswer, SyncRequest
from app.executor.timings import Timings
from benchmarks.outcome import Budget, conditions_here, outcome_line, percentile
from tests.stack.directory import stack_directory
from tests.stack.kube import KubePlane
from tests.unit.executor.builders import LOG, a_lease
from tests.unit.executor.small_api import SmallApi

JOBS = int(os.environ.get("ARGOSY_BENCH_JOBS", "5000"))
NODES = int(os.environ.get("ARGOSY_BENCH_NODES", "1000"))
SAMPLES = int(os.environ.get("ARGOSY_BENCH_SAMPLES", "2000"))
RUNNING = int(os.environ.get("ARGOSY_BENCH_RUNNING", "10000"))
RATE_PER_S = 20.0
IDLE_S = 30.0
FINISHED_KEEP_MS = 3_600_000
CLEARED_WITHIN_S = 300.0
ENDED_WITHIN_S = 900.0
BUDGETS = {"ceiling_share": Budget(value=0.8, at_most=False), "lease_to_created_p99_ms": Budget(value=500.0)}
SPEC = Raw(
    json.dumps(
        {
            "containers": [{"name": "main", "image": "busybox:1.37", "command": ["sleep", "1"]}],
            "terminationGracePeriodSeconds": 1,
        }
    ).encode()
)
FOREVER = Raw(bytes(SPEC).replace(b'"1"', b'"infinity"'))


class TimedCluster(KubernetesCluster):
    """Remembers when the create of each run was answered, on the monotonic clock."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(KubeAccess(kubeconfig=kubeconfig), cluster="c0", lease_namespace="default", rng=Random(1))
        self.created_s: dict[str, float] = {}

    async def create_pod(self, manifest: PodManifest, timeout_ms: int) -> CreateOutcome:
        outcome = await super().create_pod(manifest, timeout_ms)
        self.created_s[manifest.run.run_id] = time.monotonic()
        return outcome


class BenchApi(SmallApi):
    """Answers from what is newer than the cursor, as a real API would, not by looking through all runs."""

    def __init__(self) -> None:
        super().__init__()
        self._told: list[str] = []
        """run ids by the offset of what is told of them, from 1 on"""

    def lease(self, number: int, **more: Any) -> None:
        super().lease(number, **more)
        self._told.append(next(reversed(self.runs)))

    def _take(self, run_id: str, state: ReportState) -> None:
        before = self.offset
        super()._take(run_id, state)
        if self.offset > before:
            self._told.append(run_id)

    def _answer(self, request: SyncRequest) -> SyncAnswer:
        if request.runs is not None:
            return super()._answer(request)
        taken = request.lease_cursor.positions if request.lease_cursor else {}
        since = max(taken.get(0, (0, 0))[0], 0)
        new = [(run_id, self.runs[run_id]) for run_id in self._told[since:]]
        return SyncAnswer(
            sequence=request.sequence,
            leases=tuple(run.lease for _, run in new if run.state == "leased"),
            stops=tuple(
                Stop(job_id=run.lease.job_id, run_id=run_id, attempt=0, reason=run.reason)
                for run_id, run in new
                if run.state == "gone"
            ),
            lease_cursor=Cursor(LOG, {0: (self.offset, ORDINAL_MAX)}),
        )


def node(number: int) -> str:
    return f"kube-{number % NODES:04d}"


async def ceiling(plane: KubePlane) -> tuple[float, float]:
    """(pods/s, CPU ms a pod) of a plain client: creates and watches, keeps counts only."""
    calls = Calls(KubeAccess(kubeconfig=plane.node.executor_kubeconfig))
    numbers = iter(range(1, JOBS + 1))
    ended: set[str] = set()
    path = "/api/v1/namespaces/plain/pods"

    async def create() -> None:
        for number in numbers:
            lease = a_lease(number, node=node(number), pod_spec=SPEC, namespace="plain")
            manifest = build_manifest(lease, log=LOG, cluster="plain", rules=ManifestRules())
            answer = await calls.call("POST", path, manifest.body)
            assert answer.ok, answer.message

    async def watch() -> None:
        version = "0"
        while len(ended) < JOBS:
            query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version}
            async for line in calls.lines(path, query, silence_max_s=120.0):
                assert not isinstance(line, Answer), line
                event = json.loads(line)
                version = event["object"]["metadata"]["resourceVersion"]
                if (event["object"].get("status") or {}).get("phase") == "Succeeded":
                    ended.add(event["object"]["metadata"]["name"])
                if len(ended) == JOBS:
                    return

    began_s, cpu_s = time.monotonic(), time.process_time()
    async with asyncio.timeout(ENDED_WITHIN_S), asyncio.TaskGroup() as group:
        group.create_task(watch())
        for _ in range(CREATORS):
            group.create_task(create())
    spent_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    await calls.close()
    return JOBS / spent_s, cpu_s / JOBS * 1_000


async def run_all(plane: KubePlane) -> dict[str, float]:
    """The executor's figures."""
    api, cluster = BenchApi(), TimedCluster(plane.node.executor_kubeconfig)
    # Nothing is trimmed while it is measured: the plain client does not do so either.
    timings = Timings(finished_keep_ms=FINISHED_KEEP_MS)
    options = ExecutorOptions(api_url="http://127.0.0.1:1", cluster="c0", token="t", timings=timings)
    loop = ExecutorLoop(options, cluster, api, CollectorRegistry())
    task = asyncio.create_task(loop.run())
    try:
        async with asyncio.timeout(60.0):
            while not api.nodes:
                await asyncio.sleep(0.05)
        figures = await throughput(api)
        figures |= await latency(api, cluster)
        return figures | await heartbeat(api)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def throughput(api: BenchApi) -> dict[str, float]:
    began_s, cpu_s = time.monotonic(), time.process_time()
    for number in range(1, JOBS + 1):
        api.lease(number, node=node(number), pod_spec=SPEC, namespace="jobs")
    await until(lambda: api.states().get("gone", 0) == JOBS)
    spent_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    return {"pods_per_s": JOBS / spent_s, "executor_cpu_ms_per_pod": cpu_s / JOBS * 1_000}


async def latency(api: BenchApi, cluster: TimedCluster) -> dict[str, float]:
    given_s: dict[str, float] = {}
    for number in range(JOBS + 1, JOBS + 1 + SAMPLES):
        due_s = time.monotonic() + 1.0 / RATE_PER_S
        api.lease(number, node=node(number), pod_spec=SPEC, namespace="jobs")
        given_s[next(reversed(api.runs))] = time.monotonic()
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
    await until(lambda: given_s.keys() <= cluster.created_s.keys())
    waits_ms = [(cluster.created_s[run] - at) * 1_000 for run, at in given_s.items()]
    return {
        "lease_to_created_p50_ms": percentile(waits_ms, 0.5),
        "lease_to_created_p99_ms": percentile(waits_ms, 0.99),
    }


async def heartbeat(api: BenchApi) -> dict[str, float]:
    first = JOBS + SAMPLES + 1
    for number in range(first, first + RUNNING):
        api.lease(number, node=node(number), pod_spec=FOREVER, namespace="jobs")
    await until(lambda: api.states() == {"gone": JOBS + SAMPLES, "reported": RUNNING})
    running = list(api.runs.values())[-RUNNING:]
    await until(lambda: all(run.words[-1] is ReportState.RUNNING for run in running))
    requests, cpu_s = len(api.requests), time.process_time()
    await asyncio.sleep(IDLE_S)
    cpu_s = time.process_time() - cpu_s
    sent = api.requests[requests:]
    return {
        "running_pods": float(RUNNING),
        "idle_cpu_percent": cpu_s / IDLE_S * 100,
        "idle_requests_per_s": len(sent) / IDLE_S,
        "idle_cpu_ms_per_sync": cpu_s / max(1, len(sent)) * 1_000,
        "idle_reports": float(sum(len(request.reports) for request in sent)),
    }


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(ENDED_WITHIN_S):
        while not holds():
            await asyncio.sleep(0.25)


def clear(plane: KubePlane) -> None:
    """Removes what the plain client made."""
    client = plane.node.client()
    client.call("DELETE", "/api/v1/namespaces/plain/pods?gracePeriodSeconds=0", timeout_s=CLEARED_WITHIN_S)
    client.close()
    assert plane.pods("plain") == []


async def measure() -> str:
    with stack_directory("bench-kube") as directory:
        plane = KubePlane(directory / "kube")
        try:
            plane.start(KubeNodes(count=NODES))
            for namespace in ("plain", "jobs"):
                plane.make_namespace(namespace)
            conditions = conditions_here(
                ["kubernetes", "aiohttp"],
                kubernetes=kube_version(),
                kwok=kube_version("kwok"),
                nodes=NODES,
                jobs=JOBS,
                samples=SAMPLES,
                creators=CREATORS,
            )
            ceiling_per_s, plain_cpu_ms = await ceiling(plane)
            print(f"plain client: {ceiling_per_s:.1f} pods/s, {plain_cpu_ms:.2f} CPU-ms a pod", flush=True)
            clear(plane)
            figures = {"ceiling_pods_per_s": ceiling_per_s, "plain_client_cpu_ms_per_pod": plain_cpu_ms}
            figures |= await run_all(plane)
            figures["ceiling_share"] = figures["pods_per_s"] / ceiling_per_s
            return outcome_line("executor", conditions, figures, BUDGETS)
        finally:
            plane.close()


if __name__ == "__main__":
    try:
        print(asyncio.run(measure()))
    except AdminError as error:
        sys.exit(f"bench-executor: {error}")
