"""The fake cluster: what pods do, what survives a restart, and that its journal shows what must not be."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from app.executor.fake_cluster.cluster import FakeCluster
from app.executor.fake_cluster.faults import FakeFaults
from app.executor.fake_cluster.journal import JOURNAL, JournalError, JournalInUseError
from app.executor.fake_cluster.lives import check_journals, read_journal
from app.executor.fake_cluster.spec import FakeClusterSpec, NodeGroup
from app.executor.kubernetes import Cluster, Created, LockHeldError, Pod, PodManifest, RefusalKind, Refused, Unknown
from app.executor.manifest import ManifestRules, build_manifest
from tests.unit.executor.builders import CLUSTER, LOG, a_lease, an_id

SPEC = FakeClusterSpec(groups=(NodeGroup(count=2, cpu="4", memory="8Gi"),), start_delay_ms=100, stop_delay_ms=200)
NODE = "node-0000"


class Clock:
    """Time that a test moves."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def a_manifest(
    number: int, *words: str, cpu: str = "1", node: str = NODE, image: str = "busybox", **spec: Any
) -> PodManifest:
    container = {"name": "main", "image": image, "command": list(words), "resources": {"requests": {"cpu": cpu}}}
    body = msgspec.json.encode({"containers": [container], **spec})
    return build_manifest(
        a_lease(number, node=node, pod_spec=Raw(body)), log=LOG, cluster=CLUSTER, rules=ManifestRules()
    )


class Play:
    """A fake cluster with a clock; `restart` is a kill -9: nothing is closed in order."""

    def __init__(self, directory: Path, *, clock: Clock | None = None, faults: FakeFaults | None = None) -> None:
        self.directory = directory
        self.clock = clock or Clock()
        self.faults = faults or FakeFaults()
        self.cluster = self._new()
        self.seen: dict[str, Pod] = {}

    def _new(self) -> FakeCluster:
        return FakeCluster(SPEC, self.directory, clock_ms=self.clock, rng=random.Random(1), faults=self.faults)

    async def open(self) -> "Play":
        self.seen = {pod.name: pod for pod in (await self.cluster.open()).pods}
        return self

    async def restart(self) -> "Play":
        await self.cluster.close()
        self.cluster = self._new()
        return await self.open()

    async def watch(self, ms: int = 0) -> list[str]:
        """Time passes; gives what the watch shows as `number phase`."""
        self.clock.now_ms += ms
        changes = await self.cluster.next_changes(0)
        shown = [f"{number_of(pod)} {pod.phase}" for pod in changes.pods]
        for pod in changes.pods:
            self.seen[pod.name] = pod
        for pod in changes.deleted:
            self.seen.pop(pod.name, None)
        return shown + [f"{number_of(pod)} deleted" for pod in changes.deleted]

    async def delete(self, number: int, grace_seconds: int = 30) -> None:
        pod = self.seen[f"argosy-{an_id(number)}"]
        await self.cluster.delete_pod(pod.namespace, pod.name, pod.uid, grace_seconds)


def number_of(pod: Pod) -> int:
    return int(pod.name.removeprefix("argosy-"))


