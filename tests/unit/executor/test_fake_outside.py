"""What happens to pods of a fake cluster from outside: marks of the executor, removal by others, the loss of a node."""

from pathlib import Path

import msgspec
from msgspec import Raw

from app.executor.fake_cluster.lives import check_journals, read_journal
from app.executor.kubernetes import PodManifest
from app.executor.manifest import ManifestRules, build_manifest
from app.executor.protocol import LeaseGang
from tests.unit.executor.builders import CLUSTER, LOG, a_lease, an_id
from tests.unit.executor.test_fake_cluster import NODE, Play, a_manifest


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


async def test_a_pod_that_hangs_is_being_deleted_by_somebody_and_only_force_removes_it(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    annotations = {"fake-cluster/hang-after-ms": "1000"}
    lease = a_lease(1, node=NODE, annotations=annotations, pod_spec=words_spec("sleep", "600"))
    manifest = build_manifest(lease, log=LOG, cluster=CLUSTER, rules=ManifestRules())
    await play.cluster.create_pod(manifest, 1_000)
    await play.watch(100)
    assert play.seen[manifest.name].deletion_ms is None
    assert await play.watch(1_000) == ["1 Running"]
    assert play.seen[manifest.name].deletion_ms == play.clock.now_ms
    assert await play.watch(120_000) == [], "long after its grace time"
    await play.restart()
    assert play.seen[manifest.name].deletion_ms is not None
    await play.delete(1, grace_seconds=0)
    assert await play.watch() == ["1 deleted"]
    await play.cluster.close()


def a_member(number: int, *, start_delay_ms: int, cardinality: int = 2, gang: str = "g") -> PodManifest:
    annotations = {"fake-cluster/wait-for-gang": "true", "fake-cluster/start-delay-ms": str(start_delay_ms)}
    lease = a_lease(
        number,
        node=NODE,
        annotations=annotations,
        pod_spec=words_spec("sleep", "1"),
        gang=LeaseGang(id=gang, cardinality=cardinality),
    )
    return build_manifest(lease, log=LOG, cluster=CLUSTER, rules=ManifestRules())


async def test_members_of_a_gang_wait_until_all_of_them_have_begun_also_over_a_restart(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_member(1, start_delay_ms=100), 1_000)
    await play.cluster.create_pod(a_member(3, start_delay_ms=100, gang="another"), 1_000)
    assert sorted(await play.watch(100)) == ["1 Running", "3 Running"]
    assert await play.watch(60_000) == [], "alone it waits for ever"
    await play.restart()
    await play.cluster.create_pod(a_member(2, start_delay_ms=5_000), 1_000)
    await play.watch(4_999)
    assert {name: pod.phase.value for name, pod in play.seen.items() if pod.phase.value != "Running"} == {
        f"argosy-{an_id(2)}": "Pending"
    }
    assert await play.watch(1) == ["2 Running"]
    await play.restart()
    assert await play.watch(999) == []
    assert sorted(await play.watch(1)) == ["1 Succeeded", "2 Succeeded"]
    assert check_journals([tmp_path], play.clock.now_ms) == []
    finished = {life.name: life.finished for life in read_journal(tmp_path, play.clock.now_ms)}
    assert finished[f"argosy-{an_id(1)}"] == play.clock.now_ms
    assert finished[f"argosy-{an_id(3)}"] == 0
    await play.cluster.close()


async def test_a_member_that_was_removed_is_not_waited_for_but_its_next_attempt_is(tmp_path: Path) -> None:
    play = await Play(tmp_path).open()
    await play.cluster.create_pod(a_member(1, start_delay_ms=100), 1_000)
    await play.watch(100)
    await play.delete(1, grace_seconds=0)
    await play.cluster.create_pod(a_member(2, start_delay_ms=100), 1_000)
    await play.watch(100)
    assert await play.watch(60_000) == []
    await play.cluster.create_pod(a_member(3, start_delay_ms=100), 1_000)
    await play.watch(100)
    assert sorted(await play.watch(1_000)) == ["2 Succeeded", "3 Succeeded"]
    await play.cluster.close()
