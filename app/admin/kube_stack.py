"""The local Kubernetes of a stack (`dev up --kube`): etcd, API server and kwok as steps of its plan.

Inputs: settings, the state directory. Outputs: steps, and the settings of the cluster that they make. A cluster of that
name that has a kubeconfig in the settings is used as it is, and nothing is started for it.
"""

import signal
from collections.abc import Callable
from pathlib import Path

from app.admin.kube_binaries import ensure_kube_binaries, installed_binaries
from app.admin.kube_node import KubeNode, KubeNodes
from app.admin.plan import ProcessPlan, Stage, Step
from app.admin.state import StateDirectory
from app.settings import Settings


def wants_local_kube(settings: Settings) -> bool:
    """Whether the stack is to start a Kubernetes of its own."""
    if not settings.dev.kube:
        return False
    known = settings.clusters.get(settings.dev.kube_cluster)
    return known is None or known.kubernetes is None or known.kubernetes.kubeconfig is None


def fetch_kube(settings: Settings, report: Callable[[str], None]) -> None:
    """Builds the programs when they are wanted and absent. Raises ToolMissingError, AdminError."""
    if wants_local_kube(settings) and installed_binaries() is None:
        ensure_kube_binaries(report)


def local_kube(settings: Settings, directory: StateDirectory) -> KubeNode | None:
    """The control plane of a stack, prepared; None when the settings want none. Raises AdminError."""
    if not wants_local_kube(settings):
        return None
    node = KubeNode(
        directory=directory.data / "kube",
        etcd_port=directory.port("kube-etcd", 0, setting=""),
        peer_port=directory.port("kube-etcd-peer", 0, setting=""),
        port=directory.port("kube-apiserver", 0, setting=""),
        kwok_port=directory.port("kube-kwok", 0, setting=""),
    )
    node.prepare()
    return node


def kube_steps(settings: Settings, node: KubeNode, log: Callable[[str], Path]) -> tuple[Step, ...]:
    """etcd, then the API server, then nodes and rights, then kwok."""
    marker = str(node.directory)
    return (
        Step(
            stage=Stage(
                processes=(
                    ProcessPlan(
                        name="etcd",
                        command=tuple(node.etcd_command()),
                        ready=node.etcd_is_ready,
                        log=log("etcd"),
                        marker=marker,
                    ),
                )
            )
        ),
        Step(
            stage=Stage(
                processes=(
                    ProcessPlan(
                        name="kube-apiserver",
                        command=tuple(node.apiserver_command()),
                        ready=node.is_ready,
                        log=log("kube-apiserver"),
                        marker=marker,
                        # Asked nicely it waits up to a minute for watches to end; it keeps nothing of its own.
                        stop_signal=signal.SIGKILL,
                        url=node.url,
                    ),
                )
            )
        ),
        Step(
            # Smaller than the fake clusters' nodes, so that best fit takes them first and one sees real pods.
            calls=(lambda: node.furnish(KubeNodes(count=settings.dev.kube_nodes, cpu="16", memory="64Gi")),),
            stage=Stage(
                processes=(
                    ProcessPlan(
                        name="kwok",
                        command=tuple(node.kwok_command()),
                        ready=node.kwok_is_ready,
                        log=log("kwok"),
                        marker=marker,
                    ),
                )
            ),
        ),
    )


def kube_cluster_settings(node: KubeNode) -> dict[str, object]:
    """Settings of the cluster that a local control plane is."""
    return {"kubernetes": {"kubeconfig": str(node.executor_kubeconfig)}}
