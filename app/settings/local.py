"""The stack on one machine: `argosy-admin dev up` and the demo."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from app.settings.section import Name, Port, Section


class DevSettings(Section):
    """What the supervisor starts and where it keeps it."""

    state_dir: Path = Path(".dev")
    """Data, logs, secrets, ports and pids; relative to the working directory."""
    kafka_port: Port = 0
    """Of the local broker."""
    postgres_port: Port = 0
    """Of the local server."""
    kafka_heap_mib: int = Field(default=512, ge=256, le=65_536)
    """Largest heap of the local broker."""
    queue_agents: int = Field(default=1, ge=1, le=16)
    """Processes."""
    schedulers: int = Field(default=2, ge=1, le=8)
    """Processes: one leads, the others stand by."""
    kube: bool = False
    """Also start a real Kubernetes API server with nodes played by kwok, as cluster `kube_cluster` (needs Go once)."""
    kube_cluster: Name = "kube"
    """Its name as a cluster of Argosy. A cluster of this name with a kubeconfig is used instead."""
    kube_nodes: int = Field(default=50, ge=1, le=5_000)
    """Its nodes, of 32 cores and 256Gi each."""
    ready_timeout_s: float = Field(default=120.0, gt=0.0, le=3_600.0)
    """A process that is not ready by then ends the start."""
    stop_timeout_s: float = Field(default=15.0, gt=0.0, le=600.0)
    """A process that has not ended by then is killed."""


class DemoSettings(Section):
    """What `make demo` submits."""

    seed: int = Field(default=1, ge=0)
    """Of everything that is random in it."""
    jobs_at_once: int = Field(default=2_000, ge=0, le=1_000_000)
    """Submitted at the start."""
    jobs_per_s: float = Field(default=5.0, ge=0.0, le=10_000.0)
    """Submitted afterwards."""
    queues: Mapping[Name, float] = Field(
        default={"research": 1.0, "simulation": 2.0, "rendering": 2.0, "reports": 4.0, "nightly": 8.0}, min_length=1
    )
    """Name → priority factor (weight = 1 / factor)."""
    status_interval_s: float = Field(default=5.0, gt=0.0, le=3_600.0)
    """Between two lines of figures."""
