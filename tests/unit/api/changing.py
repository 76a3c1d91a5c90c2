"""Jobs of all partitions that change, the log of it in memory, and a history that lags: for tests of changed jobs."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.api.coordinates import Coordinates
from app.api.service.job_changes import JobChangesService
from app.api.tail.tail import Tail
from app.db.queries.job_changes import ChangedJobs
from app.db.queries.job_filter import JobFilter
from app.db.queries.job_records import JobRecord
from app.db.queries.reached import Reached
from app.domain.events import Block, Event, EventsRecord
from app.domain.lifecycle import EventKind, JobState
from app.domain.positions import Position
from app.log import codec
from app.log.topics import EVENTS
from tests.unit.api.memory_log import PARTITIONS, MemoryLog

COORDINATES = Coordinates("installation-of-tests")
STATES = (JobState.QUEUED, JobState.LEASED, JobState.PENDING, JobState.RUNNING)
QUEUES = tuple(f"q{number}" for number in range(PARTITIONS))


def job_id_of(partition: int, number: int) -> bytes:
    return bytes(6) + bytes([partition]) + bytes(7) + number.to_bytes(2, "big")


def record_of(job_id: bytes, state: JobState, position: Position) -> JobRecord:
    """A row of the history."""
    return JobRecord(
        job_id=job_id,
        queue=QUEUES[position.partition],
        incarnation=0,
        job_set="s",
        state=state,
        priority=0,
        priority_class="",
        preemptible=True,
        deadline_s=0,
        client_id=None,
        owner="",
        namespace="",
        labels={},
        annotations={},
        services="",
        ingresses="",
        external_uri=None,
        pools=(),
        gang=None,
        spec_id=bytes(16),
        cpu_milli=0,
        memory_bytes=0,
        storage_bytes=0,
        gpus=0,
        submitted_ms=0,
        last_transition_ms=0,
        attempt=0,
        run_id=None,
        cluster=None,
        node=None,
        pool=None,
        leased_ms=None,
        pending_ms=None,
        started_ms=None,
        finished_ms=None,
        exit_code=None,
        category=None,
        code=None,
        reason=None,
        requestor=None,
        position=position,
    )


@dataclass
class ChangingJobs:
    """Writes commands that change jobs; shows them in the history when told to. It is also the positions of views."""

    log: MemoryLog
    rows: dict[bytes, JobRecord] = field(default_factory=dict)
    commands: list[list[tuple[int, list[JobRecord], int]]] = field(
        default_factory=lambda: [[] for _ in range(PARTITIONS)]
    )
    """by partition: command offset, rows after it, offset of its last record"""
    shown: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    queries: int = 0
    turns: int = 1
    """how many turns of the loop a query takes: what is shown meanwhile is in its answer"""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _changes: int = 0

    def write(
        self, partition: int, jobs: Sequence[int], *, records: int = 1, kind: EventKind = EventKind.RUNNING
    ) -> None:
        """A command that moves these jobs on, in so many records."""
        offset = len(self.commands[partition])
        rows, events = [], []
        for ordinal, number in enumerate(jobs):
            job_id = job_id_of(partition, number)
            state = STATES[(offset + ordinal) % len(STATES)]
            if kind is not EventKind.CANCELLING:  # which changes no row
                rows.append(record_of(job_id, state, Position(partition, offset, ordinal)))
            events.append(
                Event(ordinal=ordinal, kind=kind, job_id=job_id, before=JobState.QUEUED, after=state, attempt=0)
            )
        cut = -(-len(events) // records) if events else 1
        parts = [events[at : at + cut] for at in range(0, len(events), cut)] or [[]]
        at = -1
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            block = Block(
                queue=QUEUES[partition], incarnation=0, job_set="s", count=len(part), body=codec.encode_events(part)
            )
            record = EventsRecord(
                offset=offset,
                first_ordinal=number * cut,
                count=len(part),
                last=is_last,
                log_time_ms=1_700_000_000_000 + offset,
                command="ReportRuns",
                blocks=(block,) if part else (),
            )
            at = self.log.append(EVENTS, partition, codec.encode(record), gap=int(is_last))
        self.commands[partition].append((offset, rows, at))

    def show(self, partition: int, count: int = 1) -> None:
        """The history takes so many commands more."""
        for _, rows, _ in self.commands[partition][self.shown[partition] : self.shown[partition] + count]:
            self.rows |= {row.job_id: row for row in rows}
        self.shown[partition] = min(self.shown[partition] + count, len(self.commands[partition]))
        self._changes += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def show_all(self) -> None:
        for partition in range(PARTITIONS):
            self.show(partition, len(self.commands[partition]))

    async def changed(self, wanted: JobFilter, ids: Sequence[bytes]) -> ChangedJobs:
        """As app.db.queries.job_changes does it, for filters by state."""
        self.queries += 1
        for _ in range(self.turns):
            await asyncio.sleep(0)
        rows = [self.rows[job_id] for job_id in sorted(ids) if job_id in self.rows]
        return ChangedJobs(
            matching=tuple(row for row in rows if not wanted.states or row.state in wanted.states),
            others=tuple(row for row in rows if wanted.states and row.state not in wanted.states),
        )

    async def stands(self) -> dict[int, Reached]:
        return {
            partition: Reached(
                partition=partition,
                position=shown - 1,
                next_ordinal=0,
                source_offset=self.commands[partition][shown - 1][2] if shown else -1,
                first_offset=0,
                log_time_ms=0,
            )
            for partition, shown in enumerate(self.shown)
        }

    def vector(self, view: str) -> dict[int, int]:
        return {partition: shown - 1 for partition, shown in enumerate(self.shown)}

    async def wait_change(self, view: str, seen: int, timeout_s: float) -> int:
        if self._changes == seen:
            changed = self._changed
            try:
                async with asyncio.timeout(timeout_s):
                    await changed.wait()
            except TimeoutError:
                pass
        return self._changes

    def service(
        self, tail: Tail, *, heartbeat_interval_s: float = 5.0, interval_s: float = 0.002, streams_max: int = 100
    ) -> JobChangesService:
        return JobChangesService(
            self,
            self,
            tail,
            COORDINATES,
            streams_max=streams_max,
            interval_s=interval_s,
            heartbeat_interval_s=heartbeat_interval_s,
        )
