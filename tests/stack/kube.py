"""A local Kubernetes under test: etcd, API server and kwok, each with a life that a test may end and begin.

Inputs: a directory. Outputs: verbs of a fault test, an administrator's client, kubeconfigs. Ports, certificates and
data stay the same over restarts. `skip_without_kube` skips with the reason where it cannot be built.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.admin.errors import AdminError, ToolMissingError
from app.admin.kube_binaries import find_go, installed_binaries
from app.admin.kube_client import KubeCallError, KubeClient
from app.admin.kube_node import KubeNode, KubeNodes
from app.admin.processes import Child, free_port, last_lines, spawn

READY_TIMEOUT_S = 60.0
AUDIT_POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Metadata, users: [executor]}
- {level: None}
"""


def skip_without_kube() -> None:
    """Skips the test, saying what is missing, unless the three programs are there."""
    if installed_binaries() is not None:
        return
    try:
        find_go()
    except ToolMissingError as error:
        pytest.skip(str(error))
    pytest.skip("the local Kubernetes is not built yet: make kube (once; Go builds it in minutes)")


class KubePlane:
    """Not started by construction. audited: the API server writes down every call of the executor's user."""

    def __init__(self, directory: Path, *, audited: bool = False) -> None:
        self._audited = audited
        self.node = KubeNode(
            directory=directory,
            etcd_port=free_port(),
            peer_port=free_port(),
            port=free_port(),
            kwok_port=free_port(),
        )
        self._children: dict[str, Child] = {}
        self._client: KubeClient | None = None

    def start(self, nodes: KubeNodes | None = None, *, kwok: bool = True) -> None:
        """All three, with nodes. Raises AssertionError when one does not become ready."""
        self.node.prepare()
        self.start_etcd()
        self.start_apiserver()
        self.node.furnish(nodes or KubeNodes(count=4))
        if kwok:
            self.start_kwok()

    def start_etcd(self) -> None:
        self._start("etcd", self.node.etcd_command(), self.node.etcd_is_ready)

    def start_apiserver(self) -> None:
        self.spawn_apiserver()
        self.await_apiserver()

    def await_apiserver(self) -> None:
        """Until it is ready; may be called by any thread."""
        self._await("kube-apiserver", self.node.is_ready)

    def spawn_apiserver(self) -> None:
        """Not ready yet. It dies with the thread that calls this, so that should be the main one."""
        command = self.node.apiserver_command()
        if self._audited:
            policy = self.node.directory / "audit-policy.yaml"
            policy.write_text(AUDIT_POLICY)
            command += ["--audit-policy-file", str(policy), "--audit-log-path", str(self._audit_log)]
        self._spawn("kube-apiserver", command)

    @property
    def _audit_log(self) -> Path:
        return self.node.directory / "audit.log"

    def calls(self) -> set[tuple[str, str, int]]:
        """(verb, resource, HTTP status) of every call of the executor's user; only when audited."""
        found = set()
        for line in self._audit_log.read_text().splitlines():
            event = json.loads(line)
            reference = event.get("objectRef") or {}
            found.add((event["verb"], reference.get("resource", ""), event["responseStatus"]["code"]))
        return found

    def compact(self) -> None:
        """Forgets all history in etcd, through its JSON gateway: watches that go on from an old version get 410."""
        url = f"http://127.0.0.1:{self.node.etcd_port}/v3"
        current = httpx.post(f"{url}/kv/range", json={"key": "AA=="}, timeout=10.0).json()["header"]["revision"]
        httpx.post(
            f"{url}/kv/compaction", json={"revision": current, "physical": True}, timeout=30.0
        ).raise_for_status()

    def start_kwok(self) -> None:
        self._start("kwok", self.node.kwok_command(), self.node.kwok_is_ready)

    def kill(self, name: str) -> None:
        """SIGKILL to etcd, kube-apiserver or kwok."""
        self._children.pop(name).kill()
        if name == "kube-apiserver" and self._client is not None:
            self._client.close()

    def pid(self, name: str) -> int:
        return self._children[name].pid

    def close(self) -> None:
        """Everything ends at once; for fixtures."""
        for name in ("kwok", "kube-apiserver", "etcd"):
            if name in self._children:
                self.kill(name)
        if self._client is not None:
            self._client.close()

    @property
    def client(self) -> KubeClient:
        """The administrator's."""
        if self._client is None:
            self._client = self.node.client()
        return self._client

    def pods(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """Pods of a namespace, or of all."""
        where = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        found: list[dict[str, Any]] = self.client.call("GET", where)["items"]
        return found

    def make_namespace(self, name: str, *, granted: bool = True) -> None:
        """A namespace in which the executor may write pods."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            self.client.call("POST", "/api/v1/namespaces", body)
        except KubeCallError as error:
            if error.status != 409:
                raise
        if granted:
            self.node.grant(self.client, [name])

    def make_priority_class(self, name: str, priority: int) -> None:
        """A priority class that pods may name."""
        kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
        self.client.ensure("/apis/scheduling.k8s.io/v1/priorityclasses", {**kind, "value": priority})

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """A merge patch."""
        self.client.call("PATCH", path, body, content_type="application/merge-patch+json")

    def _start(self, name: str, command: list[str], ready: Callable[[], bool]) -> None:
        self._spawn(name, command)
        self._await(name, ready)

    def _spawn(self, name: str, command: list[str]) -> None:
        self._children[name] = spawn(name, command, log=self._log(name), die_with_parent=True)

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        child, deadline = self._children[name], time.monotonic() + READY_TIMEOUT_S
        while not ready():
            if child.exit_code() is not None or time.monotonic() > deadline:
                raise AdminError(f"{name} did not start: {last_lines(self._log(name))}")
            time.sleep(0.05)

    def _log(self, name: str) -> Path:
        return self.node.directory / f"{name}.log"
