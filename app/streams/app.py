"""App: a Faust application as this project runs it. Agents take it as an argument and otherwise look like any Faust
program.

What differs from Faust: partitions are claimed before they are read; a table may be transactional; an exception that
leaves an agent ends the process, because Faust would count the record as done.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka.errors import IllegalStateError

from app.streams.claims import Claims
from app.streams.ends import Ends
from app.streams.exits import Exit, leave
from app.streams.faust_hooks import HookedApp, TableManager
from app.streams.lock import DirectoryInUseError, DirectoryLock
from app.streams.metrics import StreamMetrics
from app.streams.step import StepLimits
from app.streams.store import Changelog, Store
from app.streams.table import TransactionalTable
from app.streams.tenure import Tenure, TenurePlan

log = logging.getLogger(__name__)

STAMP_EVERY_S = 60.0
LAG_EVERY_S = 1.0


class App(HookedApp):
    """id: the consumer group. directory: of this process alone. instance: its static member id. topic_ids: Kafka ids
    of the topics it uses."""

    def __init__(
        self,
        id: str,
        *,
        bootstrap: str,
        directory: Path,
        instance: str,
        partitions: int,
        topic_ids: dict[str, str],
        metrics: StreamMetrics | None = None,
        read_committed: bool = False,
        session_timeout_s: float = 10.0,
        step_limits: StepLimits | None = None,
        restore_pause_s: float = 0.0,
        **options: Any,
    ) -> None:
        self.claims = Claims()
        self.bootstrap = bootstrap
        self.directory = directory
        self.partitions = partitions
        self.topic_ids = topic_ids
        self.read_committed = read_committed
        self.step_limits = step_limits or StepLimits()
        self.metrics = metrics
        self.turn = asyncio.Lock()
        self._restore_pause_s = restore_pause_s
        self._transactional: dict[str, list[TransactionalTable]] = {}
        self._ends = Ends(bootstrap)
        super().__init__(
            id,
            broker=f"kafka://{bootstrap}",
            datadir=directory / "faust",
            consumer_group_instance_id=instance,
            topic_partitions=partitions,
            broker_session_timeout=session_timeout_s,
            broker_heartbeat_interval=session_timeout_s / 5,
            **{**_FIXED, **options},
        )
        self.on_partitions_assigned.connect(self._on_assigned)
        self.on_partitions_revoked.connect(self._on_revoked)
        self.timer(STAMP_EVERY_S, name="stamp")(self.stamp)
        self.timer(LAG_EVERY_S, name="lag")(self._measure_lag)

    def bytes_topic(self, name: str) -> Any:
        """A topic whose records are taken as they are; decoding is the agent's, where it cannot lose any."""
        return self.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    def TransactionalTable(  # noqa: N802  # named like Faust's own App.Table
        self,
        name: str,
        *,
        source: str,
        changelog: Changelog,
        position_key: bytes = b"",
        opens: Callable[[Store], Any] | None = None,
    ) -> TransactionalTable:
        """A table of the tenures of `source`. The last one added leads: it has the position row's key and makes the
        view over the store."""
        table = TransactionalTable(
            self,
            name=name,
            source=source,
            changelog=changelog,
            position_key=position_key,
            opens=opens,
            beacon=self.tables.beacon,
        )
        if source not in self._transactional:
            self.claims.make_with(source, lambda tp: Tenure(tp, self._plan(source)))
        self._transactional.setdefault(source, []).append(table)
        self.tables.add(table)
        return table

    def troubles(self) -> list[str]:
        """Why this process is not ready; empty = ready."""
        return self.claims.troubles()

    async def on_first_start(self) -> None:
        try:
            self._lock = DirectoryLock(self.directory)
        except DirectoryInUseError as error:
            leave(Exit.LOCKED, str(error))
        await super().on_first_start()

    async def on_stop(self) -> None:
        # While it stops, Faust does not tell of revocations.
        await self.claims.end()
        await super().on_stop()

    async def stamp(self) -> None:
        """Notes in every idle store that it is still at the end of its changelogs."""
        tenures = self._tenures()
        asked_ms = int(time.time() * 1000)
        places = {(log.topic, tenure.partition) for tenure in tenures for log in tenure.changelogs}
        try:
            ends = await asyncio.to_thread(self._ends.of, places)
        except OSError as error:
            log.warning("stores are not stamped: %s", error)
            return
        for tenure in tenures:
            tenure.stamp(asked_ms, {log.topic: ends[log.topic, tenure.partition] for log in tenure.changelogs})

    def on_fault(self, agent: str, error: BaseException) -> None:
        leave(Exit.FAILED, f"{agent} failed: {type(error).__name__}: {error}", error)

    async def _on_assigned(self, _app: Any, assigned: Any, **_: Any) -> None:
        await self.claims.on_assigned(assigned)

    async def _on_revoked(self, _app: Any, revoked: Any, **_: Any) -> None:
        # The protocol is eager: a rebalance takes everything away.
        await self.claims.end()

    async def _measure_lag(self) -> None:
        for claim in self._tenures():
            try:
                end = self.consumer.highwater(claim.source) if claim.sought else None
            except (AssertionError, IllegalStateError):
                # The assignment changed under us.
                continue
            if end is not None:
                claim.metrics.lag.labels(claim.partition).set(max(0, end - claim.next_offset))

    def _tenures(self) -> list[Tenure]:
        return [claim for claim in self.claims.values() if isinstance(claim, Tenure) and claim.ready]

    def _plan(self, source: str) -> TenurePlan:
        tables = self._transactional[source]
        leading = tables[-1]
        assert leading.opens is not None, f"{leading.name} leads and must open a view"
        assert self.metrics is not None, "an application with transactional tables counts its steps"
        return TenurePlan(
            bootstrap=self.bootstrap,
            name=f"{self.topic_ids[source]}-queue",
            directory=self.directory / "stores",
            changelogs=tuple(table.changelog for table in tables),
            topic_ids=self.topic_ids,
            position_key=leading.position_key,
            opens=leading.opens,
            metrics=self.metrics,
            restore_pause_s=self._restore_pause_s,
        )


_FIXED: dict[str, Any] = {
    "TableManager": TableManager,
    "table_standby_replicas": 0,
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "web_enabled": False,
    "worker_redirect_stdouts": False,
    # Steps are ended by the claims, which know when one is written.
    "stream_wait_empty": False,
    # Restores take as long as they take; liveness is the heartbeat's.
    "broker_max_poll_interval": 86_400.0,
    "broker_commit_interval": 0.5,
    "broker_max_poll_records": 2_000,
    "consumer_max_fetch_size": 2 << 20,
    "stream_publish_on_commit": False,
}
