"""Runs the views of an app: raw records in, transactions out. Does not know where records come from (a `Haul` does).

While one batch is written the next is planned. A batch that fails for its data is taken again record by record: what
comes before the poison is written, then the app stops there and says so. Postgres away: the batch in hand is repeated.
"""

import asyncio
import logging
import threading
import time
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from app.db.errors import DatabaseError, PositionMoved, Unavailable
from app.db.revision import check_migrated
from app.domain.events import EventsRecord
from app.domain.rows import POSITION_KEY
from app.views.install import install
from app.views.metrics import ViewMetrics
from app.views.planned import Before, Haul, Planned
from app.views.source import Cut, PoisonRecord, RawRecord, Source, first_bytes, source_of
from app.views.view import Batch, SourceRecord, View, week_of
from app.views.weeks import Weeks
from app.views.writer import NOTHING, Stand, ViewWrite, Writer

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.1
RETRY_MAX_S = 5.0
STALE_AFTER_S = 7 * 60.0
"""a reader of a compacted topic that stood still this long may have missed deletions: it reads the topic anew"""
KEEP_WEEKS_EVERY_S = 3600.0

T = TypeVar("T")


class StoodStill(Exception):
    """a reader of a compacted topic could not write for so long that it must start anew"""


class ViewRunner:
    """The views of one app. All of them read one topic."""

    def __init__(
        self,
        url: str,
        views: Sequence[View],
        *,
        metrics: ViewMetrics | None = None,
        read_all: Callable[[int], AsyncIterator[Sequence[RawRecord]]] | None = None,
        topic_id: str = "",
        indexes: bool = True,
    ) -> None:
        apps, topics = {view.app_name for view in views}, {view.topic for view in views}
        if len(apps) != 1 or len(topics) != 1:
            raise ValueError(
                f"a process runs the views of one app over one topic, not {sorted(apps)}, {sorted(topics)}"
            )
        self.app, self.topic = apps.pop(), topics.pop()
        self.views = tuple(views)
        self.metrics = metrics or ViewMetrics(self.app)
        self.writer = Writer(url, self.app, views)
        self.trouble: str | None = None
        """why nothing is written any more"""
        self._url = url
        self._indexes = indexes
        self._read_all = read_all
        self._source: Source = source_of(self.topic, b"".join(sorted(self.wanted_keys)))
        self._stands: dict[str, dict[int, Stand]] = {view.name: {} for view in views}
        self._weeks = Weeks(url, self.views, indexes=indexes)
        self._waiting_since: float | None = None
        self._young_at_s = time.monotonic()
        self._planning = threading.Lock()
        self._topic_id = topic_id
        self._preparing = asyncio.Lock()
        self._prepared = False
        self._weeks_kept = -KEEP_WEEKS_EVERY_S

    @property
    def wanted_keys(self) -> frozenset[bytes]:
        """First bytes of the keys that the views have any use for, positions among them; empty = all records."""
        if not all(view.keys for view in self.views):
            return frozenset()
        return first_bytes(b"".join(view.keys for view in self.views) + POSITION_KEY[:1])

    def troubles(self) -> list[str]:
        """Why this app is not ready, one line each."""
        found = [self.trouble] if self.trouble is not None else []
        if self._waiting_since is not None:
            found.append(f"Postgres is away for {time.monotonic() - self._waiting_since:.0f} s")
        return found

    async def begin(self, partition: int) -> int:
        """The offset at which a partition that was given to this process goes on. Waits for Postgres.

        Raises NotMigrated, and PositionMoved when the database was filled from another log."""
        async with self._preparing:
            if not self._prepared:
                await self._patiently(self._prepare)
                self._prepared = True
        found = {view.name: (await self._read(view)).get(partition, (Stand(), 0.0)) for view in self.views}
        self.adopt(partition, {name: stand for name, (stand, _) in found.items()})
        stale = any(age_s > STALE_AFTER_S or stand.source_offset == NOTHING for stand, age_s in found.values())
        if self._source.compacted and stale:
            await self._read_anew(partition)
        return self._source.stand(partition).source_offset + 1

    async def stands(self, partition: int) -> dict[str, Stand]:
        """Where the database says that each view stands."""
        return {view.name: (await self._read(view)).get(partition, (Stand(), 0.0))[0] for view in self.views}

    def adopt(self, partition: int, stands: dict[str, Stand]) -> None:
        """The views go on from there; the source with the hindmost of them."""
        for name, stand in stands.items():
            self._stands[name][partition] = stand
        self._source.reset(partition, min(stands.values(), key=lambda stand: stand.source_offset))

    async def touch(self) -> None:
        """Every minute: a compacted topic that brings nothing is not one that stands still; weeks come and go."""
        if time.monotonic() - self._weeks_kept > KEEP_WEEKS_EVERY_S:
            self._weeks_kept = time.monotonic()
            try:
                await self._weeks.create_ahead()
                await self._weeks.drop_behind(self._log_time_ms)
            except DatabaseError as error:
                log.warning("app %s: weekly partitions are as they were: %s", self.app, error)
        if self._source.compacted and self.trouble is None:
            for view in self.views:
                try:
                    self._check_young()
                    await self.writer.touch(view)
                    self._young_at_s = time.monotonic()
                except DatabaseError as error:
                    log.warning("view %s is not stamped: %s", view.name, error)

    async def run(self, hauls: AsyncIterator[Haul]) -> None:
        """Until the source ends or the app stands before a record. Raises PositionMoved, StoodStill: start again."""
        coming: asyncio.Future[Haul | None] | None = None
        writing: asyncio.Task[bool] | None = None
        last: tuple[Haul, Planned] | None = None
        while self.trouble is None:
            if coming is None:
                coming = asyncio.ensure_future(anext(hauls, None))
            waited: set[asyncio.Future[Any]] = {coming} if writing is None else {coming, writing}
            await asyncio.wait(waited, return_when=FIRST_COMPLETED)
            haul, ended = None, False
            if coming.done():
                haul, coming = coming.result(), None
                ended = haul is None
            planned = await self._planned(haul) if haul is not None else None
            refused: list[Haul] = []
            if writing is not None and last is not None:
                if not await writing:
                    # What was planned behind a batch that was not written is void.
                    self.rewind(last[1])
                    refused, planned = [last[0]], None
                writing = last = None
            if planned is not None and haul is not None:
                last = (haul, planned)
                writing = asyncio.create_task(self._write_haul(haul, planned))
            elif refused or haul is not None:
                await self._carefully([*refused, *([haul] if haul is not None else [])])
            if ended:
                return
        # It stands before a record that it cannot take: what is on its way is given back.
        if coming is not None and not coming.cancel() and (left := coming.result()) is not None:
            left.done(False)

    def plan(self, raw: Sequence[RawRecord], anew: frozenset[int] = frozenset()) -> Planned:
        """Decodes and plans; moves on in memory only. Raises PoisonRecord, or what a view raises; then nothing
        moved."""
        began = time.perf_counter()
        with self._planning:
            before = self._save({one.partition for one in raw})
            try:
                cut = self._source.cut(raw)
                writes = tuple(self._write_of(view, cut, anew) for view in self.views)
            except Exception:
                self._restore(before)
                raise
        self.metrics.plan_s.observe(time.perf_counter() - began)
        return Planned(
            writes=tuple(write for write in writes if write.moves),
            before=before,
            weeks=frozenset(week_of(record.log_time_ms) for record in cut.records),
            records=len(cut.records),
            events=sum(_events(record) for record in cut.records),
            positions={partition: stand.position for partition, stand in cut.stands.items()},
            log_time_ms=max((stand.log_time_ms for stand in cut.stands.values()), default=0),
        )

    def rewind(self, planned: Planned) -> None:
        """Before a plan that was not written."""
        self._restore(planned.before)

    async def write(self, planned: Planned, live: Callable[[], bool] = lambda: True) -> bool:
        """Writes, as often as it takes. False: it is not ours to write any more. Raises PositionMoved, StoodStill, and
        DatabaseError when Postgres does not take it."""
        if not planned.writes:
            return True
        began = time.perf_counter()
        doubtful = False
        delay_s = RETRY_FIRST_S
        while live():
            self._check_young()
            try:
                if doubtful and await self._stands_already(planned):
                    break
                await self._weeks.create(planned.weeks)
                await self.writer.write(planned.writes)
                break
            except Unavailable as error:
                doubtful = True
                self._away(error)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_MAX_S)
        else:
            return False
        self._waiting_since = None
        self._young_at_s = time.monotonic()
        self.metrics.write_s.observe(time.perf_counter() - began)
        self.metrics.committed(planned.records, planned.events, planned.positions, planned.log_time_ms)
        return True

    @property
    def _log_time_ms(self) -> int:
        return max((stand.log_time_ms for of in self._stands.values() for stand in of.values()), default=0)

    def _save(self, partitions: set[int]) -> Before:
        stands = {name: {p: of[p] for p in partitions if p in of} for name, of in self._stands.items()}
        return Before(saved=self._source.save(partitions), stands=stands)

    def _restore(self, before: Before) -> None:
        """Other partitions may have begun in the meantime: they are left alone."""
        self._source.restore(before.saved)
        for name, stands in before.stands.items():
            self._stands[name].update(stands)

    async def _planned(self, haul: Haul) -> Planned | None:
        try:
            return await asyncio.to_thread(self.plan, haul.records)
        except Exception as error:
            log.warning("a batch of app %s is taken record by record: %s", self.app, error)
            return None

    def _write_of(self, view: View, cut: Cut, anew: frozenset[int]) -> ViewWrite:
        """What one view does with a cut; a view that is ahead of others of its app leaves out what it has."""
        stands = self._stands[view.name]
        moves: dict[int, tuple[int, Stand]] = {}
        for partition, stand in cut.stands.items():
            mine = stands.get(partition, Stand())
            if stand.source_offset > mine.source_offset or partition in anew:
                first = stand.first_offset if mine.first_offset < 0 else mine.first_offset
                moves[partition] = (mine.source_offset, replace(stand, first_offset=first))
        records = [record for record in cut.records if self._wants(view, record, stands, anew)]
        operations = view.rows(Batch(records=records, anew=anew)) if records or anew else ()
        for partition, (_, stand) in moves.items():
            stands[partition] = stand
        return ViewWrite(view=view, operations=operations, moves=moves)

    def _wants(self, view: View, record: SourceRecord, stands: dict[int, Stand], anew: frozenset[int]) -> bool:
        if view.keys and record.key[:1] not in first_bytes(view.keys):
            return False
        return record.partition in anew or record.offset > stands.get(record.partition, Stand()).source_offset

    async def _write_haul(self, haul: Haul, planned: Planned) -> bool:
        """True: written or not ours any more; False: its data were refused."""
        try:
            haul.done(await self.write(planned, haul.live))
        except (PositionMoved, Unavailable):
            haul.done(False)
            raise
        except DatabaseError as error:
            log.warning("a batch of app %s is taken record by record: %s", self.app, error)
            return False
        except BaseException:
            haul.done(False)
            raise
        return True

    async def _carefully(self, hauls: Iterable[Haul]) -> None:
        """Record by record, so that only what is behind the poison stays unwritten."""
        for haul in hauls:
            for raw in haul.records:
                if self.trouble is not None or not haul.live():
                    break
                try:
                    planned = self.plan([raw])
                    await self.write(planned, haul.live)
                except (PositionMoved, StoodStill, Unavailable):
                    raise
                except Exception as error:
                    self._stop(raw, error)
            haul.done(self.trouble is None)

    def _stop(self, raw: RawRecord, error: Exception) -> None:
        text = str(error) if isinstance(error, PoisonRecord) else f"{type(error).__name__}: {error}"
        self.trouble = (
            f"app {self.app} stands before {self.topic} partition {raw.partition} offset {raw.offset}, "
            f"which it cannot take: {text[:500]}"
        )
        self.metrics.stopped()
        log.error("%s", self.trouble, exc_info=error)

    async def _read_anew(self, partition: int) -> None:
        """Everything that a compacted partition holds replaces what stands of it, in one transaction."""
        if self._read_all is None:
            raise RuntimeError(f"{self.topic} is compacted: it must be possible to read it anew")
        raw: list[RawRecord] = []
        wanted = self.wanted_keys
        async for some in self._read_all(partition):
            # The last position row is the one that counts; rows of other kinds need not be kept in memory.
            raw += [one for one in some if not wanted or (one.key or b"")[:1] in wanted]
        self._source.reset(partition, Stand())
        planned = await asyncio.to_thread(self.plan, raw, frozenset((partition,)))
        await self.write(planned)
        # Rows behind the last position row come again.
        self._source.reset(partition, self._source.stand(partition))
        log.info("%s partition %d was read anew: %d records", self.topic, partition, planned.records)

    def _check_young(self) -> None:
        """Raises StoodStill when this process may have missed what was deleted from its compacted topic."""
        still_s = time.monotonic() - self._young_at_s
        if self._source.compacted and still_s > STALE_AFTER_S:
            raise StoodStill(f"app {self.app} wrote nothing for {still_s:.0f} s: {self.topic} must be read anew")

    async def _stands_already(self, planned: Planned) -> bool:
        """Whether a write of which the answer was lost has happened."""
        for write in planned.writes:
            found = await self.writer.read(write.view)
            for partition, (_, stand) in write.moves.items():
                if found.get(partition, (Stand(), 0.0))[0] != stand:
                    return False
        return True

    async def _prepare(self) -> None:
        """Tables, partitions of this week and the next ones, the log's identity."""
        await check_migrated(self._url)
        await install(self._url, self.views, indexes=self._indexes)
        if self._topic_id:
            await self.writer.identify(self.topic, self._topic_id)
        await self._weeks.create_ahead()

    async def _read(self, view: View) -> dict[int, tuple[Stand, float]]:
        return await self._patiently(lambda: self.writer.read(view))

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks the database until it answers."""
        delay_s = RETRY_FIRST_S
        while True:
            try:
                found = await ask()
                self._waiting_since = None
                return found
            except Unavailable as error:
                self._away(error)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_MAX_S)

    def _away(self, error: Unavailable) -> None:
        self.metrics.failures.inc()
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()
            log.warning("app %s waits for Postgres: %s", self.app, error)


def _events(record: SourceRecord) -> int:
    return record.value.count if isinstance(record.value, EventsRecord) else 1
