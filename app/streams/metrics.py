"""Figures of the tenures and steps of one process, for Prometheus.

Input: what happened. Output: metrics in a registry that the health server shows. Label `partition` is that of
argosy.commands.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class StreamMetrics:
    """One instance per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("partition",)
        self.registry = registry
        self.steps = Counter("argosy_queue_steps", "Steps committed.", labels, registry=registry)
        self.commands = Counter("argosy_queue_commands", "Commands decided.", labels, registry=registry)
        self.items = Counter("argosy_queue_items", "Items of commands decided.", labels, registry=registry)
        self.decided_events = Counter("argosy_queue_events", "Events decided.", labels, registry=registry)
        self.refused = Counter("argosy_queue_refused", "Items refused, by code.", (*labels, "code"), registry=registry)
        self.dead_letters = Counter(
            "argosy_queue_dead_letters",
            "Records or items that could not be taken.",
            (*labels, "reason"),
            registry=registry,
        )
        self.continues = Counter(
            "argosy_queue_continues", "Commands sent to itself to move operations on.", labels, registry=registry
        )
        self.transaction = Histogram(
            "argosy_queue_transaction_seconds", "From begin to commit of a step.", buckets=_SECONDS, registry=registry
        )
        self.position = Gauge("argosy_queue_position", "Offset of the last command decided.", labels, registry=registry)
        self.lag = Gauge("argosy_queue_lag_commands", "Commands in the log and not decided.", labels, registry=registry)
        self.owned = Gauge("argosy_queue_tenure", "1 = owned and ready.", labels, registry=registry)
        self.stopped = Gauge(
            "argosy_queue_quarantined", "1 = stopped until somebody looked.", labels, registry=registry
        )
        self.restore_rows = Gauge("argosy_queue_restore_rows", "Rows of the last restore.", labels, registry=registry)
        self.restore_speed = Gauge(
            "argosy_queue_restore_rows_per_second", "Speed of the last restore.", labels, registry=registry
        )

    def committed(self, partition: int, commands: int, seconds: float, offset: int) -> None:
        """A step is in the log."""
        self.steps.labels(partition).inc()
        self.commands.labels(partition).inc(commands)
        self.transaction.observe(seconds)
        self.position.labels(partition).set(offset)

    def restored(self, partition: int, rows: int, seconds: float) -> None:
        """A tenure is ready."""
        self.owned.labels(partition).set(1)
        self.stopped.labels(partition).set(0)
        self.restore_rows.labels(partition).set(rows)
        self.restore_speed.labels(partition).set(rows / seconds if seconds else 0.0)

    def quarantined(self, partition: int) -> None:
        self.owned.labels(partition).set(0)
        self.stopped.labels(partition).set(1)

    def ended(self, partition: int) -> None:
        """A tenure is over; what it counted stays."""
        self.owned.labels(partition).set(0)
        self.lag.labels(partition).set(0)
