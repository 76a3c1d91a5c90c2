"""Figures of a scheduler process, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class SchedulerMetrics:
    """One instance per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        pool = ("pool",)
        self.registry = registry
        self.leader = Gauge("argosy_scheduler_leader", "1 = leads.", registry=registry)
        self.epoch = Gauge("argosy_scheduler_epoch", "Epoch of this leader, -1 = none.", registry=registry)
        self.rounds = Counter("argosy_scheduler_rounds", "Rounds decided.", pool, registry=registry)
        self.round_seconds = Histogram(
            "argosy_scheduler_round_seconds", "Deciding one round.", pool, buckets=_SECONDS, registry=registry
        )
        self.prepare_seconds = Histogram(
            "argosy_scheduler_prepare_seconds",
            "Making the input of one round.",
            pool,
            buckets=_SECONDS,
            registry=registry,
        )
        self.send_seconds = Histogram(
            "argosy_scheduler_send_seconds",
            "From a decided round to the broker's acknowledgement of its commands.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.queued = Gauge("argosy_scheduler_queued", "Jobs offered to the last round.", pool, registry=registry)
        self.running = Gauge("argosy_scheduler_running", "Runs in the last round.", pool, registry=registry)
        self.nodes = Gauge("argosy_scheduler_nodes", "Nodes in the last round.", pool, registry=registry)
        self.parked = Gauge("argosy_scheduler_parked", "Jobs kept from the last round.", pool, registry=registry)
        self.placed = Counter("argosy_scheduler_placed", "Leases sent.", pool, registry=registry)
        self.kinds = Counter(
            "argosy_scheduler_rounds_by_kind", "Rounds decided, full or cheap.", ("pool", "kind"), registry=registry
        )
        self.preempted = Counter("argosy_scheduler_preempted", "Runs that rounds preempted.", pool, registry=registry)
        self.rejected = Counter("argosy_scheduler_rejected", "Rejections sent.", registry=registry)
        self.expired = Counter("argosy_scheduler_expired", "Expiries sent.", ("kind",), registry=registry)
        self.undecided = Gauge(
            "argosy_scheduler_undecided_commands", "Commands sent and not decided.", registry=registry
        )
        self.jobs = Gauge("argosy_scheduler_jobs", "Jobs in the feed.", ("state",), registry=registry)
        self.rows = Counter("argosy_scheduler_feed_rows", "Records read.", ("topic",), registry=registry)
        self.load_seconds = Gauge(
            "argosy_scheduler_load_seconds", "From start to the first end of the feed.", registry=registry
        )
        self.silent_clusters = Gauge(
            "argosy_scheduler_idle_clusters", "Clusters that get no new work: silent.", registry=registry
        )
        self.epoch.set(-1)
