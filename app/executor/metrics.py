"""What an executor counts, for Prometheus. Names are pinned here."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Gauge("argosy_executor_runs", "Runs that this instance knows.", registry=registry)
        self.pods = Gauge("argosy_executor_pods", "Pods of this cluster's runs.", registry=registry)
        self.waiting = Gauge(
            "argosy_executor_runs_waiting",
            "Runs that wait until the runs that they displace are gone.",
            registry=registry,
        )
        self.reports_kept = Gauge(
            "argosy_executor_reports_kept", "Reports that the API has not acknowledged yet.", registry=registry
        )
        self.lock_valid = Gauge(
            "argosy_executor_lock_valid", "1 while this instance holds the cluster's lock.", registry=registry
        )
        self.answers_dropped = Gauge(
            "argosy_executor_answers_dropped", "Answers that were behind what was taken before.", registry=registry
        )
        self.creates = Counter(
            "argosy_executor_creates", "Creates of pods, by outcome.", ["outcome"], registry=registry
        )
        self.deletes = Counter("argosy_executor_deletes", "Deletes of pods, by kind.", ["kind"], registry=registry)
        self.reports = Counter("argosy_executor_reports", "Reports made, by state.", ["state"], registry=registry)
        self.syncs = Counter(
            "argosy_executor_syncs", "Requests to the API, by lane and result.", ["lane", "result"], registry=registry
        )
        self.sync_seconds = Histogram(
            "argosy_executor_sync_seconds",
            "From a request of the reports lane to its answer.",
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
        )
        self.create_seconds = Histogram(
            "argosy_executor_create_seconds",
            "From a lease's arrival to the end of its create.",
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
        )
