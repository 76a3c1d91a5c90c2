"""An API of a few lines for tests of the executor's process: it gives leases, takes reports, and remembers what was
said."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from app.executor.cursor import ORDINAL_MAX, Cursor
from app.executor.protocol import FINISHED, LAST_WORDS, Lease, ReportedJob, ReportState, Stop, SyncAnswer, SyncRequest
from tests.unit.executor.builders import LOG, a_lease


@dataclass(slots=True)
class ApiRun:
    """A run in the view. at: offset of what is told of it last."""

    lease: Lease
    state: str
    at: int
    words: list[ReportState] = field(default_factory=list)
    reason: str = "cancelled"


class SmallApi:
    """Implements Sender. errors: raised instead of the next answers, one each."""

    def __init__(self) -> None:
        self.offset = 0
        self.runs: dict[str, ApiRun] = {}
        self.errors: list[Exception] = []
        self.requests: list[SyncRequest] = []
        self.nodes: set[str] = set()
        self.known = True
        self._news = asyncio.Event()

    def lease(self, number: int, **more: Any) -> None:
        """A run of job `number` is leased."""
        self.offset += 1
        lease = a_lease(number, offset=self.offset, **more)
        self.runs[lease.run_id] = ApiRun(lease, "leased", self.offset)
        self._news.set()

    def stop(self, run_id: str) -> None:
        """The run is cancelled."""
        self.offset += 1
        run = self.runs[run_id]
        run.state, run.at = "stopping", self.offset
        self._news.set()

    def states(self) -> dict[str, int]:
        """state -> how many runs."""
        states = [run.state for run in self.runs.values()]
        return {state: states.count(state) for state in set(states)}

    async def send(self, request: SyncRequest) -> SyncAnswer:
        self.requests.append(request)
        await asyncio.sleep(0.001)
        if self.errors:
            raise self.errors.pop(0)
        for report in (*request.reports, *(request.runs or ())):
            self._take(report.run_id, report.state)
        if request.nodes is not None:
            self.nodes |= {node.name for node in request.nodes.changed}
        if request.wait_ms:
            self._news.clear()
            if not self._answer(request).leases and not self._answer(request).stops:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(request.wait_ms, 200) / 1_000):
                        await self._news.wait()
        return self._answer(request)

    def _take(self, run_id: str, state: ReportState) -> None:
        run = self.runs[run_id]
        if not run.words or run.words[-1] is not state:
            run.words.append(state)
        if state in LAST_WORDS:
            if run.state != "gone":
                stopped = run.state == "stopping"
                self.offset += 1
                run.state, run.at, run.reason = "gone", self.offset, "cancelled" if stopped else FINISHED
                self._news.set()
        elif run.state == "leased":
            run.state = "reported"

    def _answer(self, request: SyncRequest) -> SyncAnswer:
        full = request.runs is not None
        taken = request.lease_cursor.positions if request.lease_cursor else {}
        since = -1 if full else taken.get(0, (-1, -1))[0]
        runs = self.runs.items()
        reported = [(run_id, run) for run_id, run in runs if run.state == "reported" and full]
        stops = [(run_id, run) for run_id, run in runs if run.state == "stopping" and run.at > since]
        if not full:
            stops += [(run_id, run) for run_id, run in runs if run.state == "gone" and run.at > since]
        return SyncAnswer(
            sequence=request.sequence,
            leases=tuple(run.lease for _, run in runs if run.state == "leased" and run.at > since),
            reported=tuple(run_id for run_id, _ in reported),
            reported_jobs=tuple(ReportedJob(job_id=run.lease.job_id, attempt=0) for _, run in reported),
            stops=tuple(
                Stop(job_id=run.lease.job_id, run_id=run_id, attempt=0, reason=run.reason) for run_id, run in stops
            ),
            lease_cursor=Cursor(LOG, {0: (self.offset, ORDINAL_MAX)}),
            leases_known=self.known,
        )
