"""The clusters that may speak to the API, the executor that speaks for one, and fake clusters."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from app.settings.scheduler import TaintSettings
from app.settings.section import Name, Quantity, Section, Sha256


class NodeGroupSettings(Section):
    """Equal nodes of a fake cluster."""

    name: Name
    """Nodes are called `<name>-<number>`."""
    count: int = Field(ge=1, le=100_000)
    """How many."""
    pool: Name = "default"
    """Their pool."""
    cpu: Quantity = "32"
    """Allocatable."""
    memory: Quantity = "256Gi"
    """Allocatable."""
    ephemeral_storage: Quantity = "1Ti"
    """Allocatable."""
    gpus: int = Field(default=0, ge=0, le=64)
    """Allocatable nvidia.com/gpu."""
    labels: Mapping[str, str] = {}
    """Beside kubernetes.io/hostname and kubernetes.io/arch."""
    taints: tuple[TaintSettings, ...] = ()
    """Jobs need a toleration for each."""


class FakeClusterSettings(Section):
    """A cluster that is only played: the same executor over pods that are computed, journalled to disk."""

    node_groups: tuple[NodeGroupSettings, ...] = Field(min_length=1)
    """Its nodes."""
    start_delay_ms: int = Field(default=500, ge=0, le=3_600_000)
    """From a pod's creation to the start of its containers."""


class ClusterSettings(Section):
    """A Kubernetes cluster."""

    token_sha256: Sha256 | None = None
    """SHA-256 of its executor's bearer token. Null: no executor may speak for it."""
    fake: FakeClusterSettings | None = None
    """Set: `argosy-admin run executor` plays this cluster."""


class ExecutorSettings(Section):
    """One executor process; the cluster's name comes with the command line."""

    api_url: str = Field(default="http://127.0.0.1:8080", pattern=r"^https?://[^\s]+$")
    """Of the API. Plain HTTP on loopback only."""
    token_file: Path = Path("/etc/argosy/executor-token")
    """Holds the bearer token; nobody else may read it."""
    data_dir: Path = Path("/var/lib/argosy/executor")
    """Journal of a fake cluster, one folder per cluster."""
    sync_interval_ms: int = Field(default=100, ge=10, le=60_000)
    """Reports are sent at most this often."""
    heartbeat_interval_s: float = Field(default=5.0, gt=0.0, le=60.0)
    """And at least this often."""
    lease_wait_ms: int = Field(default=10_000, ge=1, le=10_000)
    """How long a request for leases may wait for news."""
