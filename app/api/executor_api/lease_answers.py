"""Leases and stops for an executor, from view `leases` (rules 2 and 3).

Inputs: a cluster, its cursor, where its instance began. Output: `SyncAnswer`. Without Postgres, or when its views
belong to another log, the answer says leasesKnown: false, and nothing is started or stopped on its ground.
"""

import asyncio
import logging
from collections.abc import Mapping

import msgspec
import zstandard
from msgspec import Raw

from app.api.executor_api.instances import passed
from app.api.tail.cluster_signals import ClusterSignals
from app.db.database import Database
from app.db.errors import DatabaseError
from app.db.positions import Positions
from app.db.queries.leases import LEASES, FullPage, LeaseRecord, StopRecord, SyncPage, all_runs, leases_after
from app.db.queries.reached import Reached, topic_identity
from app.domain.ids import format_id
from app.domain.positions import Vector
from app.executor import protocol
from app.executor.cursor import Cursor, Position
from app.log.topics import EVENTS
from app.pods.limits import STORED_SPEC_BYTES_MAX

IDENTITY_CHECK_S = 30.0

logger = logging.getLogger(__name__)
_decompressor = zstandard.ZstdDecompressor()
_RAWS = msgspec.json.Decoder(list[Raw])


class LeaseAnswers:
    """One per process. log: name of the log in cursors; events_topic_id: Kafka's id of argosy.events."""

    def __init__(
        self,
        database: Database,
        positions: Positions,
        signals: ClusterSignals,
        *,
        log: str,
        events_topic_id: str,
    ) -> None:
        self._database = database
        self._positions = positions
        self._signals = signals
        self._log = log
        self._events_topic_id = events_topic_id
        self._identity_checked_s = float("-inf")
        self._is_ours = False

    async def known(self) -> bool:
        """Whether executors could be answered from the view now."""
        try:
            return self._positions.known and await self._belongs_to_this_log()
        except DatabaseError:
            return False

    async def newer(
        self, sequence: int, cluster: str, cursor: Cursor | None, begins: Vector, *, wait_s: float, ask_nodes: bool
    ) -> protocol.SyncAnswer:
        """What is newer than the cursor; with `wait_s` the answer waits for it, and is empty when nothing came."""
        taken = dict(cursor.positions) if cursor is not None and cursor.log == self._log else {}
        deadline_s = asyncio.get_running_loop().time() + wait_s
        try:
            while True:
                if not await self._belongs_to_this_log():
                    return self._unknown(sequence, cursor, ask_nodes=ask_nodes)
                page = await leases_after(self._database, cluster, taken)
                answer = self._page_answer(sequence, page, taken, begins, ask_nodes=ask_nodes)
                left_s = deadline_s - asyncio.get_running_loop().time()
                if answer.leases or answer.stops or left_s <= 0:
                    return answer
                assert answer.lease_cursor is not None, "an answer from the view has one"
                taken = dict(answer.lease_cursor.positions)
                await self._until_news(cluster, page, begins, deadline_s)
        except DatabaseError as error:
            logger.warning("leases of cluster %s are not known: %s", cluster, error)
            return self._unknown(sequence, cursor, ask_nodes=ask_nodes)

    async def full(self, sequence: int, cluster: str, begins: Vector, *, ask_nodes: bool) -> protocol.SyncAnswer:
        """Every run of the cluster that is not gone."""
        try:
            if not await self._belongs_to_this_log():
                return self._unknown(sequence, None, ask_nodes=ask_nodes)
            page = await all_runs(self._database, cluster)
        except DatabaseError as error:
            logger.warning("runs of cluster %s are not known: %s", cluster, error)
            return self._unknown(sequence, None, ask_nodes=ask_nodes)
        return self._full_answer(sequence, page, begins, ask_nodes=ask_nodes)

    async def _until_news(self, cluster: str, page: SyncPage, begins: Vector, deadline_s: float) -> None:
        """Returns when the view has passed something that the page lacks, or when the time is over."""
        loop = asyncio.get_running_loop()
        seen = await self._positions.wait_change(LEASES, -1, 0.0)
        while (left_s := deadline_s - loop.time()) > 0:
            latest = self._signals.latest(cluster)
            lacking = {p: offset for p, offset in {**begins, **latest}.items() if _offset(page.reached, p) < offset}
            vector = self._positions.vector(LEASES)
            if any(vector.get(partition, -1) >= offset for partition, offset in lacking.items()):
                return
            if lacking:
                seen = await self._positions.wait_change(LEASES, seen, left_s)
            else:
                await self._signals.changed(cluster, latest, timeout_s=left_s)

    def _page_answer(
        self, sequence: int, page: SyncPage, taken: dict[int, tuple[int, int]], begins: Vector, *, ask_nodes: bool
    ) -> protocol.SyncAnswer:
        """A partition whose view has not passed the instance's begin gives stops only, and its cursor stays."""
        open_partitions = passed({p: stand.position for p, stand in page.reached.items()}, begins)
        cursor = {
            partition: end if partition in open_partitions else taken[partition]
            for partition, end in page.cursor.items()
            if (partition in open_partitions and end[0] >= 0) or partition in taken
        }
        return protocol.SyncAnswer(
            sequence=sequence,
            leases=tuple(_lease(each, page.specs) for each in page.leases if each.partition in open_partitions),
            stops=tuple(_stop(each) for each in page.stops),
            lease_cursor=Cursor(self._log, cursor),
            leases_known=True,
            ask_nodes=ask_nodes,
            log_begins=_log_begins(page.reached),
        )

    def _full_answer(self, sequence: int, page: FullPage, begins: Vector, *, ask_nodes: bool) -> protocol.SyncAnswer:
        """A partition whose view has not passed the instance's begin is left out of the cursor: it judges no run."""
        open_partitions = passed({p: stand.position for p, stand in page.reached.items()}, begins)
        cursor = {p: end for p, end in page.cursor.items() if p in open_partitions and end[0] >= 0}
        return protocol.SyncAnswer(
            sequence=sequence,
            leases=tuple(_lease(each, page.specs) for each in page.leases if each.partition in open_partitions),
            reported=tuple(format_id(each.run_id) for each in page.reported),
            reported_jobs=tuple(
                protocol.ReportedJob(job_id=format_id(each.job_id), attempt=each.attempt) for each in page.reported
            ),
            stops=tuple(_stop(each) for each in page.stops),
            lease_cursor=Cursor(self._log, cursor),
            leases_known=True,
            ask_nodes=ask_nodes,
            log_begins=_log_begins(page.reached),
        )

    def _unknown(self, sequence: int, cursor: Cursor | None, *, ask_nodes: bool) -> protocol.SyncAnswer:
        """Leases unknown, go on. The cursor is the one that was sent, of our log."""
        positions = cursor.positions if cursor is not None and cursor.log == self._log else {}
        return protocol.SyncAnswer(
            sequence=sequence, lease_cursor=Cursor(self._log, positions), leases_known=False, ask_nodes=ask_nodes
        )

    async def _belongs_to_this_log(self) -> bool:
        """Whether the views were filled from this very log: the positions of another one mean nothing here."""
        now_s = asyncio.get_running_loop().time()
        if not self._is_ours or now_s - self._identity_checked_s > IDENTITY_CHECK_S:
            async with self._database.reading() as connection:
                found = await topic_identity(connection, EVENTS)
            self._is_ours = found == self._events_topic_id
            self._identity_checked_s = now_s
            if not self._is_ours and found is not None:
                logger.error("the views in Postgres were filled from another log (topic id %s)", found)
        return self._is_ours


