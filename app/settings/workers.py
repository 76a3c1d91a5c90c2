"""The Faust workers: queue agent and views."""

from pathlib import Path

from pydantic import Field

from app.settings.section import MIB, Name, Section


class QueueAgentSettings(Section):
    """The deciders. Several processes share the partitions; each needs its own `instance` and `data_dir`."""

    instance: Name = "queue-agent-0"
    """Static member id in the consumer group: a restart within `session_timeout_s` moves no partition."""
    data_dir: Path = Path("/var/lib/argosy/queue-agent")
    """Local stores (RocksDB). May be lost: it is restored from Kafka."""
    session_timeout_s: float = Field(default=10.0, ge=1.0, le=300.0)
    """A process that is silent this long loses its partitions."""
    step_records_max: int = Field(default=500, ge=1, le=10_000)
    """Command records decided in one transaction."""
    step_bytes_max: int = Field(default=8 * MIB, ge=64 * 1024, le=64 * MIB)
    """Bytes of command records decided in one transaction; one record may always be decided."""
    restore_pause_s: float = Field(default=0.0, ge=0.0, le=60.0)
    """For fault tests: a pause inside each restore, so that a second rebalance falls into it."""


class ViewsSettings(Section):
    """The materialised views. One process serves one app (a group of views)."""

    apps: tuple[Name, ...] = ("history", "leases", "queues", "nodes", "rounds", "rollups")
    """Apps that `argosy-admin dev up` runs, one process each; the first ones start first."""
    data_dir: Path = Path("/var/lib/argosy/views")
    """Working directories of the processes; nothing of value lies there."""
    session_timeout_s: float = Field(default=10.0, ge=1.0, le=300.0)
    """A process that is silent this long loses its partitions."""
    batch_events_max: int = Field(default=20_000, ge=1, le=1_000_000)
    """Events written in one Postgres transaction."""
    linger_ms: int = Field(default=20, ge=0, le=10_000)
    """How long a batch waits for more."""
