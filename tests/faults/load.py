"""Load: a seeded stream of real commands, plausible and not, for all partitions.

Output: (partition, record value) one after the other, in the order in which a partition must get them. It decides
what it sends on a state of its own, so that leases, reports and cancels mostly meet jobs as they are; the rest is
wrong on purpose: repeated request ids and client ids, stale epochs, foreign instances, unknown jobs and queues,
bytes that are no command, and a command that makes deciding raise.
"""

import random
from collections.abc import Callable

from msgspec.structs import replace

from app.domain.commands import (
    BeginEpoch,
    BeginInstance,
    CancelJobs,
    CancelJobSet,
    Command,
    CreateQueues,
    ExpireKind,
    ExpireRuns,
    Expiry,
    JobItem,
    Lease,
    LeaseJobs,
    Principal,
    QueueSpec,
    Report,
    ReportRuns,
    ReportState,
    Settings,
    ShapeRef,
    Spec,
    SubmitJobs,
)
from app.domain.decide import decide
from app.domain.ids import call_prefix, job_id, ulid
from app.domain.lifecycle import JobState
from app.domain.routing import partition_of_name
from app.domain.state import Overlay
from app.log.codec import encode
from tests.faults import load_gangs, load_requests
from tests.faults.load_parts import Part, note

POISON_JOB_SET = "poison"
"""a submit to this job set makes the deciding of fault tests raise"""
CLUSTERS = ("east", "west")
QUEUES_PER_PARTITION = 2
FIRST_MS = 1_790_000_000_000
CHIEF = Principal(
    user="chief",
    verbs=(
        "create_queue",
        "cordon_queue",
        "delete_queue",
        "submit_any_jobs",
        "cancel_any_jobs",
        "reprioritize_any_jobs",
        "preempt_any_jobs",
    ),
)
STRANGER = Principal(user="stranger")


