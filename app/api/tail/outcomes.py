"""What became of commands, for clients that wait for theirs.

Input: events records of the tail. Output: `Applied` by (partition, offset of the command). Outcomes and operations of
the last few thousand commands are kept, because the events of a command may be read before the broker's answer to the
one who wrote it.
"""

import asyncio
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field

from app.api.errors import ApiError
from app.domain.errors import ErrorCode
from app.domain.events import EventsRecord, Outcome, Progress
from app.domain.limits import OPERATION_IDS_NAMED_MAX

OUTCOMES_KEPT = 4_096
"""per partition"""
OPERATIONS_KEPT = 64
"""per partition"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A command's outcome. offset: of the command whose events complete it (an operation is closed by a later one)."""

    outcome: Outcome
    offset: int
    affected: tuple[bytes, ...]
    affected_count: int


@dataclass(slots=True)
class _Operation:
    affected: list[bytes] = field(default_factory=list)
    total: int = 0
    closed_by: int | None = None

    def take(self, progress: Progress, offset: int) -> None:
        room = OPERATION_IDS_NAMED_MAX - len(self.affected)
        if room > 0:
            self.affected.extend(progress.affected[:room])
        self.total = progress.total
        if progress.closed:
            self.closed_by = offset


class Outcomes:
    """The waiting room of one process."""

    def __init__(self) -> None:
        self._outcomes: defaultdict[int, OrderedDict[int, Outcome]] = defaultdict(OrderedDict)
        self._operations: defaultdict[int, OrderedDict[int, _Operation]] = defaultdict(OrderedDict)
        self._waiting: dict[tuple[int, int], set[asyncio.Future[None]]] = {}
        self._failed: str | None = None

    @property
    def waiting(self) -> int:
        """Clients that wait now."""
        return sum(len(futures) for futures in self._waiting.values())

    def on_record(self, partition: int, record: EventsRecord) -> None:
        """A record of the tail."""
        operations = self._operations[partition]
        for progress in record.operations:
            operation = operations.get(progress.operation)
            if operation is None:
                operation = operations[progress.operation] = _Operation()
                while len(operations) > OPERATIONS_KEPT:
                    operations.popitem(last=False)
            operation.take(progress, record.offset)
            if progress.closed:
                self._wake(partition, progress.operation)
        if record.last:
            outcomes = self._outcomes[partition]
            outcomes[record.offset] = record.outcome or Outcome()
            if len(outcomes) > OUTCOMES_KEPT:
                outcomes.popitem(last=False)
            self._wake(partition, record.offset)

    def fail(self, message: str) -> None:
        """The tail ended: nobody will learn anything any more."""
        self._failed = message
        for key in list(self._waiting):
            self._wake(*key)

    async def wait(self, partition: int, offset: int, *, timeout_s: float) -> Applied:
        """The outcome of a command, its operation closed. Raises TimeoutError, ApiError UNAVAILABLE."""
        async with asyncio.timeout(timeout_s):
            while (applied := self._find(partition, offset)) is None:
                if self._failed is not None:
                    raise ApiError(ErrorCode.UNAVAILABLE, f"the events cannot be read now: {self._failed}")
                await self._sleep(partition, offset)
        return applied

    def _find(self, partition: int, offset: int) -> Applied | None:
        outcome = self._outcomes[partition].get(offset)
        if outcome is None:
            return None
        if not outcome.operation:
            return Applied(
                outcome=outcome, offset=offset, affected=outcome.affected, affected_count=outcome.affected_count
            )
        operation = self._operations[partition].get(offset)
        if operation is None or operation.closed_by is None:
            return None
        return Applied(
            outcome=outcome,
            offset=operation.closed_by,
            affected=tuple(operation.affected),
            affected_count=operation.total,
        )

    async def _sleep(self, partition: int, offset: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault((partition, offset), set())
        waiting.add(future)
        try:
            await future
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get((partition, offset)) is waiting:
                del self._waiting[partition, offset]

    def _wake(self, partition: int, offset: int) -> None:
        for future in self._waiting.pop((partition, offset), ()):
            if not future.done():
                future.set_result(None)
