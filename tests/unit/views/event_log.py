"""A log made by the domain itself: random commands of every verb are decided, and stand as raw records of argosy.events
and argosy.state. Seeded; with the rows that deciding left, so that a test can fold them its own way.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from app.domain.apply import head_of
from app.domain.commands import (
    BeginEpoch,
    BeginInstance,
    CancelJobs,
    CancelJobSet,
    Command,
    Continue,
    CreateQueues,
    ExpireKind,
    ExpireRuns,
    Expiry,
    Gang,
    JobItem,
    Lease,
    LeaseJobs,
    Preemption,
    PreemptReason,
    PreemptRuns,
    Principal,
    QueueSpec,
    Rejection,
    RejectJobs,
    Report,
    ReportRuns,
    ReportState,
    RunPosition,
    ShapeRef,
    Spec,
    SubmitJobs,
)
from app.domain.decide import decide
from app.domain.events import Event, EventsRecord
from app.domain.ids import call_prefix, job_id, ulid
from app.domain.lifecycle import JobState
from app.domain.memory import MemoryState
from app.domain.records import records_of
from app.domain.rows import FLAG_PREEMPTIBLE, POSITION_KEY, JobRow, PositionRow, job_key
from app.domain.state import Overlay
from app.log.codec import encode, encode_events
from app.views.source import RawRecord

ADMIN = Principal(user="admin", verbs=("create_queue", "submit_any_jobs", "cancel_any_jobs"))
CLUSTERS = ("c0", "c1", "c2")
START_MS = 1_790_000_000_000
SPECS = tuple(Spec(spec_id=bytes([number]) * 16, body=b"spec %d" % number * 20) for number in range(5))


@dataclass(slots=True)
class LiveJob:
    """What the driver of the log remembers of a job that has not ended."""

    job_id: bytes
    state: JobState
    attempt: int
    run_id: bytes | None = None
    cluster: str = ""
    node: str = ""
    gang: tuple[int, str, int] | None = None
    """incarnation of the queue, gang, generation"""
    preemptible: bool = False
    place: tuple[int, int] = (-1, -1)
    """offset and ordinal of its LEASED event"""


@dataclass(slots=True)
class PartitionLog:
    """One partition: its state, its records, its live jobs."""

    partition: int
    queues: tuple[str, ...]
    state: MemoryState = field(default_factory=MemoryState)
    offset: int = -1
    live: dict[bytes, LiveJob] = field(default_factory=dict)
    stopping: dict[bytes, LiveJob] = field(default_factory=dict)
    events: list[RawRecord] = field(default_factory=list)
    rows: list[RawRecord] = field(default_factory=list)
    records: list[EventsRecord] = field(default_factory=list)
    decided: list[tuple[int, int, str, str, Event]] = field(default_factory=list)
    """offset, log time, queue, job set, event"""


class EventLog:
    """`partitions` partitions with two queues each. `run(n)` decides n commands and returns the raw events records."""

    def __init__(self, seed: int, partitions: int = 3, *, step_ms: int = 40) -> None:
        self.random = random.Random(seed)
        self.time_ms = START_MS
        self.step_ms = step_ms
        self.partitions = [PartitionLog(p, (f"queue-{p}-a", f"queue-{p}-b")) for p in range(partitions)]
        for log in self.partitions:
            self.decide(log, CreateQueues(principal=ADMIN, queues=tuple(QueueSpec(name=name) for name in log.queues)))
            self.decide(log, BeginEpoch(epoch=1, leader="test"))
            for cluster in CLUSTERS:
                self.decide(log, BeginInstance(cluster=cluster, instance=b"i" * 16))

    @property
    def events(self) -> list[RawRecord]:
        """All raw records of argosy.events, partition by partition."""
        return [raw for log in self.partitions for raw in log.events]

    def run(self, commands: int) -> list[RawRecord]:
        """Decides random commands; the new raw records, partitions mingled as a consumer would get them."""
        out: list[RawRecord] = []
        for _ in range(commands):
            log = self.random.choice(self.partitions)
            before = len(log.events)
            self.decide(log, self._command(log))
            out += log.events[before:]
        return out

    def decide(self, log: PartitionLog, command: Command) -> list[EventsRecord]:
        """One command as one step."""
        log.offset += 1
        self.time_ms += self.random.randrange(self.step_ms)
        overlay = Overlay(log.state)
        decision = decide(overlay, command, log.partition, log.offset, self.time_ms)
        overlay.keep()
        name = type(command).__name__
        records = records_of(
            decision, offset=log.offset, log_time_ms=self.time_ms, command=name, encode_events=encode_events
        )
        for key, row in overlay.changed.items():
            if key != POSITION_KEY:
                self._append(log.rows, log, key, b"" if row is None else encode(row))
        log.state.commit(overlay, log.offset, self.time_ms)
        position = log.state.rows[POSITION_KEY]
        assert isinstance(position, PositionRow)
        self._append(log.rows, log, POSITION_KEY, encode(position), marker=True)
        for record in records:
            self._append(log.events, log, b"", encode(record), marker=record.last)
        log.records += records
        for job_set, event in decision.events:
            log.decided.append((log.offset, self.time_ms, job_set.queue, job_set.job_set, event))
            self._remember(log, event)
            self._remember_row(log, event.job_id)
        for stop in decision.stops:
            if stop.gone:
                log.stopping.pop(stop.run_id, None)
            else:
                log.stopping[stop.run_id] = LiveJob(
                    stop.job_id, JobState.RUNNING, stop.attempt, stop.run_id, stop.cluster
                )
        return records

    def _append(
        self, to: list[RawRecord], log: PartitionLog, key: bytes, value: bytes, *, marker: bool = False
    ) -> None:
        offset = to[-1].offset + 1 if to else 0
        # Where a transaction ended its marker has taken an offset.
        if to and to[-1].timestamp_ms != self.time_ms:
            offset += 1
        to.append(RawRecord(log.partition, offset, key, value, self.time_ms))

    def _remember(self, log: PartitionLog, event: Event) -> None:
        if event.terminal:
            log.live.pop(event.job_id, None)
            return
        job = log.live.setdefault(event.job_id, LiveJob(event.job_id, event.after, event.attempt))
        job.state, job.attempt = event.after, event.attempt
        if event.after is JobState.QUEUED:
            job.run_id = None
        elif event.run_id is not None:
            job.run_id, job.cluster, job.node = event.run_id, event.cluster or "", event.node or ""

    def _remember_row(self, log: PartitionLog, job_id: bytes) -> None:
        """What the events do not say."""
        job, row = log.live.get(job_id), log.state.row(job_key(job_id))
        if job is None or not isinstance(row, JobRow):
            return
        head = head_of(row)
        job.preemptible = bool(head.flags & FLAG_PREEMPTIBLE)
        job.place = (head.leased_offset, head.leased_ordinal)
        gang = row.more.gang if row.more is not None else None
        job.gang = (row.incarnation, gang.gang_id, gang.generation) if gang is not None else None

    def _command(self, log: PartitionLog) -> Command:
        weights: dict[Callable[[PartitionLog], Command], int] = {
            self.submit: 20,
            self.lease: 22,
            self.report: 40,
            self._cancel: 4,
            self._cancel_set: 2,
            self._expire: 6,
            self._preempt: 5,
            self._reject: 3,
            self._continue: 6,
        }
        make = self.random.choices(list(weights), list(weights.values()))[0]
        return make(log)

    def submit(self, log: PartitionLog, count: int | None = None, *, texts: str = "") -> SubmitJobs:
        """A call of up to 12 jobs; `texts` goes into every text that a user may write."""
        rnd = self.random
        gang = self._gang() if count is None and rnd.random() < 0.5 else None
        count = count or (
            rnd.choice((1, gang.cardinality, gang.cardinality)) if gang is not None else rnd.randrange(1, 12)
        )
        prefix = call_prefix(self.time_ms, log.partition, rnd.getrandbits(56))
        jobs = tuple(
            JobItem(
                job_id=job_id(prefix, index),
                spec=rnd.randrange(len(SPECS)),
                shape=0,
                namespace=rnd.choice(("default", "batch")) + texts,
                priority=rnd.randrange(5),
                priority_class=rnd.choice(("argosy-default", "argosy-preemptible")) if gang is None else "gangs",
                preemptible=bool(rnd.randrange(2)),
                deadline_s=rnd.randrange(3) * 600,
                client_id=f"client-{rnd.randrange(200)}{texts}" if rnd.random() < 0.3 else None,
                labels={"app": "trainer", "note": texts},
                annotations={"example.com/stage": rnd.choice(("train", "eval")), "example.com/text": "x=" + texts},
                external_uri="https://example.com/1" if rnd.random() < 0.1 else None,
                gang=gang,
            )
            for index in range(count)
        )
        return SubmitJobs(
            principal=Principal(user=f"user{rnd.randrange(3)}{texts}", groups=("g",), verbs=ADMIN.verbs),
            queue=rnd.choice(log.queues),
            job_set=f"set-{rnd.randrange(4)}{texts}",
            specs=SPECS,
            shapes=(ShapeRef(shape_hash=b"h" * 16, cpu_milli=1500, memory_bytes=1 << 30, storage_bytes=0, gpus=1),),
            jobs=jobs,
        )

    def _gang(self) -> Gang:
        """One of 40 gangs; what its members must agree on follows from its name."""
        number = self.random.randrange(40)
        return Gang(
            gang_id=f"gang-{number}",
            cardinality=2 + number % 3,
            uniformity_label="zone" if number % 5 == 0 else None,
            fail_fast=number % 2 == 0,
        )

    def lease(self, log: PartitionLog, share: float = 0.5) -> LeaseJobs:
        """Leases for about this share of the queued jobs, of gangs mostly for all members; some displace others."""
        rnd = self.random
        waiting = [job for job in log.live.values() if job.state is JobState.QUEUED]
        queued = [job for job in waiting if rnd.random() < share]
        if rnd.random() < 0.9:
            gangs = {job.gang for job in queued if job.gang is not None and rnd.random() < 0.8}
            queued = [job for job in waiting if job.gang in gangs or (job.gang is None and job in queued)]
        active = [job for job in log.live.values() if job.run_id is not None]
        leases = []
        for job in queued:
            cluster = rnd.choice(CLUSTERS)
            run_id = ulid(self.time_ms, rnd.getrandbits(80))
            node = f"{cluster}-n{rnd.randrange(20)}"
            leases.append(
                Lease(
                    job_id=job.job_id,
                    run_id=run_id,
                    attempt=job.attempt,
                    cluster=cluster,
                    node=node,
                    pool="default",
                    scheduled_at_priority=0,
                    displaced=tuple(
                        RunPosition(
                            run_id=other.run_id or b"",
                            partition=log.partition,
                            offset=other.place[0],
                            ordinal=other.place[1],
                        )
                        for other in rnd.sample(active, min(len(active), rnd.choice((0, 0, 0, 1, 3))))
                    ),
                )
            )
        return LeaseJobs(epoch=1, round_id=b"r" * 16, leases=tuple(leases))

    def report(self, log: PartitionLog, share: float = 0.6, *, texts: str = "") -> ReportRuns:
        """A next level for about this share of the runs, last words for some that are stopping."""
        rnd = self.random
        reports = []
        for job in log.live.values():
            if job.run_id is None or rnd.random() > share:
                continue
            level = {JobState.LEASED: 0, JobState.PENDING: 1, JobState.RUNNING: 2}[job.state]
            word = rnd.choice(
                (ReportState.PENDING, ReportState.RUNNING, ReportState.SUCCEEDED)[level:]
                + (ReportState.FAILED, ReportState.RETURNED, ReportState.SUCCEEDED)[: rnd.randrange(4)]
            )
            reports.append(self._report(job, word, texts))
        reports += [self._report(run, ReportState.GONE, texts) for run in log.stopping.values() if rnd.random() < 0.5]
        return ReportRuns(reports=tuple(reports))

    def _report(self, job: LiveJob, state: ReportState, texts: str) -> Report:
        assert job.run_id is not None
        failed = state in (ReportState.FAILED, ReportState.RETURNED)
        return Report(
            cluster=job.cluster,
            instance=b"i" * 16,
            job_id=job.job_id,
            run_id=job.run_id,
            attempt=job.attempt,
            state=state,
            time_ms=self.time_ms - 5,
            node=job.node,
            pod="argosy-x",
            namespace="default",
            exit_code=self.random.choice((1, 137)) if state is ReportState.FAILED else None,
            reason="OOMKilled" if failed else None,
            message=f"container main exited {texts}" if failed else None,
            category="oom" if failed else None,
            attempted=self.random.random() < 0.7,
            containers='[{"name":"main"}]' if failed else "",
        )

    def _cancel(self, log: PartitionLog) -> CancelJobs:
        ids = [job for job in log.live if self.random.random() < 0.1]
        return CancelJobs(principal=ADMIN, job_ids=tuple(ids), reason="no longer needed")

    def _cancel_set(self, log: PartitionLog) -> CancelJobSet:
        job_set = f"set-{self.random.randrange(4)}"
        return CancelJobSet(principal=ADMIN, queue=self.random.choice(log.queues), job_set=job_set)

    def _expire(self, log: PartitionLog) -> ExpireRuns:
        rnd = self.random
        expiries = []
        for job in log.live.values():
            if rnd.random() < 0.05:
                kinds = list(ExpireKind) if job.run_id is not None else [ExpireKind.AGED]
                expiries.append(
                    Expiry(job_id=job.job_id, run_id=job.run_id, attempt=job.attempt, kind=rnd.choice(kinds))
                )
        return ExpireRuns(epoch=1, expiries=tuple(expiries))

    def _preempt(self, log: PartitionLog) -> PreemptRuns:
        rnd = self.random
        items = tuple(
            Preemption(
                job_id=job.job_id,
                run_id=job.run_id,
                attempt=job.attempt,
                reason=rnd.choice(list(PreemptReason)),
                by_job=rnd.choice(list(log.live)) if rnd.random() < 0.7 else None,
                message="made room" if rnd.random() < 0.5 else "",
            )
            for job in log.live.values()
            if job.run_id is not None and rnd.random() < (0.15 if job.preemptible else 0.02)
        )
        return PreemptRuns(epoch=1, preemptions=items)

    def _reject(self, log: PartitionLog) -> RejectJobs:
        items = tuple(
            Rejection(
                job_id=job.job_id, attempt=job.attempt, reason_code="FitsNowhere", reason="needs 9 GPUs, a node has 8"
            )
            for job in log.live.values()
            if self.random.random() < (0.05 if job.state is JobState.QUEUED else 0.01)
        )
        return RejectJobs(epoch=1, rejections=items)

    def _continue(self, log: PartitionLog) -> Continue:
        return Continue()
