"""Queues as the view `queues` knows them, and who may watch them.

A view may lag, so neither "no such queue" nor "not allowed" is said before the view has passed everything that was
decided when the question came. Inputs: name, principal. Output: QueueRecord. Errors: NOT_FOUND, FORBIDDEN, UNAVAILABLE.
"""

import asyncio
from collections.abc import Iterable

from app.api.errors import ApiError
from app.api.service.database_errors import database_errors
from app.api.service.waiting import QUEUES_VIEW, ViewPositions
from app.api.tail.tail import Tail
from app.db.database import Database
from app.db.errors import DatabaseError
from app.db.queries.queues import QueueRecord, queue
from app.domain.authority import may
from app.domain.commands import Principal
from app.domain.errors import ErrorCode
from app.domain.routing import partition_of_name

WATCH = "watch"
WAIT_S = 10.0


class QueueAccess:
    """One per process."""

    def __init__(self, database: Database, positions: ViewPositions, tail: Tail) -> None:
        self._database = database
        self._positions = positions
        self._tail = tail
        self._asking: dict[str, asyncio.Task[QueueRecord | None]] = {}

    async def watched(self, name: str, principal: Principal, *, incarnation: int = -1) -> QueueRecord:
        """The queue (of this incarnation or a younger one), if the principal may watch it."""
        found = await self._find(name)
        if found is None or found.incarnation < incarnation or not may(principal, WATCH, found.spec):
            await self.catch_up([name])
            with database_errors():
                found = await queue(self._database, name)
        if found is None:
            raise ApiError(ErrorCode.NOT_FOUND, f"there is no queue {name[:253]!r}", path="queue")
        if not may(principal, WATCH, found.spec):
            message = f"user {principal.user!r} may not watch queue {name!r}: the verb watch is needed"
            raise ApiError(ErrorCode.FORBIDDEN, message, path="queue")
        return found

    async def _find(self, name: str) -> QueueRecord | None:
        """Many who ask for one queue at the same time share a query; an answer that is in doubt is asked for again."""
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(queue(self._database, name))
            asking.add_done_callback(lambda task: self._asked(name, task))
        with database_errors():
            return await asyncio.shield(asking)

    def _asked(self, name: str, task: asyncio.Task[QueueRecord | None]) -> None:
        del self._asking[name]
        if not task.cancelled():
            task.exception()  # all who asked may be gone

    async def catch_up(self, names: Iterable[str]) -> None:
        """Waits until the view has passed what the tail has seen decided in the queues' partitions. Raises ApiError
        UNAVAILABLE."""
        vector = {}
        for partition in {partition_of_name(name, len(self._tail.buffers)) for name in names}:
            reached = self._tail.buffers[partition].reached
            if reached is not None:
                # `next` of a command that is read only in part is its own offset.
                vector[partition] = reached.next[0] - 1
        if not vector:
            return
        try:
            await self._positions.wait_until(QUEUES_VIEW, vector, WAIT_S)
        except DatabaseError as error:
            raise ApiError(ErrorCode.UNAVAILABLE, f"queues cannot be looked up now: {error}") from error
