"""The local Kubernetes of a stack: what is planned, what is built when, and what is said when it cannot be (nothing is
started)."""

import re
import stat
from pathlib import Path

import pytest
import yaml

from app.admin.errors import ToolMissingError
from app.admin.kube_binaries import COMMANDS, ensure_kube_binaries, home_of, installed_binaries, kube_version
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
