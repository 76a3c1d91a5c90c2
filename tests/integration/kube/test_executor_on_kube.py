"""The executor on a real API server: lives of pods, outages, a second executor, bad credentials, least rights."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import yaml

from app.executor.exits import ExitCode
from app.executor.kube.access import KubeAccess
from app.executor.kube.cluster import KubernetesCluster
from app.executor.kubernetes import ClusterUnavailableError, Created
from app.executor.manifest import ManifestRules, build_manifest
from app.executor.protocol import ReportState
from tests.integration.kube.running import NODES, executor, spec
from tests.stack.kube import KubePlane
from tests.stack.relay import Relay
from tests.stack.whole_stack import ROOT
from tests.unit.executor.builders import LOG, a_lease, an_id
from tests.unit.executor.small_api import SmallApi

pytestmark = [pytest.mark.stack, pytest.mark.kube, pytest.mark.timeout(180)]


@pytest.fixture
def kubeconfig(plane: KubePlane) -> Path:
    return plane.node.executor_kubeconfig


def last_reason(api: SmallApi, number: int) -> tuple[str, str | None]:
    """State and reason of the last report of a run."""
    said = [
        report
        for request in api.requests
        for report in (*request.reports, *(request.runs or ()))
        if report.run_id == an_id(number)
    ]
    return said[-1].state.value, said[-1].reason


def pods_of(plane: KubePlane, namespace: str) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in plane.pods(namespace)}


async def test_jobs_run_to_their_ends_and_their_pods_go(plane: KubePlane, kubeconfig: Path, namespace: str) -> None:
    api = SmallApi()
    for number in range(1, 21):
        command = ("sh", "-c", f"sleep 1; exit {number % 3}")
        api.lease(number, node=NODES[number % 4], pod_spec=spec(*command), namespace=namespace)
    async with executor(kubeconfig, api, cluster=namespace) as running:
        await running.until(lambda: api.states() == {"gone": 20}, "all have ended")
        for number in range(1, 21):
            ended = ReportState.FAILED if number % 3 else ReportState.SUCCEEDED
            assert api.runs[an_id(number)].words[-1] is ended
        assert set(NODES) <= api.nodes
        await running.until(lambda: pods_of(plane, namespace) == {}, "finished pods are trimmed")


async def test_troubled_pods_are_marked_deleted_said_and_released(
    plane: KubePlane, kubeconfig: Path, namespace: str
) -> None:
    api = SmallApi()
    images = {1: "r.example.com/unknown/x:1", 2: "r.example.com/unreachable/x:1", 3: "R.example.com/X:1"}
    for number, image in images.items():
        api.lease(number, node=NODES[0], pod_spec=spec("true", image=image), namespace=namespace)
    async with executor(kubeconfig, api, cluster=namespace) as running:
        await running.until(lambda: api.states() == {"gone": 3}, "all have ended")
        await running.until(lambda: pods_of(plane, namespace) == {}, "no finalizer is left behind")
    assert last_reason(api, 1) == ("FAILED", "ImageNotFound")
    assert last_reason(api, 2) == ("RETURNED", "ImageUnavailable")
    assert last_reason(api, 3) == ("FAILED", "ImageInvalid")


async def test_a_restarted_executor_finds_its_pods_again_and_misses_nothing(
    plane: KubePlane, kubeconfig: Path, namespace: str
) -> None:
    api = SmallApi()
    for number in range(1, 7):
        api.lease(number, node=NODES[1], pod_spec=spec("sleep", str(1 + number)), namespace=namespace)
    async with executor(kubeconfig, api, cluster=namespace) as running:
        await running.until(lambda: api.states() == {"reported": 6}, "all are reported")
    plane.client.call("DELETE", f"/api/v1/namespaces/{namespace}/pods/argosy-{an_id(6)}?gracePeriodSeconds=0")
    async with executor(kubeconfig, api, cluster=namespace) as running:
        await running.until(lambda: api.states() == {"gone": 6}, "all have ended")
    for number in range(1, 6):
        assert api.runs[an_id(number)].words[-1] is ReportState.SUCCEEDED
    assert last_reason(api, 6) == ("FAILED", "PodLost")


async def test_a_create_that_is_sent_twice_makes_one_pod(plane: KubePlane, kubeconfig: Path, namespace: str) -> None:
    access = KubeAccess(kubeconfig=kubeconfig)
    cluster = KubernetesCluster(access, cluster="c0", lease_namespace="default", rng=Random(1))
    lease = a_lease(1, node=NODES[0], pod_spec=spec("true"), namespace=namespace)
    manifest = build_manifest(lease, log=LOG, cluster="c0", rules=ManifestRules())
    assert [await cluster.create_pod(manifest, 2_000) for _ in range(2)] == [Created(), Created()]
    assert len(plane.pods(namespace)) == 1
    await cluster.close()


async def test_a_cancelled_run_is_deleted_and_gone(plane: KubePlane, kubeconfig: Path, namespace: str) -> None:
    api = SmallApi()
    api.lease(1, node=NODES[0], pod_spec=spec("sleep", "600"), namespace=namespace)
    async with executor(kubeconfig, api, cluster=namespace) as running:
        await running.until(lambda: ReportState.RUNNING in api.runs[an_id(1)].words, "it runs")
        api.stop(an_id(1))
        await running.until(lambda: api.states() == {"gone": 1}, "it is gone")
        assert last_reason(api, 1)[0] == "GONE"
        await running.until(lambda: pods_of(plane, namespace) == {}, "its pod is gone")


async def test_an_outage_of_the_api_server_ends_nothing(plane: KubePlane, kubeconfig: Path, namespace: str) -> None:
    api = SmallApi()
    for number in range(1, 5):
        api.lease(number, node=NODES[2], pod_spec=spec("sleep", "4"), namespace=namespace)
    async with executor(kubeconfig, api, cluster=namespace) as running:
        await running.until(lambda: _all_say(api, ReportState.RUNNING), "all run")
        plane.kill("kube-apiserver")
        api.lease(5, node=NODES[2], pod_spec=spec("sleep", "1"), namespace=namespace)
        await asyncio.sleep(1.0)
        assert api.states() == {"reported": 4, "leased": 1}
        plane.spawn_apiserver()
        await asyncio.to_thread(plane.await_apiserver)
        await running.until(lambda: api.states() == {"gone": 5}, "all have ended")
    assert _all_say(api, ReportState.SUCCEEDED), [run.words for run in api.runs.values()]


def _all_say(api: SmallApi, state: ReportState) -> bool:
    """Whether this is the last word of every run."""
    return all(run.words[-1:] == [state] for run in api.runs.values())


async def test_forgotten_history_is_made_up_for_by_a_list(plane: KubePlane, kubeconfig: Path, namespace: str) -> None:
    api = SmallApi()
    for number in range(1, 5):
        api.lease(number, node=NODES[3], pod_spec=spec("sleep", "3"), namespace=namespace)
    async with executor(kubeconfig, api, cluster=namespace) as running:
        await running.until(lambda: api.states() == {"reported": 4}, "all are reported")
        plane.kill("kube-apiserver")
        plane.compact()
        plane.spawn_apiserver()
        await asyncio.to_thread(plane.await_apiserver)
        await running.until(lambda: api.states() == {"gone": 4}, "all have ended")
    assert all(run.words[-1] is ReportState.SUCCEEDED for run in api.runs.values())


async def test_connections_and_watches_that_are_cut_lose_nothing(plane: KubePlane, namespace: str) -> None:
    relay = Relay(plane.node.port).start()
    kubeconfig = plane.node.directory / "relayed.kubeconfig"
    plane.node.write_kubeconfig(kubeconfig, plane.node.token("executor"), server=f"https://127.0.0.1:{relay.port}")
    api = SmallApi()
    try:
        async with executor(kubeconfig, api, cluster=namespace) as running:
            for turn in range(5):
                for number in range(4 * turn + 1, 4 * turn + 5):
                    api.lease(number, node=NODES[turn % 4], pod_spec=spec("sleep", "1"), namespace=namespace)
                await running.until(lambda: api.states().get("leased", 0) < 4, "some have begun")
                assert relay.cut() > 0, "there was something to cut"
            await running.until(lambda: api.states() == {"gone": 20}, "all have ended")
    finally:
        relay.close()
    assert all(run.words[-1] is ReportState.SUCCEEDED for run in api.runs.values())


async def test_a_second_executor_of_the_same_cluster_is_refused(kubeconfig: Path, namespace: str) -> None:
    api = SmallApi()
    async with executor(kubeconfig, api, cluster="twice") as first:
        await first.until(lambda: bool(api.requests), "the first one speaks")
        async with executor(kubeconfig, SmallApi(), cluster="twice", fails=True) as second:
            async with asyncio.timeout(20.0):
                while second.failure is None:
                    await asyncio.sleep(0.05)
            assert second.failure.code is ExitCode.LOCK_HELD
            assert "argosy-executor-twice" in str(second.failure)
        assert first.failure is None


async def test_the_lock_of_a_dead_executor_runs_out(plane: KubePlane, kubeconfig: Path, namespace: str) -> None:
    dead = KubernetesCluster(
        KubeAccess(kubeconfig=kubeconfig), cluster="dead", lease_namespace="default", rng=Random(1)
    )
    await dead.hold_lock("somebody", 2_000)
    await dead.close()
    api = SmallApi()
    async with executor(kubeconfig, api, cluster="dead") as running:
        await running.until(lambda: bool(api.requests), "it speaks when the lock has run out", timeout_s=15.0)


@contextlib.contextmanager
def written(plane: KubePlane, **parts: str | Path) -> Iterator[Path]:
    path = plane.node.directory / "odd.kubeconfig"
    plane.node.write_kubeconfig(path, **{"token": plane.node.token("executor"), **parts})  # type: ignore[arg-type]
    yield path
    path.unlink()


async def test_a_wrong_token_and_a_foreign_ca_are_one_clear_line(plane: KubePlane, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.crt"
    foreign.write_text(ssl.DER_cert_to_PEM_cert(a_foreign_certificate()))
    for parts, text in (({"token": "wrong"}, "Unauthorized"), ({"ca": foreign}, "not signed by the CA")):
        with written(plane, **parts) as path:
            cluster = KubernetesCluster(
                KubeAccess(kubeconfig=path), cluster="odd", lease_namespace="default", rng=Random(1)
            )
            with pytest.raises(ClusterUnavailableError, match=text) as refused:
                await cluster.hold_lock("h", 1_000)
            assert "\n" not in str(refused.value)
            await cluster.close()


def a_foreign_certificate() -> bytes:
    """Some CA that has nothing to do with the plane."""
    contexts = ssl.create_default_context()
    found = contexts.get_ca_certs(binary_form=True)
    assert found, "this machine trusts some CA"
    return found[0]


async def test_a_node_without_capacity_is_reported_and_holds_nothing_up(
    plane: KubePlane, kubeconfig: Path, namespace: str
) -> None:
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "empty"}}
    plane.client.ensure("/api/v1/nodes", body)
    api = SmallApi()
    api.lease(1, node=NODES[0], pod_spec=spec("true"), namespace=namespace)
    try:
        async with executor(kubeconfig, api, cluster=namespace) as running:
            await running.until(lambda: "empty" in api.nodes and api.states() == {"gone": 1}, "both")
    finally:
        plane.client.call("DELETE", "/api/v1/nodes/empty")


async def test_refused_specs_end_their_runs_and_nothing_else(
    plane: KubePlane, kubeconfig: Path, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    plane.make_namespace("not-granted", granted=False)
    mount = {"name": "m", "image": "b", "volumeMounts": [{"name": "nothing", "mountPath": "/d"}]}
    api = SmallApi()
    api.lease(1, node=NODES[0], pod_spec=spec("true"), namespace=namespace)
    api.lease(2, node=NODES[0], pod_spec=spec("true", containers=[mount]), namespace=namespace)
    api.lease(3, node=NODES[0], pod_spec=spec("true"), namespace="nowhere")
    api.lease(4, node=NODES[0], pod_spec=spec("true"), namespace="not-granted")
    with caplog.at_level(logging.INFO):
        async with executor(kubeconfig, api, cluster=namespace) as running:
            await running.until(lambda: api.states() == {"gone": 4}, "all have ended")
    assert last_reason(api, 1) == ("SUCCEEDED", None)
    assert last_reason(api, 2) == ("FAILED", "SpecInvalid")
    assert last_reason(api, 3) == ("RETURNED", "NamespaceMissing")
    assert last_reason(api, 4) == ("FAILED", "CreateForbidden")
    assert not any(record.exc_info for record in caplog.records)


def test_the_role_allows_what_is_called_and_nothing_else(plane: KubePlane) -> None:
    """Last in this file: it judges what the other tests have called."""
    calls = {(verb, resource, status) for verb, resource, status in plane.calls() if resource}
    roles = list(yaml.safe_load_all((ROOT / "infra" / "kube" / "executor-role.yaml").read_text()))
    allowed = {
        (verb, resource)
        for role in roles
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    called = {(verb, resource) for verb, resource, status in calls if status < 400}
    refused = {(verb, resource) for verb, resource, status in calls if status == 403}
    assert called == allowed
    # An API server that has just started forbids everything for a moment, and one namespace grants nothing.
    assert refused <= called, "refused for good"
