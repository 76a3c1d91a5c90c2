"""One local Kubernetes control plane: etcd, kube-apiserver, and kwok, which plays the kubelets.

Inputs: a directory, four ports. Outputs: the commands of its three processes, an administrator's and an executor's
kubeconfig, nodes. Owner of everything in `directory`. The API server makes its own certificate and signs service
account tokens with that key; tokens are random, one per user, in files that nobody else may read.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.admin.errors import AdminError
from app.admin.kube_binaries import installed_binaries
from app.admin.kube_client import KubeClient
from app.admin.processes import LOOPBACK, port_taken
from app.admin.state import write_by_rename
from app.admin.toolchain import checkout_root

USERS = {"admin": "system:masters", "executor": "argosy-executors"}
EXECUTOR_GROUP = USERS["executor"]
POD_NAMESPACES = ("default",)
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeNodes:
    """Equal nodes for kwok to play: `<prefix>-0000` and so on."""

    count: int = 20
    prefix: str = "kube"
    cpu: str = "32"
    memory: str = "256Gi"
    pool: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeNode:
    """etcd_port and peer_port: etcd's; port: the API server's; kwok_port: kwok's own server."""

    directory: Path
    etcd_port: int
    peer_port: int
    port: int
    kwok_port: int

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.directory / "admin.kubeconfig"

    @property
    def executor_kubeconfig(self) -> Path:
        return self.directory / "executor.kubeconfig"

    @property
    def certificate(self) -> Path:
        """The API server's own, which is also what its clients trust; there from its first start on."""
        return self.directory / "cert" / "apiserver.crt"

    def prepare(self) -> None:
        """Tokens, kubeconfigs and kwok's configuration. May be repeated."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        if not self._tokens.is_file():
            lines = [f'{secrets.token_urlsafe(32)},{user},{user},"{group}"' for user, group in USERS.items()]
            write_by_rename(self._tokens, "\n".join([*lines, ""]).encode(), mode=0o600)
        self.write_kubeconfig(self.admin_kubeconfig, self.token("admin"))
        self.write_kubeconfig(self.executor_kubeconfig, self.token("executor"))
        source = checkout_root() / "infra" / "kube"
        parts = [source / "kwok.yaml", *sorted((source / "stages").glob("*.yaml"))]
        (self.directory / "kwok.yaml").write_text("\n---\n".join(part.read_text() for part in parts))

    def token(self, user: str) -> str:
        """The bearer token of a user. Raises AdminError."""
        for line in self._tokens.read_text().splitlines():
            token, name, *_ = line.split(",")
            if name == user:
                return token
        raise AdminError(f"{self._tokens} names no user {user}")

    def write_kubeconfig(self, path: Path, token: str, *, server: str = "", ca: Path | None = None) -> None:
        """A kubeconfig for this API server, mode 0600."""
        cluster = {"server": server or self.url, "certificate-authority": str(ca or self.certificate)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": "user"}}],
            "current-context": "local",
        }
        write_by_rename(path, yaml.safe_dump(content, sort_keys=False).encode(), mode=0o600)

    def etcd_command(self) -> list[str]:
        client, peer = f"http://{LOOPBACK}:{self.etcd_port}", f"http://{LOOPBACK}:{self.peer_port}"
        return [
            self._binary("etcd"),
            *("--name", "local", "--data-dir", str(self.directory / "etcd")),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"local={peer}", "--log-level", "warn"),
            *("--unsafe-no-fsync", "--quota-backend-bytes", str(2 << 30)),
        ]

    def apiserver_command(self) -> list[str]:
        key = str(self.directory / "cert" / "apiserver.key")
        return [
            self._binary("kube-apiserver"),
            *("--etcd-servers", f"http://{LOOPBACK}:{self.etcd_port}"),
            *("--bind-address", LOOPBACK, "--advertise-address", LOOPBACK, "--secure-port", str(self.port)),
            *("--cert-dir", str(self.directory / "cert"), "--token-auth-file", str(self._tokens)),
            *("--service-account-issuer", "https://kubernetes.default.svc"),
            *("--service-account-key-file", key, "--service-account-signing-key-file", key),
            *("--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16"),
            *("--disable-admission-plugins", "ServiceAccount,TaintNodesByCondition"),
            *("--endpoint-reconciler-type", "none", "--enable-priority-and-fairness=false"),
            *("--max-requests-inflight", "0", "--max-mutating-requests-inflight", "0"),
        ]

    def kwok_command(self) -> list[str]:
        return [
            self._binary("kwok"),
            *("--kubeconfig", str(self.admin_kubeconfig), "--config", str(self.directory / "kwok.yaml")),
            *("--server-address", f"{LOOPBACK}:{self.kwok_port}", "--cidr", "10.0.0.0/8"),
        ]

    def client(self, user: str = "admin") -> KubeClient:
        return KubeClient(LOOPBACK, self.port, ca=self.certificate, token=self.token(user))

    def is_ready(self) -> bool:
        """Whether the API server answers."""
        if not self.certificate.is_file():
            return False
        client = self.client()
        try:
            return client.is_ready()
        finally:
            client.close()

    def etcd_is_ready(self) -> bool:
        return port_taken(self.etcd_port)

    def kwok_is_ready(self) -> bool:
        return port_taken(self.kwok_port)

    def furnish(self, nodes: KubeNodes) -> None:
        """The executor's rights and the nodes. The API server must be ready. Raises AdminError."""
        client = self.client()
        try:
            self.grant(client, POD_NAMESPACES)
            for index in range(nodes.count):
                client.ensure("/api/v1/nodes", node_object(nodes, index))
        finally:
            client.close()

    def grant(self, client: KubeClient, namespaces: Iterable[str]) -> None:
        """infra/kube/executor-role.yaml, bound to the executor's user in these namespaces."""
        roles = list(yaml.safe_load_all((checkout_root() / "infra" / "kube" / "executor-role.yaml").read_text()))
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": EXECUTOR_GROUP}
        for role in roles:
            where = _where(role)
            client.ensure(f"{where}/{role['kind'].lower()}s", role)
            name, reference = role["metadata"]["name"], {"apiGroup": subject["apiGroup"], "kind": role["kind"]}
            binding = {"roleRef": {**reference, "name": name}, "subjects": [subject]}
            if name.endswith("-jobs"):
                for namespace in namespaces:
                    metadata = {"name": name, "namespace": namespace}
                    client.ensure(
                        f"{RBAC}/namespaces/{namespace}/rolebindings",
                        {**_of_rbac("RoleBinding"), "metadata": metadata, **binding},
                    )
            else:
                kind = f"{role['kind']}Binding"
                client.ensure(f"{where}/{kind.lower()}s", {**_of_rbac(kind), "metadata": role["metadata"], **binding})

    @property
    def _tokens(self) -> Path:
        return self.directory / "tokens.csv"

    def _binary(self, name: str) -> str:
        binaries = installed_binaries()
        if binaries is None:
            raise AdminError("the local Kubernetes is not built: argosy-admin dev fetch --kube")
        return str(binaries / name)


def node_object(nodes: KubeNodes, index: int) -> dict[str, Any]:
    """A node as its kubelet would register it."""
    name = f"{nodes.prefix}-{index:04d}"
    amounts = {"cpu": nodes.cpu, "memory": nodes.memory, "ephemeral-storage": "1Ti", "pods": "1000"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "argosy.io/pool": nodes.pool}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": amounts, "capacity": amounts},
    }


def _where(role: dict[str, Any]) -> str:
    namespace = role["metadata"].get("namespace")
    return f"{RBAC}/namespaces/{namespace}" if namespace else RBAC


def _of_rbac(kind: str) -> dict[str, str]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind}