def _offset(reached: Mapping[int, Reached], partition: int) -> int:
    stand = reached.get(partition)
    return stand.position if stand is not None else -1


def _log_begins(reached: Mapping[int, Reached]) -> dict[str, int]:
    return {str(partition): stand.first_offset for partition, stand in reached.items() if stand.first_offset >= 0}


def _lease(record: LeaseRecord, specs: Mapping[bytes, bytes]) -> protocol.Lease:
    job = record.job
    spec = _decompressor.decompress(specs[record.spec_id], max_output_size=STORED_SPEC_BYTES_MAX)
    return protocol.Lease(
        job_id=format_id(record.job_id),
        run_id=format_id(record.run_id),
        attempt=record.attempt,
        queue=job.queue,
        job_set=job.job_set,
        owner=job.owner,
        groups=job.groups,
        node=record.node,
        pool=record.pool,
        position=Position(record.partition, record.offset, record.ordinal),
        displaces=tuple(
            protocol.Displaced(run_id=format_id(run.run_id), position=Position(run.partition, run.offset, run.ordinal))
            for run in record.displaced
        ),
        namespace=job.namespace,
        pod_spec=Raw(spec),
        labels=job.labels,
        annotations=job.annotations,
        services=_raws(job.services),
        ingresses=_raws(job.ingresses),
        preemptible=job.preemptible,
        deadline_seconds=job.deadline_s,
    )


def _raws(text: str) -> tuple[Raw, ...]:
    return tuple(_RAWS.decode(text)) if text else ()


def _stop(record: StopRecord) -> protocol.Stop:
    return protocol.Stop(
        job_id=format_id(record.job_id),
        run_id=format_id(record.run_id),
        attempt=record.attempt,
        reason=record.reason.value,
    )
