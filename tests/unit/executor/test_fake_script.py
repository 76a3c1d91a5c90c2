"""The table by which a fake cluster reads pods."""

from typing import Any

import pytest

from app.executor.fake_cluster.script import FOREVER_MS, read_script, refusal_of
from app.executor.fake_cluster.spec import FakeClusterError, FakeClusterSpec, NodeGroup
from app.executor.kubernetes import Taint

CLUSTER = FakeClusterSpec(groups=(NodeGroup(count=1),), start_delay_ms=50, stop_delay_ms=30, default_run_ms=700)


def container(*words: str, image: str = "busybox", **more: Any) -> dict[str, Any]:
    return {"name": "main", "image": image, "command": list(words), **more}


def shell(script: str) -> dict[str, Any]:
    return container("sh", "-c", script)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (container("sleep", "5"), (5_000, 0)),
        (container("/bin/sleep", "0.25"), (250, 0)),
        (container("sleep", "10s"), (10_000, 0)),
        (container("sleep", "2m"), (120_000, 0)),
        (container("sleep", "1", "2"), (3_000, 0)),
        (container("sleep", "infinity"), (FOREVER_MS, 0)),
        (container("sleep", "soon"), (0, 1)),
        (container("sleep"), (0, 1)),
        (container("sleep", "9" * 30), (0, 1)),
        (container("exit", "3"), (0, 3)),
        (container("true"), (0, 0)),
        (container("false"), (0, 1)),
        (container("echo", "hello"), (0, 0)),
        (container("ls", "/"), (0, 0)),
        (container("python", "train.py"), (700, 0)),
        ({"name": "main", "image": "busybox"}, (700, 0)),
        ({"name": "main", "image": "busybox", "args": ["sleep", "1"]}, (1_000, 0)),
        ({"name": "main", "image": "busybox", "command": ["sh"], "args": ["-c", "exit 4"]}, (0, 4)),
        (shell("sleep 5; exit 3"), (5_000, 3)),
        (shell("exit 3; sleep 5"), (0, 3)),
        (shell("sleep 1 && sleep 2"), (3_000, 0)),
        (shell("false && sleep 2"), (0, 1)),
        (shell("false || sleep 2"), (2_000, 0)),
        (shell("true || sleep 2"), (0, 0)),
        (shell("false; true"), (0, 0)),
        (shell("false\nexit"), (0, 1)),
        (shell("echo 'a;b' && exit 2"), (0, 2)),
        (shell("sleep 1 &&\n  sleep 1"), (2_000, 0)),
        (shell("echo a # exit 9; sleep 5\nexit 4"), (0, 4)),
        (shell("set -e; false; sleep 1"), (0, 1)),
        (shell("set -e; false || true; sleep 1"), (1_000, 0)),
        (container("sh", "-ec", "false\nsleep 1"), (0, 1)),
        (shell("true && false && sleep 5 || exit 6"), (0, 6)),
        (shell("false || true && sleep 1"), (1_000, 0)),
        (shell("echo 'open"), (0, 2)),
        (shell("exec sleep 2; exit 1"), (2_000, 0)),
        (shell("python x.py && exit 7"), (700, 7)),
        (shell("exit 300"), (0, 44)),
        (shell(""), (0, 0)),
        (container("bash", "-lc", "sleep 1"), (1_000, 0)),
        (container("bash", "script.sh"), (700, 0)),
    ],
)
def test_a_command_is_read(given: dict[str, Any], want: tuple[int, int]) -> None:
    [read] = read_script({"containers": [given]}, {}, CLUSTER).containers
    assert (read.run_ms, read.exit_code) == want


@pytest.mark.parametrize(
    ("image", "want"),
    [
        ("registry.example/unknown/tool:1", "ImagePullBackOff"),
        ("tool:missing", "ImagePullBackOff"),
        ("registry.example/unreachable:1", "ImagePullBackOff"),
        ("Not An Image", "InvalidImageName"),
        ("", "InvalidImageName"),
        ("registry.example:5000/team/tool@sha256:0af", ""),
        ("missing", ""),
    ],
)
def test_an_image_may_not_be_there(image: str, want: str) -> None:
    [read] = read_script({"containers": [container("true", image=image)]}, {}, CLUSTER).containers
    assert read.waiting == want


def test_init_containers_and_sidecars_are_told_apart() -> None:
    spec = {
        "initContainers": [
            {**container("sleep", "1"), "name": "setup"},
            {**container("sleep", "9"), "name": "proxy", "restartPolicy": "Always"},
        ],
        "containers": [container("sleep", "2")],
        "activeDeadlineSeconds": 60,
        "terminationGracePeriodSeconds": 5,
    }
    script = read_script(spec, {}, CLUSTER)
    assert [(read.name, read.init) for read in script.containers] == [("setup", True), ("main", False)]
    assert (script.deadline_ms, script.grace_seconds, script.start_delay_ms, script.stop_delay_ms) == (
        60_000,
        5,
        50,
        30,
    )


