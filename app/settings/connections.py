"""Where Kafka and Postgres are, and where every component says how it is."""

from typing import Annotated

from pydantic import Field, StringConstraints

from app.settings.section import Port, Section

BOOTSTRAP_PATTERN = r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$"


class KafkaSettings(Section):
    """The log."""

    bootstrap: Annotated[str, StringConstraints(pattern=BOOTSTRAP_PATTERN)] = "127.0.0.1:9092"
    """Addresses of brokers, "host:port[,host:port]". When given, `argosy-admin dev up` starts no broker."""
    partitions: int = Field(default=12, ge=1, le=256)
    """P: partitions of the topics that are partitioned by queue. Fixed at installation."""
    replication: int = Field(default=3, ge=1, le=9)
    """Copies of each partition; `topics apply` uses it. 1 for a single broker."""
    delivery_timeout_ms: int = Field(default=10_000, ge=1_000, le=120_000)
    """A record that is not acknowledged by then has failed (UNAVAILABLE)."""


class PostgresSettings(Section):
    """The views."""

    url: str = Field(
        default="postgresql://argosy@127.0.0.1:5432/argosy", repr=False, pattern=r"^postgres(ql)?://[^\s]+/[^\s/]+$"
    )
    """`postgresql://user:password@host:port/database`. When given, `argosy-admin dev up` starts no server."""
    pool_connections_max: int = Field(default=8, ge=1, le=100)
    """Connections of one process."""


class HealthSettings(Section):
    """/healthz, /readyz and /metrics of every component."""

    host: str = "127.0.0.1"
    """Address to listen on. Without authentication: loopback, or a network that only the cluster's probes reach."""
    port: Port = 0
    """Each process of one machine needs its own."""
