"""A log as a busy installation writes it, made directly as records of argosy.events: input of the benchmark of views.

Calls of 100 jobs of one job set, 20 % of the calls with own specs, five annotations of which one is unique; leases by
50, reports by about 30 over the job sets of a queue; 3 % of first runs return, 4 % fail, 2 % are cancelled, 1 %
preempted.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import zstandard

from app.domain.commands import Spec
from app.domain.events import Block, Event, EventsRecord, JobData, LeaseData, Outcome, StopData, StopReason
from app.domain.ids import call_prefix, job_id, ulid
from app.domain.lifecycle import EventKind, JobState
from app.log.codec import encode, encode_events
from app.views.source import RawRecord

CALL_JOBS = 100
OWN_SPECS_SHARE = 0.2
LEASES_PER_RECORD = 50
REPORTS_PER_RECORD = 30
QUEUES, SETS_PER_QUEUE, NODES, OWNERS, NAMESPACES = 10, 20, 10_000, 300, 60
RARE = 0.0005
"""the share of calls with values that few jobs have"""
CLASSES = ("argosy-default", "argosy-high", "argosy-preemptible")
FAILURES = (
    ("application", "ContainerFailed", 1),
    ("application", "OOMKilled", 137),
    ("infrastructure", "NodeLost", 143),
    ("limits", "DeadlineExceeded", 124),
)

SPEC = {
    "containers": [
        {
            "name": "main",
            "image": "registry.example.com/team/trainer:2026.11.3",
            "command": ["python", "-m", "train"],
            "args": ["--config", "/etc/cfg/base.yaml", "--seed", "@", "--epochs", "30"],
            "env": [
                {"name": f"ENV_{name}", "value": f"value-of-{name}-{index * 7919}"}
                for index, name in enumerate(
                    ("HOME_DIR", "DATASET", "BUCKET", "REGION", "LOGLEVEL", "TRACE", "MODEL", "OPTIM")
                )
            ],
            "resources": {"requests": {"cpu": "4", "memory": "16Gi"}, "limits": {"cpu": "4", "memory": "16Gi"}},
            "volumeMounts": [{"name": "cfg", "mountPath": "/etc/cfg"}, {"name": "scratch", "mountPath": "/scratch"}],
        }
    ],
    "volumes": [{"name": "cfg", "configMap": {"name": "cfg"}}, {"name": "scratch", "emptyDir": {"sizeLimit": "8Gi"}}],
    "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
    "terminationGracePeriodSeconds": 30,
    "restartPolicy": "Never",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
}
SPEC_TEXT = json.dumps(SPEC, separators=(",", ":"))


@dataclass(slots=True)
class Job:
    """A job that has not ended."""

    job_id: bytes
    job_set: str
    attempt: int = 0
    run_id: bytes = b""
    cluster: str = ""
    node: str = ""


@dataclass(slots=True)
class Queue:
    """A queue, its jobs by state, and the offsets of its partition."""

    name: str
    partition: int
    queued: list[Job] = field(default_factory=list)
    leased: list[Job] = field(default_factory=list)
    pending: list[Job] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)

    @property
    def active(self) -> int:
        return len(self.leased) + len(self.pending) + len(self.running)


class BusyLog:
    """`records(events)` gives raw records. lag: about so many jobs wait in each queue; time goes by `call_ms` a
    call."""

    def __init__(self, *, seed: int, start_ms: int, lag: int, call_ms: int, partitions: int = 4) -> None:
        self.random = random.Random(seed)
        self.time_ms = start_ms
        self.lag = lag
        self.call_ms = call_ms
        self.finished = 0
        self.events = 0
        self._offsets = [-1] * partitions
        self._queues = [Queue(f"team-{number:02d}-batch", number % partitions) for number in range(QUEUES)]
        self._weights = [1 / (number + 1) for number in range(QUEUES)]
        self._namespaces = [f"team-{number:02d}" for number in range(NAMESPACES)]
        self._namespace_weights = [1 / (number + 1) for number in range(NAMESPACES)]
        self._sets = [f"nightly-2026-11-{number:02d}-{seed:06d}" for number in range(SETS_PER_QUEUE)]
        self._nodes = [(f"cluster-{n % 20:02d}", f"c{n % 20:02d}-node-{n:05d}.internal") for n in range(NODES)]
        self._zstd = zstandard.ZstdCompressor(level=3)

    def records(self, events: int) -> Iterator[RawRecord]:
        """At least so many events, a whole number of rounds."""
        until = self.events + events
        while self.events < until:
            yield from self._round()

    def _round(self) -> Iterator[RawRecord]:
        rnd = self.random
        chosen = rnd.choices(self._queues, self._weights)[0]
        yield self._submit(chosen)
        for queue in (chosen, rnd.choice(self._queues)):
            for _ in range(10):
                if len(queue.queued) <= self.lag // 4:
                    break
                yield self._lease(queue)
            for _ in range(30):
                if queue.active <= self.lag // 2:
                    break
                self.time_ms += self.call_ms // 20
                yield self._report(queue)
        self.time_ms += self.call_ms

    def _submit(self, queue: Queue) -> RawRecord:
        rnd = self.random
        job_set = rnd.choice(self._sets)
        prefix = call_prefix(self.time_ms, queue.partition, rnd.getrandbits(56))
        own = rnd.random() < OWN_SPECS_SHARE
        specs = [self._spec() for _ in range(CALL_JOBS if own else 1)]
        owner, cpu = f"user{rnd.randrange(OWNERS):03d}@example.com", rnd.choice((500, 1000, 2000, 4000, 8000, 16000))
        gpus = rnd.choice((1, 2, 4, 8)) if rnd.random() < 0.08 else 0
        shared = {
            "example.com/team": queue.name[:-6],
            "example.com/project": f"project-{rnd.randrange(200):03d}",
            "example.com/experiment": f"exp-{rnd.randrange(20_000):08d}",
            "example.com/stage": rnd.choice(("prepare", "train", "eval", "export", "report", "clean")),
        }
        is_rare = rnd.random() < RARE
        namespace = "rare" if is_rare else rnd.choices(self._namespaces, self._namespace_weights)[0]
        priority_class = "argosy-urgent" if is_rare else rnd.choices(CLASSES, (8, 1, 3))[0]
        storage_bytes = (500 if is_rare else rnd.choice((1, 8, 8, 8, 32))) << 30
        events, jobs = [], []
        for index in range(CALL_JOBS):
            job = Job(job_id(prefix, index), job_set)
            queue.queued.append(job)
            data = JobData(
                ordinal=2 * index,
                block=0,
                job_id=job.job_id,
                spec_id=specs[index if own else 0].spec_id,
                shape_hash=b"h" * 16,
                cpu_milli=cpu,
                memory_bytes=cpu * (4 << 20),
                storage_bytes=storage_bytes,
                gpus=gpus,
                owner=owner,
                groups=("research", "everybody"),
                namespace=namespace,
                priority=1_000 if is_rare else rnd.randrange(5),
                priority_class=priority_class,
                preemptible=True,
                deadline_s=259_200,
                client_id=f"client-{rnd.randrange(10**9):09d}",
                labels={"app": "trainer", "tier": "batch"},
                annotations={**shared, "example.com/trace-id": f"{rnd.getrandbits(128):032x}"},
                services="",
                ingresses="",
                external_uri=None,
                pools=("default",),
            )
            jobs.append(data)
            events.append((job, self._event(job, EventKind.SUBMITTED, None, JobState.QUEUED)))
            events.append((job, self._event(job, EventKind.QUEUED, JobState.QUEUED, JobState.QUEUED)))
        return self._record(queue, "SubmitJobs", events, specs=tuple(specs), jobs=tuple(jobs))

    def _spec(self) -> Spec:
        body = self._zstd.compress(SPEC_TEXT.replace("@", str(self.random.randrange(10**9))).encode())
        return Spec(spec_id=self.random.randbytes(16), body=body)

    def _lease(self, queue: Queue) -> RawRecord:
        rnd = self.random
        events: list[tuple[Job, Event]] = []
        leases = []
        for job in self._taken(queue.queued, LEASES_PER_RECORD):
            job.run_id = ulid(self.time_ms, rnd.getrandbits(80))
            job.cluster, job.node = rnd.choice(self._nodes)
            queue.leased.append(job)
            lease = LeaseData(
                ordinal=len(events),
                run_id=job.run_id,
                job_id=job.job_id,
                attempt=job.attempt,
                cluster=job.cluster,
                node=job.node,
                pool=_pool(job.cluster),
                displaced=(),
            )
            leases.append(lease)
            events.append((job, self._event(job, EventKind.LEASED, JobState.QUEUED, JobState.LEASED)))
        return self._record(queue, "LeaseJobs", events, leases=tuple(leases))

    def _report(self, queue: Queue) -> RawRecord:
        events: list[tuple[Job, Event]] = []
        reported, stops = [], []
        share = REPORTS_PER_RECORD // 3
        started, running = self._taken(queue.leased, share), self._taken(queue.pending, share)
        ended = self._taken(queue.running, share if len(queue.running) > self.lag // 4 else 0)
        for job in started:
            events.append((job, self._event(job, EventKind.PENDING, JobState.LEASED, JobState.PENDING, pod=True)))
            reported.append(job.run_id)
            queue.pending.append(job)
        for job in running:
            events.append((job, self._event(job, EventKind.RUNNING, JobState.PENDING, JobState.RUNNING, pod=True)))
            queue.running.append(job)
        for job in ended:
            stop = StopData(
                ordinal=len(events),
                run_id=job.run_id,
                job_id=job.job_id,
                attempt=job.attempt,
                cluster=job.cluster,
                reason=StopReason.FINISHED,
                gone=True,
            )
            stops.append(stop)
            events += [(job, event) for event in self._end(queue, job)]
        return self._record(queue, "ReportRuns", events, reported=tuple(reported), stops=tuple(stops))

    def _end(self, queue: Queue, job: Job) -> list[Event]:
        dice, running = self.random.random(), JobState.RUNNING
        if dice < 0.03 and job.attempt == 0:
            returned = self._event(
                job,
                EventKind.LEASE_RETURNED,
                running,
                JobState.QUEUED,
                reason="node lost: kubelet is silent",
                failure=FAILURES[2],
            )
            job.attempt = 1
            queue.queued.append(job)
            return [returned, self._event(job, EventKind.QUEUED, JobState.QUEUED, JobState.QUEUED)]
        self.finished += 1
        if dice < 0.93:
            return [self._event(job, EventKind.SUCCEEDED, running, JobState.SUCCEEDED, terminal=True, exit_code=0)]
        if dice < 0.97:
            text = "container main exited: " + f"Traceback: RuntimeError in step {self.random.randrange(10**6)}; " * 8
            failure = self.random.choices(FAILURES, (60, 30, 8, 2))[0]
            return [
                self._event(
                    job, EventKind.FAILED, running, JobState.FAILED, terminal=True, reason=text, failure=failure
                )
            ]
        if dice < 0.99:
            return [
                self._event(job, EventKind.CANCELLED, running, JobState.CANCELLED, terminal=True, reason="by its user")
            ]
        return [
            self._event(job, EventKind.PREEMPTED, running, JobState.PREEMPTED, reason="for a fairer share"),
            self._event(job, EventKind.FAILED, JobState.PREEMPTED, JobState.PREEMPTED, terminal=True),
        ]

    def _event(
        self,
        job: Job,
        kind: EventKind,
        before: JobState | None,
        after: JobState,
        *,
        pod: bool = False,
        terminal: bool = False,
        reason: str | None = None,
        exit_code: int | None = None,
        failure: tuple[str, str, int] | None = None,
    ) -> Event:
        has_run = bool(job.run_id) and kind is not EventKind.QUEUED
        category, code, failed_with = failure or (None, None, exit_code)
        return Event(
            ordinal=0,
            kind=kind,
            job_id=job.job_id,
            before=before,
            after=after,
            attempt=job.attempt,
            terminal=terminal,
            run_id=job.run_id if has_run else None,
            cluster=job.cluster if has_run else None,
            node=job.node if has_run else None,
            pool=_pool(job.cluster) if has_run else None,
            pod="argosy-" + job.run_id.hex() if pod else None,
            namespace="batch-jobs" if pod else None,
            reason=reason,
            category=category,
            reason_code=code,
            exit_code=failed_with,
            cluster_time_ms=self.time_ms if has_run else None,
        )

    def _taken(self, jobs: list[Job], count: int) -> list[Job]:
        """Some, in any order."""
        out = []
        for _ in range(min(count, len(jobs))):
            at = self.random.randrange(len(jobs))
            jobs[at], jobs[-1] = jobs[-1], jobs[at]
            out.append(jobs.pop())
        return out

    def _record(self, queue: Queue, command: str, events: list[tuple[Job, Event]], **parts: object) -> RawRecord:
        blocks: dict[str, list[Event]] = {}
        for ordinal, (job, event) in enumerate(events):
            blocks.setdefault(job.job_set, []).append(_numbered(event, ordinal))
        self.events += len(events)
        offset = self._offsets[queue.partition] = self._offsets[queue.partition] + 1
        record = EventsRecord(
            offset=offset,
            first_ordinal=0,
            count=len(events),
            last=True,
            log_time_ms=self.time_ms,
            command=command,
            outcome=Outcome(),
            blocks=tuple(
                Block(queue=queue.name, incarnation=0, job_set=name, count=len(some), body=encode_events(some))
                for name, some in blocks.items()
            ),
            **parts,  # type: ignore[arg-type]
        )
        return RawRecord(queue.partition, offset, None, encode(record), self.time_ms)


def _pool(cluster: str) -> str:
    """Most clusters are of one pool, one of a rare one."""
    return "spot" if cluster == "cluster-19" else "gpu" if cluster > "cluster-13" else "default"


def _numbered(event: Event, ordinal: int) -> Event:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return Event(**{**fields, "ordinal": ordinal})
