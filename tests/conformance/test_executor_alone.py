"""The same cases at the executor's own edge: what it reports of each run, over the fake and the real cluster, without
Kafka and Postgres. Quick, so a difference between the two shows here first."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import time_ns

import pytest
from msgspec import Raw
from msgspec.json import encode

from app.admin.kube_node import KubeNodes
from app.executor.fake_cluster.cluster import FakeCluster
from app.executor.fake_cluster.spec import FakeClusterSpec, NodeGroup
from app.executor.kube.access import KubeAccess
from app.executor.kube.cluster import KubernetesCluster
from app.executor.kubernetes import Cluster
from app.executor.protocol import Report, ReportState
from tests.conformance.cases import CASES, CLASSES, FORBIDDEN_NAMESPACE, Act, Case
from tests.integration.kube.running import executor_over
from tests.stack.directory import stack_directory
from tests.stack.kube import KubePlane, skip_without_kube
from tests.unit.executor.builders import an_id
from tests.unit.executor.small_api import SmallApi

ENDED_WITHIN_S = 60.0
ALONE = tuple(case for case in CASES if not case.later and not case.members)
"""what a restart or several jobs are needed for shows through the whole stack"""
NODES = [f"kube-{number:04d}" for number in range(2 + len(ALONE))]
SPEC = FakeClusterSpec(groups=(NodeGroup(count=len(NODES), prefix="kube"),), start_delay_ms=200)
Harm = Callable[[Act, str, str], None]
"""what, of which run, on which node"""


async def reported(cluster: Cluster, harm: Harm) -> dict[str, list[Report]]:
    """Case -> every report of its run; each runs on a node of its own."""
    api = SmallApi()
    names = {an_id(number): case for number, case in enumerate(ALONE, 1)}
    for number, case in enumerate(ALONE, 1):
        # The lease has chosen the node already: a selector is for the scheduler.
        spec = {key: value for key, value in case.spec.items() if key != "nodeSelector"}
        api.lease(
            number,
            node=NODES[number],
            pod_spec=Raw(encode(spec)),
            namespace=case.namespace,
            annotations=dict(case.annotations),
        )
    acted: set[str] = set()
    async with executor_over(cluster, api) as running:

        def all_ended() -> bool:
            for run_id, run in api.runs.items():
                case = names[run_id]
                seen = {word.value for word in run.words}
                if case.act is not Act.NOTHING and case.act_at in seen and run_id not in acted:
                    acted.add(run_id)
                    if case.act in (Act.CANCEL, Act.PREEMPT):
                        api.stop(run_id)
                    else:
                        harm(case.act, run_id, run.lease.node)
            return api.states() == {"gone": len(ALONE)}

        await running.until(all_ended, "all runs have ended", timeout_s=ENDED_WITHIN_S)
    found: dict[str, list[Report]] = {case.name: [] for case in ALONE}
    for request in api.requests:
        for report in (*request.reports, *(request.runs or ())):
            found[names[report.run_id].name].append(report)
    return found


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Report]]:
    directory: Path = tmp_path_factory.mktemp("fake")
    cluster = FakeCluster(SPEC, directory, clock_ms=lambda: time_ns() // 1_000_000, rng=Random(1))
    return asyncio.run(reported(cluster, lambda _act, _run, _node: None))


@pytest.fixture(scope="module")
def real() -> Iterator[dict[str, list[Report]]]:
    skip_without_kube()
    with stack_directory("conformance-alone") as directory:
        plane = KubePlane(directory / "kube")
        try:
            plane.start(KubeNodes(count=len(NODES)))
            plane.make_namespace(FORBIDDEN_NAMESPACE, granted=False)

            for name, (priority, _) in CLASSES.items():
                plane.make_priority_class(name, priority)

            def harm(act: Act, run_id: str, node: str) -> None:
                pod = f"/api/v1/namespaces/default/pods/argosy-{run_id}"
                plane.client.call("DELETE", f"/api/v1/nodes/{node}" if act is Act.LOSE_NODE else pod)

            access = KubeAccess(kubeconfig=plane.node.executor_kubeconfig)
            cluster = KubernetesCluster(access, cluster="c0", lease_namespace="default", rng=Random(1))
            yield asyncio.run(reported(cluster, harm))
        finally:
            plane.close()


slow = [pytest.mark.stack, pytest.mark.kube, pytest.mark.timeout(180)]


@pytest.mark.parametrize("cluster", ["fake", pytest.param("real", marks=slow)])
@pytest.mark.parametrize("case", ALONE, ids=lambda case: case.name)
def test_the_executor_reports_what_became_of_the_run(case: Case, cluster: str, request: pytest.FixtureRequest) -> None:
    reports: list[Report] = request.getfixturevalue(cluster)[case.name]
    last = reports[-1]
    if case.act is Act.PREEMPT or (case.act is Act.CANCEL and case.code is None):
        assert last.state is ReportState.GONE
        return
    returned = "LEASE_RETURNED" in case.shows
    assert last.state is (ReportState.RETURNED if returned else ReportState(case.ends))
    assert (last.reason, last.exit_code or None) == (case.code, case.exit_code), last
    assert (last.message is not None) == (case.code is not None)
    if "RUNNING" in case.shows:
        assert ReportState.RUNNING in {report.state for report in reports}