class Load:
    """The same seed and number of partitions give the same commands. jobs_max: of one submit call."""

    def __init__(self, seed: int, partitions: int, *, jobs_max: int = 12) -> None:
        self._random = random.Random(seed)
        self._jobs_max = jobs_max
        self._clock_ms = FIRST_MS
        self.parts = [Part(number, _queues_of(number, partitions)) for number in range(partitions)]
        for part in self.parts:
            part.opening = [*self._opening(part)]
        self._kinds: list[tuple[int, Callable[[Part], Command]]] = [
            (30, self._submit),
            (3, self._repeat),
            (6, self._cancel),
            (2, self._cancel_set),
            (22, self._lease),
            (28, self._report),
            (2, self._expire),
            (3, self._preempt),
            (2, self._reject),
            (2, self._epoch),
            (2, self._settings),
            (2, self._instance),
            (1, self._create),
            (5, self._request),
            (1, self._poison),
        ]
        self._weights = [weight for weight, _ in self._kinds]

    def next(self) -> tuple[int, bytes]:
        """The next command: partition and record value."""
        part = self._random.choice(self.parts)
        self._clock_ms += self._random.randrange(20)
        if part.opening:
            return part.number, self._decided(part, part.opening.pop(0))
        if self._random.random() < 0.01:
            part.offset += 1
            # Bytes that are no record at all; with the magic byte 0 they would be one of an unknown schema, which stops
            # the partition (tests/integration/streams has that case).
            return part.number, self._random.randbytes(self._random.randrange(40)).lstrip(b"\0")
        [(_, make)] = self._random.choices(self._kinds, self._weights)
        return part.number, self._decided(part, make(part))

    def big_cancel(self, part: Part, jobs: int) -> list[bytes]:
        """Commands that fill one job set of a partition with so many jobs and cancel it: more than one command can."""
        commands = part.opening
        part.opening = []
        for count in (*[1_000] * (jobs // 1_000), jobs % 1_000):
            call = self.a_call(part, count)
            jobs_of_call = tuple(replace(job, client_id=None) for job in call.jobs)
            commands.append(replace(call, principal=CHIEF, queue=part.queues[0], job_set="big", jobs=jobs_of_call))
            self._clock_ms += 1
        commands.append(CancelJobSet(principal=CHIEF, queue=part.queues[0], job_set="big"))
        return [self._decided(part, command) for command in commands]

    def _decided(self, part: Part, command: Command) -> bytes:
        part.offset += 1
        if not (isinstance(command, SubmitJobs) and command.job_set == POISON_JOB_SET):
            overlay = Overlay(part.state)
            decision = decide(overlay, command, part.number, part.offset, self._clock_ms)
            overlay.keep()
            part.state.commit(overlay, part.offset, self._clock_ms)
            note(part, decision)
        return encode(command)

    def _opening(self, part: Part) -> list[Command]:
        queues = tuple(QueueSpec(name=name) for name in part.queues)
        part.instances = {cluster: self._ulid() for cluster in CLUSTERS}
        part.epoch, part.version = 5, 1
        return [
            CreateQueues(principal=CHIEF, queues=queues),
            BeginEpoch(epoch=5, leader="load"),
            Settings(epoch=5, version=1, max_attempts=3, client_id_retention_ms=3_600_000),
            *(BeginInstance(cluster=cluster, instance=instance) for cluster, instance in part.instances.items()),
        ]

    def _submit(self, part: Part) -> Command:
        call = self.a_call(part, self._random.randint(1, self._jobs_max))
        part.calls = [*part.calls[-50:], call]
        return call

    def a_call(self, part: Part, count: int) -> SubmitJobs:
        """A submit call of so many jobs; it is not among those that are repeated."""
        some = self._random
        prefix = call_prefix(self._clock_ms, part.number, some.getrandbits(56))
        spec = Spec(spec_id=some.randbytes(16), body=some.randbytes(some.randrange(20, 300)))
        shape = ShapeRef(
            shape_hash=some.randbytes(16), cpu_milli=1000, memory_bytes=1 << 30, storage_bytes=0, gpus=some.randrange(2)
        )
        gang = load_gangs.a_gang(some) if count <= self._jobs_max and some.random() < 0.3 else None
        if gang is not None and some.random() < 0.8:
            count = max(1, min(count, gang.cardinality))
        jobs = tuple(
            JobItem(
                job_id=job_id(prefix, index),
                spec=0,
                shape=0,
                namespace="default",
                priority=some.randrange(100),
                priority_class="default",
                gang=gang,
                preemptible=some.random() < 0.5,
                deadline_s=0,
                client_id=f"client-{some.randrange(2_000)}" if some.random() < 0.3 else None,
                labels={"team": "a"} if some.random() < 0.5 else {},
                annotations={"note": "x" * some.randrange(30)},
                pools=("default",),
            )
            for index in range(count)
        )
        return SubmitJobs(
            principal=CHIEF if some.random() < 0.95 else STRANGER,
            queue=some.choice(part.queues) if some.random() < 0.97 else "unknown",
            job_set=f"set-{some.randrange(6)}",
            request_id=f"request-{some.getrandbits(40)}" if some.random() < 0.5 else None,
            all_or_nothing=some.random() < 0.5,
            specs=(spec,),
            shapes=(shape,),
            jobs=jobs,
        )

    def _repeat(self, part: Part) -> Command:
        """The same call again, as a client would send it: the API gives it new job ids."""
        if not part.calls:
            return self._submit(part)
        call = self._random.choice(part.calls)
        prefix = call_prefix(self._clock_ms, part.number, self._random.getrandbits(56))
        jobs = tuple(replace(job, job_id=job_id(prefix, index)) for index, job in enumerate(call.jobs))
        return replace(call, jobs=jobs)

    def _poison(self, part: Part) -> Command:
        return replace(self.a_call(part, 3), queue=part.queues[0], job_set=POISON_JOB_SET, request_id=None)

    def _cancel(self, part: Part) -> Command:
        ids = self._some_jobs(part, 4)
        if self._random.random() < 0.2:
            ids.append(self._random.randbytes(16))
        return CancelJobs(principal=CHIEF, job_ids=tuple(ids), reason="load")

    def _cancel_set(self, part: Part) -> Command:
        states = (JobState.QUEUED,) if self._random.random() < 0.5 else ()
        return CancelJobSet(
            principal=CHIEF,
            queue=self._random.choice(part.queues),
            job_set=f"set-{self._random.randrange(6)}",
            states=states,
        )

    def _lease(self, part: Part) -> Command:
        some = self._random
        queued = [job for job in self._some_jobs(part, 20) if part.jobs[job].state is JobState.QUEUED]
        leases = [
            Lease(
                job_id=job,
                run_id=self._ulid(),
                attempt=part.jobs[job].attempt + (some.random() < 0.03),
                cluster=some.choice(CLUSTERS),
                node=f"node-{some.randrange(50)}",
                pool="default",
                scheduled_at_priority=some.randrange(100),
            )
            for job in load_gangs.whole_gangs(some, part, queued)
        ]
        epoch = part.epoch - (some.random() < 0.05)
        displacing = tuple(load_gangs.with_displaced(some, part, lease) for lease in leases)
        return LeaseJobs(epoch=epoch, round_id=some.randbytes(16), leases=displacing)

    def _report(self, part: Part) -> Command:
        reports = []
        for job in self._some_jobs(part, 25):
            run = part.jobs[job]
            if run.run_id:
                reports.append(self._one_report(part, job, run.run_id, run.cluster, run.attempt))
        for run_id, (job, cluster, attempt) in list(part.stopping.items())[:5]:
            reports.append(self._one_report(part, job, run_id, cluster, attempt, ReportState.GONE))
        return ReportRuns(reports=tuple(reports))

    def _one_report(
        self, part: Part, job: bytes, run_id: bytes, cluster: str, attempt: int, state: ReportState | None = None
    ) -> Report:
        some = self._random
        foreign = some.random() < 0.03
        state = state or some.choice(list(ReportState))
        return Report(
            cluster=cluster,
            instance=some.randbytes(16) if foreign else part.instances[cluster],
            job_id=job,
            run_id=run_id,
            attempt=attempt,
            state=state,
            time_ms=self._clock_ms,
            node="node-1",
            pod=f"argosy-{run_id.hex()}",
            exit_code=some.choice((0, 1, None)),
            attempted=some.random() < 0.7,
        )

    def _expire(self, part: Part) -> Command:
        expiries = tuple(
            Expiry(
                job_id=job,
                run_id=part.jobs[job].run_id or None,
                attempt=part.jobs[job].attempt,
                kind=self._random.choice(list(ExpireKind)),
            )
            for job in self._some_jobs(part, 2)
        )
        return ExpireRuns(epoch=part.epoch, expiries=expiries)

    def _preempt(self, part: Part) -> Command:
        return load_gangs.preempt(self._random, part, self._some_jobs(part, 8))

    def _reject(self, part: Part) -> Command:
        return load_gangs.reject(self._random, part, self._some_jobs(part, 4))

    def _request(self, part: Part) -> Command:
        """Somebody reprioritizes or preempts jobs, or changes queues."""
        principal = CHIEF if self._random.random() < 0.9 else STRANGER
        return load_requests.a_request(self._random, part, self._some_jobs(part, 8), principal)

    def _epoch(self, part: Part) -> Command:
        epoch = part.epoch + self._random.choice((-1, 1, 2))
        part.epoch = max(epoch, part.epoch)
        return BeginEpoch(epoch=epoch, leader="load")

    def _settings(self, part: Part) -> Command:
        version = part.version + self._random.choice((0, 1))
        part.version = max(version, part.version)
        # So short that ids expire while the load runs.
        retention_ms = self._random.choice((1_000, 20_000))
        return Settings(epoch=part.epoch, version=version, max_attempts=3, client_id_retention_ms=retention_ms)

    def _instance(self, part: Part) -> Command:
        cluster = self._random.choice(CLUSTERS)
        part.instances[cluster] = self._ulid()
        return BeginInstance(cluster=cluster, instance=part.instances[cluster])

    def _create(self, part: Part) -> Command:
        names = (self._random.choice(part.queues), self._random.choice(part.queues))
        principal = CHIEF if self._random.random() < 0.8 else STRANGER
        return CreateQueues(principal=principal, queues=tuple(QueueSpec(name=name) for name in names))

    def _some_jobs(self, part: Part, limit: int) -> list[bytes]:
        return self._random.sample(list(part.jobs), min(len(part.jobs), self._random.randint(1, limit)))

    def _ulid(self) -> bytes:
        return ulid(self._clock_ms, self._random.getrandbits(80))


def _queues_of(partition: int, partitions: int) -> list[str]:
    names: list[str] = []
    number = 0
    while len(names) < QUEUES_PER_PARTITION:
        if partition_of_name(f"queue-{number}", partitions) == partition:
            names.append(f"queue-{number}")
        number += 1
    return names
