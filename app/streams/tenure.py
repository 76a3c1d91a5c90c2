"""Tenure: the right to write one partition, from its assignment to its revocation.

Order is all. (1) Fence: starting the transactional producer stops the former owner and ends its open transaction. (2)
Only then is the end of the changelogs known, so only then is the local store restored up to it. (3) The position row
says which command comes next. Whoever goes through these steps writes nothing twice and misses nothing, whatever the
consumer group believes at that moment: the group decides who works, the fence decides who may write.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from app.domain.rows import PositionRow
from app.domain.state import FIRST_POSITION
from app.log.codec import decode_as
from app.streams.claims import GRACE_S, Claim, Source
from app.streams.exits import Exit, leave
from app.streams.metrics import StreamMetrics
from app.streams.producer import TransactionalProducer
from app.streams.restore import CommandsMissingError, Restoration, Restored, RestorePlan
from app.streams.store import Changelog, Store, Writes

log = logging.getLogger(__name__)

RESTORES_AT_ONCE = 4

_RESTORERS = ThreadPoolExecutor(RESTORES_AT_ONCE, thread_name_prefix="restore")


@dataclass(frozen=True, slots=True, kw_only=True)
class TenurePlan:
    """What every tenure of a source needs. The last changelog holds the position row; `opens` makes the typed view
    over the store."""

    bootstrap: str
    name: str
    """of the transactional ids: <installation>-<agent>"""
    directory: Path
    changelogs: tuple[Changelog, ...]
    topic_ids: dict[str, str]
    position_key: bytes
    opens: Callable[[Store], Any]
    metrics: StreamMetrics
    restore_pause_s: float = 0.0


class Handed(NamedTuple):
    """A record (aiokafka's ConsumerRecord) and, with the last one of those that came together, the Faust event to
    acknowledge."""

    record: Any
    event: Any


class Tenure(Claim):
    """Begins with its construction (in a running event loop); ready when restored."""

    bundled = True

    def __init__(self, source: Source, plan: TenurePlan) -> None:
        super().__init__(source)
        self.position: PositionRow = FIRST_POSITION
        self.metrics = plan.metrics
        self.store: Store
        self.view: Any = None
        self._plan = plan
        self._ending = threading.Event()
        self._opened = False
        self._restored = Restored()
        self.producer = self._make_producer()
        self._beginning = asyncio.create_task(self._begin())

    @property
    def next_offset(self) -> int:
        return self.position.offset + 1

    @property
    def changelogs(self) -> tuple[Changelog, ...]:
        return self._plan.changelogs

    def received(self, event: Any) -> None:
        if self.live:
            *some, last = event.message.records
            self.backlog.extend(Handed(record, None) for record in some)
            self.backlog.append(Handed(last, event))

    def take(self) -> "Handed":
        """The next record of the backlog, to be worked on."""
        handed: Handed = self.backlog.popleft()
        self._moved(handed.record, -1)
        return handed

    def give_back(self, handed: "Handed") -> None:
        """Undoes `take`."""
        self.backlog.appendleft(handed)
        self._moved(handed.record, 1)

    def quarantine(self, why: str) -> None:
        super().quarantine(why)
        self.metrics.quarantined(self.partition)

    def stamp(self, asked_ms: int, ends: dict[str, int]) -> None:
        """Notes that the store held all there was at `asked_ms`, when the changelogs ended at `ends` (topic -> offset
        behind the last).

        Without a look at the ends an owner that was overtaken and does not know it would call its old store fresh."""
        if not self.ready or not self.live or not self.idle.is_set():
            return
        for changelog in self.changelogs:
            # Behind our last record stands at most the marker of its transaction.
            if ends[changelog.topic] > self.store.applied(changelog.prefix) + 2:
                return
        self.store.write(Writes(stamp_ms=asked_ms))

    async def end(self) -> None:
        """No new step from now on; the one that runs may finish; then neither producer nor store is touched any
        more."""
        self.ended = True
        self._ending.set()
        try:
            async with asyncio.timeout(GRACE_S):
                await asyncio.shield(self._beginning)
                await self.idle.wait()
                await self.producer.stop()
        except TimeoutError:
            leave(
                Exit.OUTLIVED,
                f"partition {self.partition}: a step or the restore outlived the revocation by {GRACE_S} s",
            )
        self.backlog.clear()
        if self._opened:
            self.store.close()
        self.metrics.ended(self.partition)
        log.info("partition %d given up at command %d", self.partition, self.position.offset)

    def _make_producer(self) -> TransactionalProducer:
        return TransactionalProducer(self._plan.bootstrap, f"{self._plan.name}-{self.partition}")

    async def _begin(self) -> None:
        started = time.monotonic()
        try:
            # Never cancelled: a request on its way would fence our successor.
            await self.producer.start()
            fenced = time.monotonic()
            if not self._ending.is_set():
                await asyncio.get_running_loop().run_in_executor(_RESTORERS, self._restore)
            if self._ending.is_set():
                log.info("partition %d was given up during its restore", self.partition)
                return
            self.view = self._plan.opens(self.store)
            self.ready = True
        except CommandsMissingError as error:
            leave(Exit.HOLE, str(error))
        except BaseException as error:
            leave(Exit.FAILED, f"partition {self.partition} could not be taken over: {error}", error)
        log.info(
            "partition %d taken over at command %d: fence %.3f s, restore %.3f s, %d rows%s",
            self.partition,
            self.position.offset,
            fenced - started,
            self._restored.seconds,
            self._restored.rows,
            " into an empty store" if self._restored.full else "",
        )
        self.metrics.restored(self.partition, self._restored.rows, self._restored.seconds)

    def _restore(self) -> None:
        plan = self._plan
        if self._ending.is_set():
            return
        self.store = Store(plan.directory / str(self.partition))
        self._opened = True
        restoration = Restoration(
            self.store,
            RestorePlan(
                bootstrap=plan.bootstrap,
                partition=self.partition,
                changelogs=plan.changelogs,
                topic_ids=plan.topic_ids,
                pause_s=plan.restore_pause_s,
            ),
            self._ending,
        )
        try:
            self._restored = restoration.run()
            if self._ending.is_set():
                return
            stored = self.store.get([plan.changelogs[-1].prefix + plan.position_key])[0]
            if stored is not None:
                self.position = decode_as(PositionRow, stored)
            restoration.check_commands(self.source.topic, self.next_offset)
        finally:
            restoration.close()