async def test_a_pod_goes_through_its_phases(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    assert await play.cluster.create_pod(a_manifest(1, "sh", "-c", "sleep 1; exit 3"), 1_000) == Created()
    assert await play.watch() == ["1 Pending"]
    assert await play.watch(99) == []
    assert await play.watch(1) == ["1 Running"]
    assert await play.watch(1_000) == ["1 Failed"]
    [container] = play.seen[f"argosy-{an_id(1)}"].containers
    assert (container.exit_code, container.finished_ms) == (3, 1_001_100)
    await play.cluster.close()


async def test_a_running_pod_is_deleted_with_grace_and_others_at_once(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    for number, words in ((1, ("sleep", "60")), (2, ("true",)), (3, ("sleep", "60"))):
        await play.cluster.create_pod(a_manifest(number, *words), 1_000)
    await play.watch()
    await play.delete(3)
    assert await play.watch() == ["3 deleted"]
    await play.watch(500)
    await play.delete(1)
    await play.delete(2)
    shown = await play.watch()
    assert sorted(shown) == ["1 Running", "2 deleted"]
    assert play.seen[f"argosy-{an_id(1)}"].deletion_ms == play.clock.now_ms
    assert await play.watch(199) == []
    assert await play.watch(1) == ["1 deleted"]
    await play.cluster.close()


async def test_force_shortens_a_deletion(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "sleep", "60"), 1_000)
    await play.watch(500)
    await play.delete(1)
    await play.delete(1, grace_seconds=0)
    assert await play.watch() == ["1 deleted"]
    await play.cluster.close()


async def test_a_create_is_idempotent_by_name_and_knows_whose_pod_it_is(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    first = a_manifest(1, "sleep", "60")
    other = build_manifest(a_lease(1, offset=99, node=NODE), log=LOG, cluster=CLUSTER, rules=ManifestRules())
    assert [await play.cluster.create_pod(first, 1_000) for _ in range(2)] == [Created(), Created()]
    refused = await play.cluster.create_pod(other, 1_000)
    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.NAME_TAKEN
    assert len(read_journal(tmp_path)) == 1
    await play.cluster.close()


async def test_a_node_that_would_be_over_full_refuses_admission(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    for number in (1, 2):
        await play.cluster.create_pod(a_manifest(number, "sleep", "1", cpu="3"), 1_000)
    assert sorted(await play.watch()) == ["1 Pending", "2 Failed"]
    refused = play.seen[f"argosy-{an_id(2)}"]
    assert (refused.reason, refused.began) == ("OutOfcpu", False)
    await play.watch(1_100)
    await play.cluster.create_pod(a_manifest(3, "sleep", "1", cpu="3"), 1_000)
    assert await play.watch() == ["3 Pending"]
    assert check_journals([tmp_path]) == []
    await play.cluster.close()


async def test_a_pod_that_does_not_match_its_node_is_refused(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "true", nodeSelector={"zone": "z"}), 1_000)
    assert await play.watch() == ["1 Failed"]
    assert play.seen[f"argosy-{an_id(1)}"].reason == "NodeAffinity"
    await play.cluster.close()


async def test_a_pod_on_no_node_waits_for_ever(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "true", node="ghost"), 1_000)
    await play.watch()
    await play.watch(3_600_000)
    assert play.seen[f"argosy-{an_id(1)}"].phase == "Pending"
    await play.delete(1)
    assert await play.watch() == ["1 deleted"]
    await play.cluster.close()


async def test_an_unknown_image_never_starts_and_says_why(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "true", image="registry/unknown/x"), 1_000)
    await play.watch()
    [container] = play.seen[f"argosy-{an_id(1)}"].containers
    assert container.reason == "ErrImagePull"
    assert await play.watch(1_000) == ["1 Pending"]
    [container] = play.seen[f"argosy-{an_id(1)}"].containers
    assert container.reason == "ImagePullBackOff"
    assert "not found" in (container.message or "")
    await play.cluster.close()


async def test_init_containers_run_before_and_may_fail_the_pod(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    init = [{"name": "setup", "image": "busybox", "command": ["sh", "-c", "sleep 1; exit 2"]}]
    await play.cluster.create_pod(a_manifest(1, "sleep", "5", initContainers=init), 1_000)
    await play.watch()
    assert await play.watch(500) == ["1 Pending"]
    assert await play.watch(600) == ["1 Failed"]
    setup, main = play.seen[f"argosy-{an_id(1)}"].containers
    assert (setup.exit_code, main.began) == (2, False)
    await play.cluster.close()


async def test_a_deadline_fails_the_pod(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "sleep", "60", activeDeadlineSeconds=2), 1_000)
    await play.watch(100)
    assert await play.watch(1_900) == ["1 Failed"]
    assert play.seen[f"argosy-{an_id(1)}"].reason == "DeadlineExceeded"
    await play.cluster.close()


