"""Leases and stops for an executor, from view `leases` (rules 2 and 3).

Inputs: a cluster, its cursor, where its instance began. Output: `SyncAnswer`. Without Postgres, or when its views
belong to another log, the answer says leasesKnown: false, and nothing is started or stopped on its ground.
"""

import asyncio
import logging
from collections.abc import Mapping

from app.api.executor_api.wire_answers import full_answer, page_answer
from app.api.tail.cluster_signals import ClusterSignals
from app.db.database import Database
from app.db.errors import DatabaseError
from app.db.positions import Positions
from app.db.queries.leases import LEASES, SyncPage, all_runs, leases_after
from app.db.queries.reached import Reached, topic_identity
from app.domain.positions import Vector
from app.executor import protocol
from app.executor.cursor import Cursor
from app.log.topics import EVENTS

IDENTITY_CHECK_S = 30.0

logger = logging.getLogger(__name__)


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
        self._stopping = asyncio.Event()

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
                answer = page_answer(sequence, page, self._log, taken, begins, ask_nodes=ask_nodes)
                left_s = deadline_s - asyncio.get_running_loop().time()
                if answer.leases or answer.stops or left_s <= 0 or self._stopping.is_set():
                    return answer
                assert answer.lease_cursor is not None, "an answer from the view has one"
                taken = dict(answer.lease_cursor.positions)
                await self._until_news_or_stop(cluster, page, begins, deadline_s)
        except DatabaseError as error:
            logger.warning("leases of cluster %s are not known: %s", cluster, error)
            return self._unknown(sequence, cursor, ask_nodes=ask_nodes)

    def stop_waiting(self) -> None:
        """The process stops: whoever waits is answered now with what there is."""
        self._stopping.set()

    async def full(self, sequence: int, cluster: str, begins: Vector, *, ask_nodes: bool) -> protocol.SyncAnswer:
        """Every run of the cluster that is not gone."""
        try:
            if not await self._belongs_to_this_log():
                return self._unknown(sequence, None, ask_nodes=ask_nodes)
            page = await all_runs(self._database, cluster)
        except DatabaseError as error:
            logger.warning("runs of cluster %s are not known: %s", cluster, error)
            return self._unknown(sequence, None, ask_nodes=ask_nodes)
        return full_answer(sequence, page, self._log, begins, ask_nodes=ask_nodes)

    async def _until_news_or_stop(self, cluster: str, page: SyncPage, begins: Vector, deadline_s: float) -> None:
        news = asyncio.create_task(self._until_news(cluster, page, begins, deadline_s))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((news, stop), return_when=asyncio.FIRST_COMPLETED)
            if news.done():
                news.result()
        finally:
            news.cancel()
            stop.cancel()

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
