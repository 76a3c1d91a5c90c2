"""The two requests that an executor keeps going (executor-api.md): reports up as soon as something changed, leases
down by long poll.

Each lane sends one request at a time, and the same one with the same sequence until it is answered.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from app.executor.answers import LogChangedError, Taken
from app.executor.exits import ExecutorExit, ExitCode
from app.executor.metrics import Metrics
from app.executor.protocol import SyncAnswer, SyncRequest
from app.executor.session import Session
from app.executor.sync_client import (
    AgainError,
    ReplacedError,
    RequestRefusedError,
    SyncError,
    TokenRefusedError,
    TooLargeError,
)

log = logging.getLogger(__name__)

_REFUSED_REPORT = re.compile(r"^reports\[(\d+)\]")
_REFUSED_RUN = re.compile(r"^runs\[(\d+)\]")
REPORTS_PER_REQUEST_MIN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneTimings:
    """Of both lanes, in ms. retry: after a request that nobody answered, doubling up to its maximum, with jitter."""

    reports_every_ms: int = 100
    heartbeat_every_ms: int = 5_000
    lease_wait_ms: int = 10_000
    retry_ms: int = 200
    retry_max_ms: int = 5_000
    token_retry_ms: int = 15_000
    full_hold_ms: int = 20_000
    """so long an answer for leases is held back for a full answer that is under way: taken first, it would make that
    one late"""


class Sender(Protocol):
    """Sends a request once; SyncClient, or what a test puts in its place."""

    async def send(self, request: SyncRequest) -> SyncAnswer: ...


@dataclass(slots=True)
class SyncStatus:
    """What readiness needs to know. trouble: why the last request was not answered, "" = it was."""

    answered: bool = False
    trouble: str = ""


class Lanes:
    """Both lanes of one session. wake: something was taken; now_ms: the executor's clock."""

    def __init__(
        self,
        session: Session,
        sender: Sender,
        *,
        timings: LaneTimings,
        metrics: Metrics,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
        rng: random.Random,
    ) -> None:
        self.status = SyncStatus()
        self._session = session
        self._sender = sender
        self._timings = timings
        self._metrics = metrics
        self._now_ms = now_ms
        self._wake = wake
        self._rng = rng
        self._news = asyncio.Event()
        self._no_full_under_way = asyncio.Event()
        self._no_full_under_way.set()
        self._answered = asyncio.Event()
        self._said_s = float("-inf")

    def news(self) -> None:
        """There is something to report."""
        self._news.set()

    async def run_reports(self) -> None:
        """The reports lane, for ever. Raises ExecutorExit."""
        while True:
            request = self._session.reports_request(self._now_ms())
            sent_s = time.monotonic()
            if request.runs is not None:
                self._no_full_under_way.clear()
            try:
                await self._exchange("reports", request)
            finally:
                if request.runs is not None:
                    self._no_full_under_way.set()
            self._metrics.sync_seconds.observe(time.monotonic() - sent_s)
            await asyncio.sleep(self._timings.reports_every_ms / 1_000)
            if not self._session.has_news(self._now_ms()):
                self._news.clear()
                await _wait(self._news.wait(), self._timings.heartbeat_every_ms)

    async def run_leases(self) -> None:
        """The leases lane, for ever, from the first answer of the other one on. Raises ExecutorExit."""
        await self._answered.wait()
        while True:
            request = self._session.leases_request(self._now_ms(), self._timings.lease_wait_ms)
            began_s = time.monotonic()
            taken = await self._exchange("leases", request, hold_for_full=True)
            if taken is None or not (taken.leases or taken.stops):
                # An API that does not wait (its views are away) must not be asked without pause.
                spent_ms = (time.monotonic() - began_s) * 1_000
                await asyncio.sleep(max(self._timings.retry_ms - spent_ms, 0) / 1_000)

    async def _exchange(self, lane: str, request: SyncRequest, *, hold_for_full: bool = False) -> Taken | None:
        """Sends until it is answered, and takes the answer. None: the request is given up, a new one is to be made."""
        retry_ms = self._timings.retry_ms
        while True:
            try:
                answer = await self._sender.send(request)
            except AgainError as error:
                self._metrics.syncs.labels(lane, "again").inc()
                self._say(str(error))
                wait_ms = max(retry_ms * self._rng.uniform(0.5, 1.0), error.after_s * 1_000)
                retry_ms = min(2 * retry_ms, self._timings.retry_max_ms)
                await asyncio.sleep(wait_ms / 1_000)
                continue
            except SyncError as error:
                self._metrics.syncs.labels(lane, "refused").inc()
                await self._refused(request, error)
                return None
            self._metrics.syncs.labels(lane, "answered").inc()
            if hold_for_full:
                await _wait(self._no_full_under_way.wait(), self._timings.full_hold_ms)
            return self._take(request, answer)

    def _take(self, request: SyncRequest, answer: SyncAnswer) -> Taken:
        try:
            taken = self._session.take_answer(request, answer, self._now_ms())
        except LogChangedError as error:
            raise ExecutorExit(ExitCode.LOG_CHANGED, str(error)) from None
        if self.status.trouble:
            log.info("the API answers again")
        self.status.answered, self.status.trouble = True, ""
        self._answered.set()
        self._wake()
        return taken

    async def _refused(self, request: SyncRequest, error: SyncError) -> None:
        """What follows from a refusal: leave, wait, or say less."""
        match error:
            case ReplacedError():
                raise ExecutorExit(ExitCode.REPLACED, f"this executor was replaced: {error}")
            case TokenRefusedError():
                self._say(f"the API refuses this executor's token for cluster {request.cluster}: {error}")
                await asyncio.sleep(self._timings.token_retry_ms / 1_000)
            case TooLargeError():
                half = max(self._session.reports_per_request // 2, REPORTS_PER_REQUEST_MIN)
                self._session.reports_per_request = half
                self._say(f"the request was too large, at most {half} reports from now on")
                await asyncio.sleep(self._timings.retry_ms / 1_000)
            case RequestRefusedError():
                self._drop_refused(request, error)
                await asyncio.sleep(self._timings.retry_ms / 1_000)
            case _:
                self._say(str(error))
                await asyncio.sleep(self._timings.retry_max_ms / 1_000)

    def _drop_refused(self, request: SyncRequest, error: RequestRefusedError) -> None:
        indexes = {int(found[1]) for path, _ in error.errors if (found := _REFUSED_REPORT.match(path))}
        dropped = self._session.drop_refused(request, indexes)
        for report in dropped:
            log.error("the API does not understand a report, it is dropped: run %s %s", report.run_id, report.state)
        if any(_REFUSED_RUN.match(path) for path, _ in error.errors):
            log.error("the API does not understand what is held: %s", error)
        elif not dropped:
            self._say(f"the API does not understand a request: {error}")
        if request.nodes is not None:
            self._session.nodes.ask()

    def _say(self, trouble: str) -> None:
        """One line when it begins or changes, and once a minute."""
        now_s = time.monotonic()
        if trouble != self.status.trouble or now_s - self._said_s >= 60.0:
            log.warning("%s", trouble)
            self._said_s = now_s
        self.status.trouble = trouble


async def _wait(awaitable: Awaitable[object], timeout_ms: int) -> None:
    try:
        async with asyncio.timeout(timeout_ms / 1_000):
            await awaitable
    except TimeoutError:
        return