@pytest.mark.parametrize("prefix", ["fake-cluster/", "argosy.io/fake-"])
def test_annotations_replace_what_was_read(prefix: str) -> None:
    annotations = {
        f"{prefix}start-delay-ms": "7",
        f"{prefix}run-ms": "11",
        f"{prefix}exit-code": "13",
        f"{prefix}stop-delay-ms": "x",
    }
    script = read_script({"containers": [container("sleep", "5")]}, annotations, CLUSTER)
    assert (script.start_delay_ms, script.stop_delay_ms) == (7, 30)
    assert (script.containers[0].run_ms, script.containers[0].exit_code) == (11, 13)


@pytest.mark.parametrize(
    "spec", [{}, {"containers": 5}, {"containers": [5, None]}, {"containers": [{"command": 7, "args": [1]}]}]
)
def test_whatever_the_table_does_not_know_is_passed_over(spec: dict[str, Any]) -> None:
    read_script(spec, {}, CLUSTER)


@pytest.mark.parametrize(
    ("groups", "more", "want"),
    [
        ((), {}, "groups"),
        ((NodeGroup(count=0),), {}, r"groups\[0\].count"),
        ((NodeGroup(count=1, cpu="many"),), {}, r"groups\[0\].cpu"),
        ((NodeGroup(count=1, memory="-1"),), {}, r"groups\[0\].memory"),
        ((NodeGroup(count=1), NodeGroup(count=1)), {}, r"groups\[1\].prefix"),
        ((NodeGroup(count=90_000, prefix="a"), NodeGroup(count=90_000, prefix="b")), {}, "more than 100000"),
        ((NodeGroup(count=1),), {"start_delay_ms": -1}, "start_delay_ms"),
    ],
)
def test_a_wrong_description_names_the_field(groups: tuple[NodeGroup, ...], more: dict[str, int], want: str) -> None:
    with pytest.raises(FakeClusterError, match=want):
        FakeClusterSpec(groups=groups, **more)


def test_nodes_are_named_and_labelled_by_their_group() -> None:
    taint = Taint(key="gpu", value="true")
    group = NodeGroup(
        count=2, prefix="big", pool="gpu", node_type="a100", gpus=8, taints=(taint,), labels={"zone": "a"}
    )
    nodes = FakeClusterSpec(groups=(group,)).nodes()
    assert [node.name for node in nodes] == ["big-0000", "big-0001"]
    assert nodes[0].labels["argosy.io/pool"] == "gpu"
    assert nodes[0].labels["zone"] == "a"
    assert nodes[0].allocatable["nvidia.com/gpu"] == "8"
    assert nodes[0].taints == (taint,)


def test_annotations_say_what_happens_to_a_pod_from_outside() -> None:
    spec = {"containers": [{"name": "main", "image": "busybox", "command": ["sleep", "5"]}]}
    outside = {"fake-cluster/delete-after-ms": "5", "fake-cluster/refuse": "OutOfcpu", "fake-cluster/message": "m"}
    script = read_script(spec, outside, CLUSTER)
    assert (script.deleted_after_ms, script.refuse, script.containers[0].note) == (5, "OutOfcpu", "m")
    lost = {"fake-cluster/lose-node-after-ms": "7"}
    first, second = (read_script(spec, lost, CLUSTER, attempt) for attempt in (0, 1))
    assert (first.node_lost_after_ms, second.node_lost_after_ms) == (7, 0)
    assert first.containers[0].run_ms > second.containers[0].run_ms == 5_000
    fails = {"fake-cluster/fail-attempts": "1"}
    codes = [read_script(spec, fails, CLUSTER, attempt).containers[0].exit_code for attempt in (0, 1)]
    assert codes == [1, 0]


def test_a_memory_eater_is_killed_where_there_is_a_limit() -> None:
    eater = {"name": "main", "image": "busybox", "command": ["tail", "/dev/zero"]}
    limited = {**eater, "resources": {"limits": {"memory": "64Mi"}}}
    (script,) = read_script({"containers": [limited]}, {}, CLUSTER).containers
    assert (script.exit_code, script.reason) == (137, "OOMKilled")
    (script,) = read_script({"containers": [eater]}, {}, CLUSTER).containers
    assert script.exit_code == 0


def test_a_mount_needs_its_volume_and_a_resolver_its_servers() -> None:
    container = {"name": "main", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}
    assert refusal_of({"containers": [container]}) == "spec.containers[0].volumeMounts[0].name: Not found: 'data'"
    assert refusal_of({"containers": [container], "volumes": [{"name": "data"}]}) == ""
    assert "nameservers" in refusal_of({"containers": [], "dnsPolicy": "None"})
