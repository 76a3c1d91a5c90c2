"""The executor process: takes the cluster's lock, then watches, reconciles, acts and speaks to the API until it is
told to leave.

A shell: what to do is decided by `session` (pure), how it is said by `lanes`, how it is done by `applier`.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from prometheus_client import CollectorRegistry

from app.domain.ids import format_id, ulid
from app.executor.applier import Applier
from app.executor.exits import ExecutorExit, ExitCode
from app.executor.fake_cluster.cluster import FakeCluster
from app.executor.fake_cluster.journal import JournalError
from app.executor.kubernetes import Cluster, ClusterAccessError, ClusterUnavailableError
from app.executor.lanes import Lanes, Sender
from app.executor.lock import Lock
from app.executor.metrics import Metrics
from app.executor.options import ExecutorOptions, KubernetesOptions
from app.executor.session import Session
from app.executor.sync_client import AddressError, SyncClient
from app.health import HealthServer

WATCH_TIMEOUT_MS = 1_000
OPEN_RETRY_S = 2.0
IDLE_LOOK_MS = 1_000

log = logging.getLogger(__name__)


class ExecutorLoop:
    """One instance over a cluster and a way to the API. wall_ms: ms since 1970; the lock counts on the monotonic
    clock."""

    def __init__(
        self,
        options: ExecutorOptions,
        cluster: Cluster,
        sender: Sender,
        registry: CollectorRegistry,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._options = options
        self._cluster = cluster
        self._sender = sender
        self._metrics = Metrics(registry)
        self._wake = asyncio.Event()
        self._lanes: Lanes | None = None
        self._latest_ms = 0
        self._wall_ms = wall_ms
        self.instance = format_id(ulid(wall_ms(), secrets.randbits(80)))
        self.lock = Lock(cluster, self.instance, options.lock_timings, lambda: time.monotonic_ns() // 1_000_000)

    def not_ready(self) -> Sequence[str]:
        """Why the executor is not ready: readiness begins with the first answer."""
        if self._lanes is None:
            return ["waiting for the cluster and its lock"]
        reasons = [] if self.lock.is_valid else ["the cluster's lock is not held"]
        status = self._lanes.status
        if not status.answered:
            reasons.append(f"the API has not answered yet: {status.trouble or 'no request was sent'}")
        return reasons

    async def run(self) -> None:
        """Runs until it is cancelled. Raises ExecutorExit."""
        try:
            await self.lock.acquire()
            try:
                await self._run_with_lock()
            finally:
                await self.lock.release()
        except* ExecutorExit as group:
            raise _first(group) from None
        except* ClusterAccessError as group:
            error = group.exceptions[0]
            raise ExecutorExit(ExitCode.CONFIGURATION, f"cluster {self._options.cluster}: {error}") from None
        finally:
            await self._cluster.close()

    async def _run_with_lock(self) -> None:
        options = self._options
        session = Session(
            cluster=options.cluster, instance=self.instance, start_ms=self._now_ms(), timings=options.timings
        )
        await self._open(session)
        applier = Applier(
            self._cluster,
            session,
            self.lock,
            manifest_rules=options.manifest_rules,
            metrics=self._metrics,
            now_ms=self._now_ms,
            wake=self._wake.set,
        )
        lanes = Lanes(
            session,
            self._sender,
            timings=options.lane_timings,
            metrics=self._metrics,
            now_ms=self._now_ms,
            wake=self._wake.set,
            rng=random.Random(),
        )
        self._lanes = lanes
        log.info("instance %s runs for cluster %s", self.instance, options.cluster)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.lock.keep())
            tasks.create_task(applier.run())
            tasks.create_task(self._watch(session))
            tasks.create_task(self._act(session, applier, lanes))
            tasks.create_task(lanes.run_reports())
            tasks.create_task(lanes.run_leases())

    async def _open(self, session: Session) -> None:
        """Lists the cluster; waits for one that is away."""
        while True:
            try:
                session.take_changes(await self._cluster.open(), self._now_ms())
                return
            except ClusterUnavailableError as error:
                log.warning("the cluster cannot be listed, trying again: %s", error)
            except JournalError as error:
                raise ExecutorExit(ExitCode.CLUSTER, str(error)) from None
            await asyncio.sleep(OPEN_RETRY_S)
            with suppress(ClusterUnavailableError):
                await self.lock.acquire()

    async def _watch(self, session: Session) -> None:
        while True:
            changes = await self._cluster.next_changes(WATCH_TIMEOUT_MS)
            if changes:
                session.take_changes(changes, self._now_ms())
                self._wake.set()

    async def _act(self, session: Session, applier: Applier, lanes: Lanes) -> None:
        while True:
            now_ms = self._now_ms()
            actions = session.look(now_ms, lock_valid=self.lock.is_valid)
            applier.submit(actions)
            for report in actions.reports:
                self._metrics.reports.labels(report.state.value).inc()
            self._measure(session)
            if session.has_news(now_ms):
                lanes.news()
            next_ms = session.next_look_ms()
            wait_ms = IDLE_LOOK_MS if next_ms is None else min(IDLE_LOOK_MS, max(next_ms - now_ms, 1))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1_000):
                    await self._wake.wait()
            self._wake.clear()

    def _measure(self, session: Session) -> None:
        metrics = self._metrics
        metrics.runs.set(len(session.desired.runs))
        metrics.pods.set(len(session.actual.pods))
        metrics.waiting.set(len(session.desired.waiting))
        metrics.reports_kept.set(len(session.reports))
        metrics.lock_valid.set(1 if self.lock.is_valid else 0)
        metrics.answers_dropped.set(session.desired.answers_dropped)

    def _now_ms(self) -> int:
        """The wall clock, but never backwards: the rules count from earlier readings."""
        self._latest_ms = max(self._latest_ms, self._wall_ms())
        return self._latest_ms


async def run(options: ExecutorOptions) -> None:
    """Runs an executor until it is cancelled. Raises ExecutorExit with a code and one clear line."""
    registry = CollectorRegistry()
    try:
        client = SyncClient(options.api_url, options.token)
    except AddressError as error:
        raise ExecutorExit(ExitCode.CONFIGURATION, str(error)) from None
    async with client:
        loop = ExecutorLoop(options, _cluster_of(options), client, registry)
        health = HealthServer(options.health_host, options.health_port, loop.not_ready, registry)
        try:
            await health.start()
        except OSError as error:
            where = f"{options.health_host}:{options.health_port}"
            raise ExecutorExit(ExitCode.CONFIGURATION, f"health address {where}: {error.strerror}") from None
        try:
            await loop.run()
        finally:
            await health.stop()


def _real_cluster(options: KubernetesOptions, cluster: str) -> Cluster:
    # The package kubernetes takes a second to import, and executors of fake clusters have no use for it.
    from app.executor.kube.access import KubeAccess
    from app.executor.kube.cluster import KubernetesCluster

    return KubernetesCluster(
        KubeAccess(kubeconfig=options.kubeconfig, context=options.context),
        cluster=cluster,
        lease_namespace=options.lease_namespace,
        rng=random.Random(secrets.randbits(64)),
    )


def _cluster_of(options: ExecutorOptions) -> Cluster:
    if options.kubernetes is not None:
        return _real_cluster(options.kubernetes, options.cluster)
    if options.fake is None:
        where = f"clusters.{options.cluster}"
        raise ExecutorExit(ExitCode.CONFIGURATION, f"cluster {options.cluster}: set {where}.kubernetes or {where}.fake")
    seed = options.fake.seed
    return FakeCluster(
        options.fake.spec,
        options.fake.journal_dir,
        clock_ms=lambda: time.time_ns() // 1_000_000,
        rng=random.Random(secrets.randbits(64) if seed is None else seed),
        faults=options.fake.faults,
    )


def _first(group: BaseExceptionGroup[ExecutorExit]) -> ExecutorExit:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, ExecutorExit), "the group holds nothing else"
    return found
