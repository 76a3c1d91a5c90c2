"""The Faust side of a view process: the records of the partitions that it owns, gathered over all of them, handed to
whoever writes them (app.views.runner), and acknowledged when they stand in the database.

Inputs: options, a `ViewWriting`. Output: an exit code (app.streams.exits). The group decides which process reads which
partition; the position in the database decides where, and guards what may be written.
"""

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from faust.worker import Worker
from mode import Service
from prometheus_client import CollectorRegistry

from app.health import HealthServer
from app.log.reader import Record
from app.streams.app import App
from app.streams.claims import Claim, Source
from app.streams.exits import Exit, leave
from app.streams.resumption import Resumption

log = logging.getLogger(__name__)

IN_HAND_BYTES_MAX = 48 << 20
"""fetched and not yet written, over all partitions"""
HAUL_RECORDS_MAX = 5_000
BYTES_PER_EVENT = 200
TOUCH_EVERY_S = 60.0
NOT_BEGUN = 0
NEVER_S = 10.0 * 365 * 24 * 3600


class ViewWriting(Protocol):
    """What a view process does with records: app.views.runner.ViewRunner."""

    @property
    def app(self) -> str: ...

    @property
    def topic(self) -> str: ...

    @property
    def wanted_keys(self) -> frozenset[bytes]: ...

    def troubles(self) -> list[str]: ...

    async def begin(self, partition: int) -> int: ...

    async def touch(self) -> None: ...

    async def run(self, hauls: AsyncIterator["Haul"]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """What a view process needs to know. events_max: about so many events in one transaction; linger_ms: how soon one
    may follow another."""

    bootstrap: str
    partitions: int
    topic_ids: dict[str, str]
    directory: Path
    instance: str
    health_host: str = "127.0.0.1"
    health_port: int = 0
    session_timeout_s: float = 10.0
    events_max: int = 20_000
    linger_ms: int = 20


class ViewClaim(Resumption):
    """A partition of the view's topic; all of a process share one bound on what is in hand."""

    def __init__(
        self, source: Source, begin: Callable[[int], Awaitable[int]], stock: "Stock", wanted_keys: frozenset[bytes]
    ) -> None:
        self._over = asyncio.Event()
        self._stock = stock
        self._wanted_keys = wanted_keys
        super().__init__(source, lambda partition: self._begin_unless_over(begin, partition))

    @property
    def hungry(self) -> bool:
        return not self._stock.closed and super().hungry and self._stock.bytes_in_hand < IN_HAND_BYTES_MAX

    def sift(self, records: list[Any]) -> list[Any]:
        wanted = self._wanted_keys
        return [record for record in records if (record.key or b"")[:1] in wanted] if wanted else records

    def given(self, records: list[Any]) -> None:
        super().given(records)
        self._stock.bytes_in_hand += sum(len(record.value or b"") for record in records)

    async def _begin_unless_over(self, begin: Callable[[int], Awaitable[int]], partition: int) -> int:
        """The database may be away for long; giving the partition up must not wait for it."""
        beginning = asyncio.ensure_future(begin(partition))
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait({beginning, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if beginning.done():
            return beginning.result()
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        return NOT_BEGUN

    async def end(self) -> None:
        self._over.set()
        await super().end()
        # What was given to Faust and not taken into a haul comes to nobody any more.
        self._stock.bytes_in_hand -= self.in_hand_bytes


class Haul:
    """Records of one or more partitions, in order within each; the claims they came under."""

    def __init__(self, stock: "Stock", taken: list[tuple[Claim, Any]]) -> None:
        self._stock = stock
        self._taken = taken
        self._claims = {id(claim): claim for claim, _ in taken}
        self.records: Sequence[Record] = [_read(event.message) for _, event in taken]
        for claim in self._claims.values():
            stock.busy(claim)

    def live(self) -> bool:
        """Whether the partitions are still this process's own."""
        return all(claim.live for claim in self._claims.values())

    def done(self, written: bool) -> None:
        """Acknowledges what was written; either way the partitions may be given up from here on."""
        self._stock.bytes_in_hand -= sum(len(record.value or b"") for record in self.records)
        if written:
            for claim, event in self._taken:
                assert isinstance(claim, Resumption)
                claim.done(event.message.offset)
                event.ack()
        for claim in self._claims.values():
            self._stock.idle(claim)


class Stock:
    """What was received and is not written, over all partitions; iterated by whoever writes."""

    def __init__(self, options: ViewOptions) -> None:
        self.bytes_in_hand = 0
        self.closed = False
        self._bytes_max = options.events_max * BYTES_PER_EVENT
        self._linger_s = options.linger_ms / 1000
        self._waiting: dict[int, Claim] = {}
        self._hauls: Counter[int] = Counter()
        self._wake = asyncio.Event()
        self._last = 0.0

    def received(self, event: Any) -> None:
        """The agent got a record."""
        claim: Claim = event.message.claim
        claim.received(event)
        if claim.backlog:
            self._waiting[id(claim)] = claim
            self._wake.set()

    def busy(self, claim: Claim) -> None:
        self._hauls[id(claim)] += 1
        claim.idle.clear()

    def idle(self, claim: Claim) -> None:
        self._hauls[id(claim)] -= 1
        if self._hauls[id(claim)] <= 0:
            del self._hauls[id(claim)]
            claim.idle.set()

    def __aiter__(self) -> "Stock":
        return self

    async def __anext__(self) -> Haul:
        """What is there, as soon as something is; transactions follow each other no faster than the linger time."""
        while True:
            await self._wake.wait()
            left_s = self._last + self._linger_s - time.monotonic()
            if left_s > 0:
                await asyncio.sleep(left_s)
            self._last = time.monotonic()
            taken = self._take()
            if taken:
                return Haul(self, taken)

    def _take(self) -> list[tuple[Claim, Any]]:
        """From each partition in turn, so that none starves, up to the bounds (one record may always be taken)."""
        taken: list[tuple[Claim, Any]] = []
        size = 0
        while self._waiting and len(taken) < HAUL_RECORDS_MAX and size < self._bytes_max:
            for number, claim in list(self._waiting.items()):
                if not claim.live or not claim.backlog:
                    del self._waiting[number]
                    continue
                event = claim.backlog.popleft()
                claim.took(event)
                size += len(event.message.value or b"")
                taken.append((claim, event))
        if not self._waiting:
            self._wake.clear()
        return taken


def make_app(options: ViewOptions, writing: ViewWriting, stock: Stock) -> App:
    """The application: one agent, that only receives."""
    app = App(
        f"argosy-view-{writing.app}",
        bootstrap=options.bootstrap,
        directory=options.directory,
        instance=options.instance,
        partitions=options.partitions,
        topic_ids=options.topic_ids,
        read_committed=True,
        session_timeout_s=options.session_timeout_s,
        # Faust holds a partition that ends with a transaction's marker, or an app that stands before a record, for
        # stuck, and says so every second; readiness and the lag are ours to tell.
        broker_commit_livelock_soft_timeout=NEVER_S,
        stream_processing_timeout=NEVER_S,
    )
    app.claims.make_with(writing.topic, lambda source: ViewClaim(source, writing.begin, stock, writing.wanted_keys))

    @app.agent(app.bytes_topic(writing.topic), name=f"view-{writing.app}", concurrency=1)  # type: ignore[untyped-decorator]  # Faust has no types
    async def receive(stream: Any) -> None:
        async for event in stream.noack().events():
            stock.received(event)

    @app.timer(TOUCH_EVERY_S, name="touch")  # type: ignore[untyped-decorator]  # Faust has no types
    async def touch() -> None:
        if app.claims.assigned and not app.troubles():
            try:
                await writing.touch()
            except Exception as error:
                leave(Exit.FAILED, f"app {writing.app}: {error}", error)

    return app


class WriterService(Service):  # type: ignore[misc]  # mode has no types
    """Writes what the agent received, and serves health, inside the application's event loop."""

    def __init__(
        self,
        app: App,
        options: ViewOptions,
        writing: ViewWriting,
        stock: Stock,
        registry: CollectorRegistry,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._app, self._writing, self._stock = app, writing, stock
        self._server = HealthServer(options.health_host, options.health_port, self._troubles, registry)
        self._task: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        await self._server.start()
        self._task = asyncio.create_task(self._write(), name="view-writer")

    async def on_stop(self) -> None:
        if self._task is not None:
            # The batch in hand is in one transaction: it is written or it is not.
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._server.stop()

    def _troubles(self) -> list[str]:
        return [*self._writing.troubles(), *self._app.troubles()]

    async def _write(self) -> None:
        try:
            await self._writing.run(self._stock)
        except Exception as error:
            leave(Exit.FAILED, f"app {self._writing.app} cannot write: {error}", error)
        # It stands before a record that it cannot take: the process stays, and its health says so.
        self._stock.closed = True


def run(options: ViewOptions, writing: ViewWriting, registry: CollectorRegistry) -> NoReturn:
    """Never returns: exits with 0 after SIGTERM or SIGINT, else with a code of app.streams.exits."""
    stock = Stock(options)
    app = make_app(options, writing, stock)
    Worker(
        app,
        WriterService(app, options, writing, stock, registry),
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
        workdir=Path.cwd(),
        loglevel="INFO",
    ).execute_from_commandline()
    sys.exit(0)


def _read(message: Any) -> Record:
    timestamp_ms = round((message.timestamp or 0) * 1000)
    return Record(message.partition, message.offset, message.key, message.value, timestamp_ms)
