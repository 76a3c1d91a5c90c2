"""Everything that an executor process is told at its start, as one value; nothing here knows of settings files."""

from dataclasses import dataclass, field
from pathlib import Path

from app.executor.fake_cluster.faults import FakeFaults
from app.executor.fake_cluster.spec import FakeClusterSpec
from app.executor.lanes import LaneTimings
from app.executor.lock import LockTimings
from app.executor.manifest import ManifestRules
from app.executor.timings import Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeClusterOptions:
    """A fake cluster in place of Kubernetes. journal_dir: of this cluster alone. seed: of its faults and of the uids
    of its pods."""

    spec: FakeClusterSpec
    journal_dir: Path
    faults: FakeFaults = field(default_factory=FakeFaults)
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions:
    """A real cluster. kubeconfig None: the service account of our own pod. context None: the file's current one.
    lease_namespace: where the Lease stands that says which executor acts."""

    kubeconfig: Path | None = None
    context: str | None = None
    lease_namespace: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorOptions:
    """Either kubernetes or fake is set. token is never logged. health_port 0 = any free one."""

    api_url: str
    cluster: str
    token: str = field(repr=False)
    fake: FakeClusterOptions | None = None
    kubernetes: KubernetesOptions | None = None
    health_host: str = "127.0.0.1"
    health_port: int = 0
    timings: Timings = field(default_factory=Timings)
    lane_timings: LaneTimings = field(default_factory=LaneTimings)
    lock_timings: LockTimings = field(default_factory=LockTimings)
    manifest_rules: ManifestRules = field(default_factory=ManifestRules)
