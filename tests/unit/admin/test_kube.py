"""The local Kubernetes of a stack: what is planned, what is built when, and what is said when it cannot be (nothing is
started)."""

import fcntl
import re
import stat
import threading
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from app.admin.dev import app as dev
from app.admin.errors import AdminError, ToolMissingError
from app.admin.kube_binaries import COMMANDS, LOCK, ensure_kube_binaries, home_of, installed_binaries, kube_version
from app.admin.kube_node import KubeNode, KubeNodes, node_object
from app.admin.kube_stack import fetch_kube, wants_local_kube
from app.settings import Settings, load_settings
from tests.unit.admin.test_stack import EXTERNAL, build, stages

KUBE = {"ARGOSY_DEV__KUBE": "true"}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which the three programs are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    binaries = home_of(tmp_path / "cache" / "argosy") / "bin"
    binaries.mkdir(parents=True)
    for command in COMMANDS:
        (binaries / command.name).touch()
    return binaries


def settings(**environment: str) -> Settings:
    demo = Path(__file__).parents[3] / "infra" / "demo.yaml"
    return load_settings(demo, {**EXTERNAL, **environment})


def test_etcd_comes_before_the_api_server_and_kwok_after_it_and_its_executor_last(tmp_path: Path, built: Path) -> None:
    stack = build(tmp_path, KUBE)
    names = [[process.name for process in stage] for stage in stages(stack)]
    assert names[:4] == [[], ["etcd"], ["kube-apiserver"], ["kwok"]]
    assert names[-1] == ["executor-alpha", "executor-bravo", "executor-charlie", "executor-kube"]
    known = stack.settings.clusters["kube"]
    assert known.kubernetes is not None
    assert known.kubernetes.kubeconfig is not None
    assert known.token_sha256
    content = yaml.safe_load(known.kubernetes.kubeconfig.read_text())
    assert content["clusters"][0]["cluster"]["server"] == stack.plan.urls["kubernetes"]
    assert stat.S_IMODE(known.kubernetes.kubeconfig.stat().st_mode) == 0o600


def test_without_kube_nothing_of_it_is_planned_or_fetched(tmp_path: Path) -> None:
    assert not wants_local_kube(settings())
    fetch_kube(settings(), lambda _line: pytest.fail("nothing is to be built"))
    assert all(process.name != "etcd" for stage in stages(build(tmp_path)) for process in stage)


def test_a_cluster_with_a_kubeconfig_is_used_instead(tmp_path: Path) -> None:
    given = {**KUBE, "ARGOSY_CLUSTERS__KUBE__KUBERNETES__KUBECONFIG": "own.kubeconfig"}
    assert not wants_local_kube(settings(**given))
    names = [process.name for stage in stages(build(tmp_path, given)) for process in stage]
    assert "executor-kube" in names
    assert "kube-apiserver" not in names


def test_without_go_one_line_says_what_is_missing_and_what_else_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissingError, match="Go is missing") as missing:
        ensure_kube_binaries(lambda _line: None, tmp_path)
    assert "kubeconfig" in str(missing.value)
    assert "\n" not in str(missing.value)
    assert installed_binaries(tmp_path) is None


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler of a few lines; $GO_FAILS makes it fail, "broken" and why."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "go"
    program.write_text(
        """#!/bin/sh
[ "$1" = env ] && { echo go1.26.1; exit; }
[ -z "$GO_FAILS" ] || { echo "go: downloading x" >&2; echo "proxy: $GO_FAILS" >&2; exit 1; }
while [ "$1" != -o ]; do shift; done
echo built >"$2"
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return program


def test_what_is_built_is_there_and_is_not_built_again(tmp_path: Path, go: Path) -> None:
    said: list[str] = []
    binaries = ensure_kube_binaries(said.append, tmp_path)
    assert sorted(path.name for path in binaries.glob("[!.]*")) == sorted(command.name for command in COMMANDS)
    assert [line.split()[:2] for line in said] == [["building", command.name] for command in COMMANDS]
    go.unlink()
    assert ensure_kube_binaries(said.append, tmp_path) == binaries
    assert len(said) == len(COMMANDS)


def test_a_build_that_fails_is_one_line_with_the_compilers_reason(
    tmp_path: Path, go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_FAILS", "no such host")
    with pytest.raises(AdminError, match=r"^etcd could not be built: proxy: no such host$"):
        ensure_kube_binaries(lambda _line: None, tmp_path)
    assert [path.name for path in (home_of(tmp_path) / "bin").iterdir()] == [LOCK], "nothing half is left"


def test_one_process_builds_and_others_wait_for_it(tmp_path: Path, go: Path) -> None:
    binaries = home_of(tmp_path) / "bin"
    binaries.mkdir(parents=True)
    said: list[str] = []
    waits = threading.Event()

    def report(line: str) -> None:
        said.append(line)
        waits.set()

    with (binaries / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Thread(target=ensure_kube_binaries, args=(report, tmp_path))
        other.start()
        assert waits.wait(10.0)
        assert said == ["another process builds the local Kubernetes: waiting for it"]
        for command in COMMANDS:
            (binaries / command.name).touch()
    other.join(10.0)
    assert len(said) == 1, "what the first one has built is not built again"


@pytest.mark.parametrize(("option", "code"), [("--kube", 1), ("--kube-if-possible", 0)])
def test_fetching_it_if_possible_is_no_failure_without_go(
    option: str, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("app.admin.dev.installed_jars", lambda: tmp_path)
    answer = CliRunner().invoke(dev, ["fetch", option])
    assert (answer.exit_code, isinstance(answer.exception, ToolMissingError)) == (code, bool(code))
    assert ("Go is missing" in answer.output) is not bool(code)


def test_versions_are_those_of_the_go_modules() -> None:
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", kube_version(command.name)) for command in COMMANDS)
    assert kube_version().startswith("v1.36.")


def test_tokens_are_random_private_and_kept(tmp_path: Path) -> None:
    node = KubeNode(directory=tmp_path / "kube", etcd_port=1, peer_port=2, port=3, kwok_port=4)
    node.prepare()
    tokens = {user: node.token(user) for user in ("admin", "executor")}
    node.prepare()
    assert {user: node.token(user) for user in tokens} == tokens
    assert tokens["admin"] != tokens["executor"]
    assert stat.S_IMODE((tmp_path / "kube" / "tokens.csv").stat().st_mode) == 0o600
    documents = list(filter(None, yaml.safe_load_all((tmp_path / "kube" / "kwok.yaml").read_text())))
    assert [document["kind"] for document in documents].count("Stage") == len(documents) - 1


def test_a_node_registers_with_its_capacity_and_pool() -> None:
    node = node_object(KubeNodes(prefix="x", cpu="4", pool="gpu"), 7)
    assert node["metadata"]["name"] == "x-0007"
    assert node["metadata"]["labels"]["argosy.io/pool"] == "gpu"
    assert node["status"]["allocatable"]["cpu"] == "4"
