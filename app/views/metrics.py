"""What a view process counts. Inputs: what the runner tells. Output: Prometheus metrics of one registry."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class ViewMetrics:
    """One per process; app is the label of everything."""

    def __init__(self, app: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()

        def counter(name: str, text: str) -> Counter:
            return Counter(f"argosy_view_{name}", text, ["app"], registry=self.registry).labels(app)

        self.records = counter("records", "Records written.")
        self.events = counter("events", "Events (or items) written.")
        self.batches = counter("batches", "Transactions committed.")
        self.failures = counter("failures", "Writes that were repeated because Postgres was away.")
        seconds = ["app", "phase"]
        self._seconds = Histogram(
            "argosy_view_seconds", "Time of a batch.", seconds, buckets=SECONDS, registry=self.registry
        )
        self.plan_s = self._seconds.labels(app, "plan")
        self.write_s = self._seconds.labels(app, "write")
        self._position = Gauge(
            "argosy_view_position", "Last command wholly included.", ["app", "partition"], registry=self.registry
        )
        self._behind = Gauge(
            "argosy_view_behind_seconds",
            "Age of the last record written, when it was.",
            ["app"],
            registry=self.registry,
        ).labels(app)
        self._stopped = Gauge(
            "argosy_view_stopped", "1 = stands before a record that it cannot take.", ["app"], registry=self.registry
        ).labels(app)
        self._stopped.set(0)
        self._app = app

    def committed(self, records: int, events: int, positions: dict[int, int], log_time_ms: int) -> None:
        """A transaction is in the database."""
        self.batches.inc()
        self.records.inc(records)
        self.events.inc(events)
        for partition, position in positions.items():
            self._position.labels(self._app, partition).set(position)
        if log_time_ms:
            self._behind.set(max(0.0, time.time() - log_time_ms / 1000))

    def stopped(self) -> None:
        self._stopped.set(1)
