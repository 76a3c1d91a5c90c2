"""The clusters that may speak to the API, the executor that speaks for one, and fake clusters."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, model_validator

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


class KubernetesSettings(Section):
    """A real cluster, and how patient its executor is."""

    kubeconfig: Path | None = None
    """How to reach it. Null: the service account of the pod that the executor runs in."""
    context: str | None = Field(default=None, max_length=253)
    """Of the kubeconfig. Null: its current one."""
    lease_namespace: Name = "default"
    """Where the Lease stands that says which executor acts."""
    stripped_resources: tuple[str, ...] = ()
    """Resource names that Argosy schedules by and this cluster does not know: left out of pods."""
    priority_class: str | None = Field(default=None, max_length=253)
    """Replaces the priority class of pods. "": removes it. Null: jobs keep theirs."""
    image_not_found_s: float = Field(default=90.0, ge=0.0, le=86_400.0)
    """The registry says that there is no such image: after this the run fails."""
    image_unavailable_s: float = Field(default=900.0, ge=0.0, le=86_400.0)
    """An image cannot be pulled for another reason: after this the run is returned."""
    stuck_starting_s: float = Field(default=300.0, ge=1.0, le=86_400.0)
    """A pod of which nothing has begun by then is returned."""
    force_delete_s: float = Field(default=30.0, ge=1.0, le=86_400.0)
    """A pod that outlives its grace time by this is deleted by force, unless its node is not ready."""
    node_lost_s: float = Field(default=60.0, ge=1.0, le=86_400.0)
    """The runs of a node that is not in the cluster any more are returned after this."""
    finished_keep_s: float = Field(default=180.0, ge=1.0, le=86_400.0)
    """A finished pod is kept at least this long."""
    create_timeout_s: float = Field(default=10.0, ge=1.0, le=60.0)
    """Time limit of a create, kept by the API server."""
    last_words_s: float = Field(default=30.0, ge=1.0, le=600.0)
    """So long after a create that may have been sent "there is no such pod" means nothing; above create_timeout_s."""


class ClusterSettings(Section):
    """A cluster: real or fake. With neither, its executor has settings of its own elsewhere."""

    token_sha256: Sha256 | None = None
    """SHA-256 of its executor's bearer token. Null: no executor may speak for it."""
    fake: FakeClusterSettings | None = None
    """Set: `argosy-admin run executor` plays this cluster."""
    kubernetes: KubernetesSettings | None = None
    """Set: `argosy-admin run executor` runs pods there."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "ClusterSettings":
        if self.fake is not None and self.kubernetes is not None:
            raise ValueError("a cluster is either fake or kubernetes")
        return self


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
