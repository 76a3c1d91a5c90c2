"""How a process is, for probes and Prometheus. Knows nothing of what the process does."""

from app.health.server import HealthServer

__all__ = ["HealthServer"]