async def test_a_missing_namespace_and_a_wrong_quantity_are_refused(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    missing = build_manifest(a_lease(1, namespace="missing-ns"), log=LOG, cluster=CLUSTER, rules=ManifestRules())
    for manifest, want in (
        (missing, RefusalKind.NAMESPACE_MISSING),
        (a_manifest(2, "true", cpu="lots"), RefusalKind.INVALID),
    ):
        outcome = await play.cluster.create_pod(manifest, 1_000)
        assert isinstance(outcome, Refused)
        assert outcome.kind is want
    await play.cluster.close()


async def test_pods_live_on_while_nobody_watches(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    for number, words in ((1, ("sleep", "1")), (2, ("sleep", "60")), (3, ("sleep", "60"))):
        await play.cluster.create_pod(a_manifest(number, *words), 1_000)
    await play.watch(200)
    await play.delete(3)
    play.clock.now_ms += 10_000
    await play.restart()
    phases = {number_of(pod): pod.phase for pod in play.seen.values()}
    assert phases == {1: "Succeeded", 2: "Running"}
    assert play.seen[f"argosy-{an_id(1)}"].containers[0].finished_ms == 1_001_100
    assert await play.watch(60_000) == ["2 Succeeded"]
    await play.cluster.close()


async def test_room_that_is_held_stays_held_after_a_restart(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "sleep", "60", cpu="3"), 1_000)
    await play.restart()
    await play.cluster.create_pod(a_manifest(2, "sleep", "1", cpu="3"), 1_000)
    assert await play.watch() == ["2 Failed"]
    await play.cluster.close()


async def test_a_clock_that_steps_back_changes_no_pod_back(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "sleep", "1"), 1_000)
    await play.watch(1_100)
    play.clock.now_ms -= 5_000
    assert (await play.cluster.read_pod("default", f"argosy-{an_id(1)}")) == play.seen[f"argosy-{an_id(1)}"]
    await play.cluster.close()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3_000), st.sampled_from(["create", "delete", "force"]), st.integers(1, 6)), max_size=12
    ),
    st.integers(0, 12),
    st.integers(0, 5_000),
)
async def test_a_restart_at_any_time_gives_the_same_pods(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, int]], restart_at: int, rest_ms: int
) -> None:
    """One cluster goes on, the other is killed and read from its journal: both show the same in the end."""
    ends = []
    for restarts in (False, True):
        play = await Play(tmp_path_factory.mktemp("cluster")).open()
        for index, (ms, what, number) in enumerate(steps):
            if restarts and index == restart_at:
                await play.restart()
            await play.watch(ms)
            if what == "create":
                await play.cluster.create_pod(a_manifest(number, "sleep", str(number), cpu="2"), 1_000)
            elif f"argosy-{an_id(number)}" in play.seen:
                await play.delete(number, grace_seconds=30 if what == "delete" else 0)
        await play.watch(rest_ms)
        ends.append(
            sorted(
                (pod.name, pod.phase, pod.reason, pod.created_ms, pod.deletion_ms, pod.containers)
                for pod in play.seen.values()
            )
        )
        await play.cluster.close()
        assert check_journals([play.directory]) == [] or any(what != "create" for _, what, _ in steps)
    assert ends[0] == ends[1]


async def test_creates_can_be_lost_silent_or_late(tmp_path: Path) -> None:
    for name, faults, want in (
        ("lost", FakeFaults(lost=1.0), 0),
        ("silent", FakeFaults(silent=1.0), 1),
        ("late", FakeFaults(late=1.0, late_ms_max=2), 1),
    ):
        play = await Play(tmp_path / name, faults=faults).open()
        outcome = await play.cluster.create_pod(a_manifest(1, "true"), 1_000)
        assert isinstance(outcome, Unknown)
        await play.cluster.next_changes(100 if want else 0)
        play.clock.now_ms += 1_000
        assert (await play.cluster.read_pod(None, f"argosy-{an_id(1)}") is not None) == bool(want)
        await play.cluster.close()


