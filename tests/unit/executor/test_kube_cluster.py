"""The client of a real cluster over HTTP: watches that end, expire, or speak of another store; creates whose answers
are lost; the lock; credentials that are wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from app.executor.kube.access import KubeAccess, KubeAccessError
from app.executor.kube.cluster import KubernetesCluster
from app.executor.kubernetes import (
    ClusterUnavailableError,
    Created,
    LockHeldError,
    NotSent,
    Pod,
    PodManifest,
    PodPhase,
    RefusalKind,
    Refused,
    Unknown,
)
from app.executor.manifest import ManifestRules, build_manifest
from tests.unit.executor.builders import LOG, a_lease, an_id
from tests.unit.executor.small_kube import Refusal, SmallKube, serving

NAME = f"argosy-{an_id(1)}"


class Seen:
    """A cluster that is watched: what `open` and `next_changes` added up to."""

    def __init__(self, cluster: KubernetesCluster) -> None:
        self.cluster = cluster
        self.pods: dict[str, Pod] = {}
        self.gone: list[Pod] = []
        self.nodes: set[str] = set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10.0):
            while not holds():
                self.take(await self.cluster.next_changes(100))

    def take(self, changes: object) -> None:
        for pod in changes.pods:  # type: ignore[attr-defined]
            self.pods[pod.name] = pod
        for pod in changes.deleted:  # type: ignore[attr-defined]
            self.pods.pop(pod.name, None)
            self.gone.append(pod)
        self.nodes |= {node.name for node in changes.nodes}  # type: ignore[attr-defined]
        self.nodes -= set(changes.removed_nodes)  # type: ignore[attr-defined]


@asynccontextmanager
async def watching(kube: SmallKube, directory: Path) -> AsyncIterator[Seen]:
    async with serving(kube, directory) as kubeconfig:
        cluster = client(kubeconfig)
        seen = Seen(cluster)
        try:
            seen.take(await cluster.open())
            yield seen
        finally:
            await cluster.close()


def client(kubeconfig: Path) -> KubernetesCluster:
    access = KubeAccess(kubeconfig=kubeconfig)
    return KubernetesCluster(access, cluster="c0", lease_namespace="default", rng=Random(1))


def manifest(number: int = 1, namespace: str = "default") -> PodManifest:
    return build_manifest(a_lease(number, namespace=namespace), log=LOG, cluster="c0", rules=ManifestRules())


async def test_what_happens_is_seen_from_creation_to_removal(tmp_path: Path) -> None:
    kube = SmallKube()
    kube.node("n0")
    async with watching(kube, tmp_path) as seen:
        assert seen.nodes == {"n0"}
        assert isinstance(await seen.cluster.create_pod(manifest(), 1_000), Created)
        await seen.until(lambda: NAME in seen.pods)
        assert seen.pods[NAME].run is not None
        assert seen.pods[NAME].node == "n0"
        kube.set_status(NAME, phase="Running")
        await seen.until(lambda: seen.pods[NAME].phase is PodPhase.RUNNING)
        await seen.cluster.delete_pod("default", NAME, seen.pods[NAME].uid, 30)
        await seen.until(lambda: seen.pods[NAME].deletion_ms is not None)
        await seen.cluster.delete_pod("default", NAME, seen.pods[NAME].uid, 0)
        await seen.until(lambda: [pod.name for pod in seen.gone] == [NAME])
        assert await seen.cluster.read_pod("default", NAME) is None


async def test_many_pods_are_listed_page_by_page(tmp_path: Path) -> None:
    kube = SmallKube()
    for number in range(1_201):
        kube.put("pods", {"metadata": {"name": f"p{number}", "uid": str(number), "namespace": "x"}, "spec": {}})
    async with watching(kube, tmp_path) as seen:
        assert len(seen.pods) == 1_201
    assert kube.calls.count(("GET", "/api/v1/pods")) >= 3


async def test_a_watch_that_ends_goes_on_where_it_was(tmp_path: Path) -> None:
    kube = SmallKube()
    kube.put("pods", {"metadata": {"name": "p", "uid": "1"}, "spec": {}})
    async with watching(kube, tmp_path) as seen:
        for round_ in range(5):
            kube.cut()
            kube.set_status("p", phase="Running", message=str(round_))
            await seen.until(lambda at=round_: seen.pods["p"].message == str(at))  # type: ignore[misc]
        assert kube.calls.count(("GET", "/api/v1/pods")) - kube.watches <= 2, "without listing again"


async def test_after_a_gap_that_cannot_be_watched_what_vanished_is_reported(tmp_path: Path) -> None:
    kube = SmallKube()
    for name in ("a", "b"):
        kube.put("pods", {"metadata": {"name": name, "uid": name}, "spec": {}})
    async with watching(kube, tmp_path) as seen:
        kube.deaf = True
        kube.remove("a")
        kube.put("pods", {"metadata": {"name": "c", "uid": "c"}, "spec": {}})
        kube.compact()
        kube.cut()
        kube.deaf = False
        await seen.until(lambda: seen.pods.keys() == {"b", "c"})
        assert [pod.name for pod in seen.gone] == ["a"]


async def test_a_store_that_was_reset_is_listed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.executor.kube.cluster.SILENCE_MAX_S", 0.5)
    kube = SmallKube()
    kube.put("pods", {"metadata": {"name": "p", "uid": "1"}, "spec": {}})
    async with watching(kube, tmp_path) as seen:
        kube.reset(version=5)
        await seen.until(lambda: [pod.name for pod in seen.gone] == ["p"])


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (Refusal("POST", "/api/v1", 422, "Invalid"), RefusalKind.INVALID),
        (Refusal("POST", "/api/v1", 429, "TooManyRequests"), NotSent),
        (Refusal("POST", "/api/v1", 503, "ServiceUnavailable"), NotSent),
        (Refusal("POST", "/api/v1", 504, "Timeout"), Unknown),
        (Refusal("POST", "/api/v1", silent=True), Unknown),
    ],
)
async def test_a_create_says_what_is_certain(tmp_path: Path, refusal: Refusal, outcome: object) -> None:
    kube = SmallKube()
    async with watching(kube, tmp_path) as seen:
        kube.refusals.append(refusal)
        got = await seen.cluster.create_pod(manifest(), 1_000)
        if isinstance(outcome, RefusalKind):
            assert isinstance(got, Refused)
            assert got.kind is outcome
        else:
            assert isinstance(got, outcome)  # type: ignore[arg-type]
        assert isinstance(await seen.cluster.create_pod(manifest(), 1_000), Created), "again, under the same name"


LEASE, LIST = "/apis/coordination.k8s.io", "/api/v1/pods"
WRITE = "/api/v1/namespaces"


@pytest.mark.parametrize(
    ("refused", "outcome"),
    [
        ([("POST", WRITE)], Created),
        ([("POST", WRITE), ("POST", WRITE)], RefusalKind.FORBIDDEN),
        ([("POST", WRITE), ("GET", LEASE)], NotSent),
        ([("POST", WRITE), ("GET", LIST)], NotSent),
        ([("POST", WRITE), ("GET", WRITE), ("POST", WRITE)], RefusalKind.FORBIDDEN),
    ],
    ids=["starting", "forbidden", "roles unknown", "cluster roles unknown", "namespaces hidden"],
)
async def test_a_server_that_has_just_started_forbids_everything_and_is_not_believed(
    tmp_path: Path, refused: list[tuple[str, str]], outcome: object
) -> None:
    kube = SmallKube()
    async with watching(kube, tmp_path) as seen:
        kube.refusals += [Refusal(method, path, 403, "Forbidden") for method, path in refused]
        got = await seen.cluster.create_pod(manifest(), 1_000)
        if isinstance(outcome, RefusalKind):
            assert isinstance(got, Refused)
            assert got.kind is outcome
        else:
            assert isinstance(got, outcome)  # type: ignore[arg-type]
        assert kube.refusals == [], "each was asked"


async def test_where_rights_are_given_by_namespace_a_missing_one_is_forbidden_and_yet_found_out(tmp_path: Path) -> None:
    kube = SmallKube()
    async with watching(kube, tmp_path) as seen:
        kube.refusals.append(Refusal("POST", WRITE, 403, "Forbidden"))
        got = await seen.cluster.create_pod(manifest(namespace="missing"), 1_000)
        assert isinstance(got, Refused)
        assert got.kind is RefusalKind.NAMESPACE_MISSING


async def test_a_name_that_is_taken_is_ours_or_another_s(tmp_path: Path) -> None:
    kube = SmallKube()
    async with watching(kube, tmp_path) as seen:
        assert isinstance(await seen.cluster.create_pod(manifest(), 1_000), Created)
        assert isinstance(await seen.cluster.create_pod(manifest(), 1_000), Created)
        kube.put("pods", {"metadata": {"name": f"argosy-{an_id(2)}", "uid": "x", "namespace": "default"}, "spec": {}})
        taken = await seen.cluster.create_pod(manifest(2), 1_000)
        assert isinstance(taken, Refused)
        assert taken.kind is RefusalKind.NAME_TAKEN
        missing = await seen.cluster.create_pod(manifest(3, "missing"), 1_000)
        assert isinstance(missing, Refused)
        assert missing.kind is RefusalKind.NAMESPACE_MISSING


async def test_a_marked_pod_is_held_until_it_is_released(tmp_path: Path) -> None:
    kube = SmallKube()
    async with watching(kube, tmp_path) as seen:
        await seen.cluster.create_pod(manifest(), 1_000)
        await seen.until(lambda: NAME in seen.pods)
        uid = seen.pods[NAME].uid
        await seen.cluster.mark_pod("default", NAME, uid, '{"state":"FAILED"}')
        await seen.until(lambda: seen.pods[NAME].held)
        await seen.cluster.delete_pod("default", NAME, uid, 0)
        await seen.until(lambda: seen.pods[NAME].released)
        assert seen.pods[NAME].mark == '{"state":"FAILED"}'
        await seen.cluster.release_pod("default", NAME, uid)
        await seen.until(lambda: not seen.pods[NAME].held)
        await seen.cluster.mark_pod("default", "nobody", "x", "{}")


async def test_the_lock_is_held_by_one_runs_out_and_is_given_back(tmp_path: Path) -> None:
    kube = SmallKube()
    async with serving(kube, tmp_path) as kubeconfig:
        one, two = client(kubeconfig), client(kubeconfig)
        await one.hold_lock("one", 1_000)
        await one.hold_lock("one", 1_000)
        with pytest.raises(LockHeldError, match="held by one"):
            await two.hold_lock("two", 1_000)
        async with asyncio.timeout(10.0):
            while True:
                try:
                    await two.hold_lock("two", 1_000)
                    break
                except LockHeldError:
                    await asyncio.sleep(0.1)
        with pytest.raises(LockHeldError, match="held by two"):
            await one.hold_lock("one", 1_000)
        await two.release_lock("two")
        await one.hold_lock("one", 1_000)
        await one.close()
        await two.close()


async def test_a_server_that_is_away_or_refuses_us_is_one_clear_line(tmp_path: Path) -> None:
    async with serving(SmallKube(), tmp_path, token="wrong") as kubeconfig:
        cluster = client(kubeconfig)
        with pytest.raises(ClusterUnavailableError, match="Unauthorized"):
            await cluster.hold_lock("h", 1_000)
        with pytest.raises(ClusterUnavailableError, match="refuses our credentials"):
            await cluster.open()
        await cluster.close()
    cluster = client(kubeconfig)
    with pytest.raises(ClusterUnavailableError, match="cannot be reached"):
        await cluster.open()
    assert isinstance(await cluster.create_pod(manifest(), 1_000), NotSent)
    await cluster.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file"),
        ("a: [", "not YAML"),
        ("just text", "not a kubeconfig"),
        ("[]", "not a kubeconfig"),
        ("clusters: []\nusers: []\ncontexts: []\n", "current-context"),
        ("clusters: 3\nusers: x\ncontexts: {a: 1}\ncurrent-context: x\n", "kubeconfig"),
        (
            "clusters: [{name: c, cluster: {server: nowhere}}]\nusers: []\n"
            "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
            "not an address",
        ),
        (
            "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: /nowhere.crt}}]\nusers: []\n"
            "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
            "nowhere.crt",
        ),
        (
            "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority-data: bm9uZQ==}}]\n"
            "users: [{name: u, user: {token: t}}]\n"
            "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
            "certificates",
        ),
    ],
)
async def test_a_malformed_kubeconfig_is_one_clear_line(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    cluster = client(path)
    with pytest.raises(KubeAccessError, match=says) as refused:
        await cluster.open()
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    await cluster.close()
