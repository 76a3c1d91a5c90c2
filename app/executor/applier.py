"""Carries out actions on the cluster: bounded workers for creates, deletes and reads; what comes of them goes back
into the session."""

import asyncio
import logging
from collections.abc import Callable

from app.executor.actions import Actions, Create, Delete, Mark, Read, Release
from app.executor.kubernetes import (
    Cluster,
    ClusterUnavailableError,
    Created,
    CreateOutcome,
    NotSent,
    RefusalKind,
    Refused,
    Unknown,
)
from app.executor.lock import Lock
from app.executor.manifest import ManifestError, ManifestRules, build_manifest
from app.executor.metrics import Metrics
from app.executor.session import Session

CREATORS = 32
DELETERS = 16
READERS = 8
WRITE_RETRY_S = 0.5

log = logging.getLogger(__name__)


class Applier:
    """wake is called after each result. now_ms: the executor's clock."""

    def __init__(
        self,
        cluster: Cluster,
        session: Session,
        lock: Lock,
        *,
        manifest_rules: ManifestRules,
        metrics: Metrics,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._session = session
        self._lock = lock
        self._manifest_rules = manifest_rules
        self._metrics = metrics
        self._now_ms = now_ms
        self._wake = wake
        self._creates: asyncio.Queue[tuple[Create, int]] = asyncio.Queue()
        self._deletes: asyncio.Queue[Delete | Mark | Release] = asyncio.Queue()
        self._reads: asyncio.Queue[Read] = asyncio.Queue()

    def submit(self, actions: Actions) -> None:
        """Queues actions; their number is bounded by the runs of the cluster."""
        now_ms = self._now_ms()
        for create in actions.creates:
            self._creates.put_nowait((create, now_ms))
        writes: list[Delete | Mark | Release] = [*actions.marks, *actions.deletes, *actions.releases]
        for write in writes:
            self._deletes.put_nowait(write)
        for read in actions.reads:
            self._reads.put_nowait(read)

    async def run(self) -> None:
        """Works for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CREATORS):
                group.create_task(self._create_for_ever())
            for _ in range(DELETERS):
                group.create_task(self._delete_for_ever())
            for _ in range(READERS):
                group.create_task(self._read_for_ever())

    async def _create_for_ever(self) -> None:
        while True:
            create, since_ms = await self._creates.get()
            outcome = await self._create(create)
            self._metrics.creates.labels(_name_of(outcome)).inc()
            self._metrics.create_seconds.observe((self._now_ms() - since_ms) / 1_000)
            if isinstance(outcome, Refused):
                log.info("the pod of run %s is refused: %s: %s", create.run_id, outcome.kind, outcome.message)
            self._session.create_ended(create.run_id, outcome, self._now_ms())
            self._wake()

    async def _create(self, create: Create) -> CreateOutcome | None:
        log_name = self._session.desired.log
        if log_name is None or not self._session.create_stands(create, self._lock.is_valid):
            return None
        try:
            node = self._session.actual.nodes.get(create.lease.node)
            manifest = build_manifest(
                create.lease,
                log=log_name,
                cluster=self._session.cluster,
                rules=self._manifest_rules,
                node_labels=node.labels if node is not None else {},
            )
        except ManifestError as error:
            return Refused(RefusalKind.INVALID, str(error))
        return await self._cluster.create_pod(manifest, self._session.timings.create_timeout_ms)

    async def _delete_for_ever(self) -> None:
        while True:
            action = await self._deletes.get()
            done = False
            if self._session.delete_stands(self._lock.is_valid):
                try:
                    await self._write(action)
                    done = True
                except ClusterUnavailableError as error:
                    what = type(action).__name__.lower()
                    log.warning("pod %s: %s failed, it will be tried again: %s", action.name, what, error)
            if isinstance(action, Delete):
                self._session.delete_ended(action.run_id)
            else:
                self._session.mark_ended(action.run_id, done=done)
                if not done:
                    await asyncio.sleep(WRITE_RETRY_S)
            self._wake()

    async def _write(self, action: Delete | Mark | Release) -> None:
        match action:
            case Mark():
                await self._cluster.mark_pod(action.namespace, action.name, action.uid, action.text)
            case Release():
                await self._cluster.release_pod(action.namespace, action.name, action.uid)
            case Delete():
                await self._cluster.delete_pod(action.namespace, action.name, action.uid, action.grace_seconds)
                self._metrics.deletes.labels(action.kind.value).inc()

    async def _read_for_ever(self) -> None:
        while True:
            read = await self._reads.get()
            began_ms = self._now_ms()
            found: bool | None = None
            try:
                found = await self._cluster.read_pod(read.namespace, read.name) is not None
            except ClusterUnavailableError as error:
                log.warning("pod %s could not be read, it will be tried again: %s", read.name, error)
            self._session.read_ended(read.run_id, found=found, began_ms=began_ms, now_ms=self._now_ms())
            self._wake()


def _name_of(outcome: CreateOutcome | None) -> str:
    match outcome:
        case Created():
            return "created"
        case Refused():
            return "refused"
        case Unknown():
            return "unknown"
        case NotSent():
            return "not sent"
        case _:
            return "not sent"