async def test_a_directory_belongs_to_one_process(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    with pytest.raises(JournalInUseError, match="in use"):
        await Play(tmp_path).open()
    await play.cluster.close()
    await (await Play(tmp_path).open()).cluster.close()


async def test_a_lock_is_held_by_one_and_runs_out(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    cluster: Cluster = play.cluster
    await cluster.hold_lock("a", 1_000)
    await cluster.hold_lock("a", 1_000)
    with pytest.raises(LockHeldError, match="held by a"):
        await cluster.hold_lock("b", 1_000)
    play.clock.now_ms += 1_000
    await cluster.hold_lock("b", 1_000)
    await cluster.release_lock("a")
    with pytest.raises(LockHeldError):
        await cluster.hold_lock("a", 1_000)
    await cluster.release_lock("b")
    await cluster.hold_lock("a", 1_000)
    await cluster.close()


async def test_a_torn_last_line_is_dropped_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "sleep", "60"), 1_000)
    await play.cluster.close()
    journal = tmp_path / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"event":"created","at":1')
    await play.restart()
    assert list(play.seen) == [f"argosy-{an_id(1)}"]
    await play.cluster.close()
    journal.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(JournalError, match="line 1"):
        await Play(tmp_path).open()
    assert "line 1" in check_journals([tmp_path])[0]


async def test_the_journal_tells_the_life_of_every_pod(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "sleep", "1"), 1_000)
    await play.cluster.create_pod(a_manifest(2, "sleep", "60"), 1_000)
    await play.watch(2_000)
    await play.delete(1)
    await play.delete(2)
    await play.watch(1_000)
    await play.restart()
    one, two = sorted(read_journal(tmp_path), key=lambda life: life.run_id)
    assert (one.created, one.started, one.finished, one.deleted) == (1_000_000, 1_000_100, 1_001_100, 1_002_000)
    assert (two.created, two.started, two.finished, two.deleted) == (1_000_000, 1_000_100, 1_002_200, 1_002_200)
    assert (one.job_id, one.node, one.requests) == (an_id(1), NODE, {"cpu": "1"})
    await play.cluster.close()


async def test_a_marked_pod_stays_until_it_is_released_also_over_a_restart(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_manifest(1, "sleep", "60"), 1_000)
    await play.watch(500)
    name = f"argosy-{an_id(1)}"
    pod = play.seen[name]
    await play.cluster.mark_pod(pod.namespace, name, pod.uid, "the last word")
    await play.delete(1, grace_seconds=0)
    assert await play.watch() == ["1 Failed"]
    await play.restart()
    assert (play.seen[name].mark, play.seen[name].released, play.seen[name].is_terminal) == (
        "the last word",
        True,
        True,
    )
    await play.cluster.release_pod(pod.namespace, name, pod.uid)
    assert await play.watch() == ["1 deleted"]
    await play.restart()
    assert name not in play.seen
    await play.cluster.close()


async def test_somebody_else_removes_a_pod_when_its_script_says_so(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    annotations = {"fake-cluster/delete-after-ms": "1000"}
    lease = a_lease(1, node=NODE, annotations=annotations, pod_spec=words_spec("sleep", "60"))
    manifest = build_manifest(lease, log=LOG, cluster=CLUSTER, rules=ManifestRules())
    await play.cluster.create_pod(manifest, 1_000)
    assert await play.watch(100) == ["1 Running"]
    assert play.seen[manifest.name].deletion_ms is None
    assert await play.watch(999) == []
    assert await play.watch(1) == ["1 deleted"]
    await play.cluster.close()


async def test_a_node_that_is_lost_is_gone_and_only_force_removes_its_pods(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    annotations = {"fake-cluster/lose-node-after-ms": "1000"}
    lease = a_lease(1, node=NODE, annotations=annotations, pod_spec=words_spec("sleep", "1"))
    manifest = build_manifest(lease, log=LOG, cluster=CLUSTER, rules=ManifestRules())
    await play.cluster.create_pod(manifest, 1_000)
    await play.watch(100)
    play.clock.now_ms += 1_000
    assert (await play.cluster.next_changes(0)).removed_nodes == (NODE,)
    await play.delete(1)
    assert await play.watch(60_000) == ["1 Running"]
    await play.delete(1, grace_seconds=0)
    assert await play.watch() == ["1 deleted"]
    await play.cluster.close()


def words_spec(*words: str) -> Raw:
    return Raw(msgspec.json.encode({"containers": [{"name": "main", "image": "busybox", "command": words}]}))
