"""How a process is, for probes and Prometheus. Knows nothing of what the process does."""

from app.health.server import HealthServer, Page

__all__ = ["HealthServer", "Page"]
