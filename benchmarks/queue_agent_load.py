"""Commands for the queue agent's benchmark: jobs that go through their whole life, in batches and one by one.

Output: (partition, record value). The ids are made from counters, so that leases and reports can name jobs and runs
without asking anybody.
"""

from collections.abc import Iterator

from app.domain.commands import (
    BeginEpoch,
    BeginInstance,
    CreateQueues,
    JobItem,
    Lease,
    LeaseJobs,
    Principal,
    QueueSpec,
    Report,
    ReportRuns,
    ReportState,
    ShapeRef,
    Spec,
    SubmitJobs,
)
from app.domain.ids import JobId, call_prefix, job_id, ulid
from app.domain.routing import partition_of_name
from app.log.codec import encode

CHIEF = Principal(user="chief", verbs=("create_queue", "submit_any_jobs"))
CLUSTER, INSTANCE = "bench", bytes(16)
TIME_MS = 1_800_000_000_000
EPOCH = 1
SPEC_BYTES = 700
STATES = (ReportState.PENDING, ReportState.RUNNING, ReportState.SUCCEEDED)

Record = tuple[int, bytes]


class Commands:
    """Commands for all partitions of one installation."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._queues = [self._queue_of(partition) for partition in range(partitions)]
        self._calls = 0
        self._runs = 0

    def opening(self) -> Iterator[Record]:
        """A queue, an epoch and an executor's instance for each partition."""
        for partition, queue in enumerate(self._queues):
            yield partition, encode(CreateQueues(principal=CHIEF, queues=(QueueSpec(name=queue),)))
            yield partition, encode(BeginEpoch(epoch=EPOCH, leader="bench"))
            yield partition, encode(BeginInstance(cluster=CLUSTER, instance=INSTANCE))

    def submits(self, calls: int, jobs: int) -> Iterator[tuple[Record, list[JobId]]]:
        """Submit calls with so many jobs each, partition by partition in turn; with the ids of the jobs."""
        for _ in range(calls):
            partition = self._calls % self.partitions
            prefix = call_prefix(TIME_MS + self._calls, partition, self._calls)
            self._calls += 1
            ids = [job_id(prefix, index) for index in range(jobs)]
            yield (partition, encode(self._submit(partition, ids))), ids

    def lives(self, ids: list[JobId]) -> Iterator[Record]:
        """Lease, PENDING, RUNNING, SUCCEEDED of the jobs of one call, a command each."""
        partition = ids[0][6]
        runs = [ulid(TIME_MS, self._runs + index) for index in range(len(ids))]
        self._runs += len(ids)
        leases = tuple(
            Lease(
                job_id=job,
                run_id=run,
                attempt=0,
                cluster=CLUSTER,
                node=f"node-{index % 200}",
                pool="default",
                scheduled_at_priority=1000,
            )
            for index, (job, run) in enumerate(zip(ids, runs, strict=True))
        )
        yield partition, encode(LeaseJobs(epoch=EPOCH, round_id=bytes(16), leases=leases))
        for state in STATES:
            yield partition, encode(ReportRuns(reports=tuple(map(_report, ids, runs, [state] * len(ids)))))

    def _submit(self, partition: int, ids: list[JobId]) -> SubmitJobs:
        items = tuple(
            JobItem(
                job_id=job,
                spec=0,
                shape=0,
                namespace="default",
                priority=1000,
                priority_class="default",
                preemptible=True,
                deadline_s=0,
                labels={"team": "research", "kind": "train"},
                annotations={"owner": "someone@example.org"},
                pools=("default",),
            )
            for job in ids
        )
        spec = Spec(spec_id=self._calls.to_bytes(16, "big"), body=bytes(SPEC_BYTES))
        shape = ShapeRef(shape_hash=bytes(16), cpu_milli=1000, memory_bytes=1 << 30, storage_bytes=0, gpus=0)
        return SubmitJobs(
            principal=CHIEF,
            queue=self._queues[partition],
            job_set=f"set-{self._calls // 100}",
            specs=(spec,),
            shapes=(shape,),
            jobs=items,
        )

    def _queue_of(self, partition: int) -> str:
        number = 0
        while partition_of_name(f"queue-{number}", self.partitions) != partition:
            number += 1
        return f"queue-{number}"


def _report(job: bytes, run: bytes, state: ReportState) -> Report:
    return Report(
        cluster=CLUSTER,
        instance=INSTANCE,
        job_id=job,
        run_id=run,
        attempt=0,
        state=state,
        time_ms=TIME_MS,
        node="node-1",
        pod=f"argosy-{run.hex()}",
        namespace="default",
        exit_code=0 if state is ReportState.SUCCEEDED else None,
    )
