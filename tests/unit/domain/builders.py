"""A partition under test: commands go in, decisions and rows come out."""

from collections.abc import Iterable
from typing import Any

from app.domain.apply import head_of
from app.domain.commands import (
    BeginEpoch,
    BeginInstance,
    Command,
    CreateQueues,
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
    ShapeRef,
    Spec,
    SubmitJobs,
)
from app.domain.decide import decide
from app.domain.decision import Decision
from app.domain.ids import call_prefix, job_id
from app.domain.lifecycle import STATES, EventKind, JobState
from app.domain.memory import MemoryState
from app.domain.rows import JobGang, JobHead, JobRow, job_key
from app.domain.state import Overlay

ADMIN = Principal(user="admin", verbs=("create_queue",))
ALICE = Principal(user="alice", groups=("research",))
MALLORY = Principal(user="mallory")
INSTANCE = b"i" * 16
SPEC = Spec(spec_id=b"s" * 16, body=b"spec")
SHAPE = ShapeRef(shape_hash=b"h" * 16, cpu_milli=1000, memory_bytes=1 << 30, storage_bytes=0, gpus=0)


class Partition:
    """Partition 0 with queue `a` (owner alice), epoch 1 and instance INSTANCE of cluster c0."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.offset = -1
        self.time_ms = 1_790_000_000_000
        self._calls = 0
        self.decide(CreateQueues(principal=ADMIN, queues=(QueueSpec(name="a", owners=("alice",)),)))
        self.decide(BeginEpoch(epoch=1, leader="test"))
        self.decide(BeginInstance(cluster="c0", instance=INSTANCE))

    def decide(self, command: Command) -> Decision:
        self.offset += 1
        self.time_ms += 1
        overlay = Overlay(self.state)
        decision = decide(overlay, command, 0, self.offset, self.time_ms)
        overlay.keep()
        self.state.commit(overlay, self.offset, self.time_ms)
        return decision

    def call(self, count: int = 1, **fields: Any) -> SubmitJobs:
        """A submit call; `client_ids` are those of its jobs in order, `job` are fields of all of them."""
        self._calls += 1
        prefix = call_prefix(self.time_ms, 0, self._calls)
        client_ids = fields.pop("client_ids", [None] * count)
        job = fields.pop("job", {})
        jobs = tuple(
            JobItem(
                **{
                    "job_id": job_id(prefix, index),
                    "spec": 0,
                    "shape": 0,
                    "namespace": "default",
                    "priority": 0,
                    "priority_class": "argosy-default",
                    "preemptible": False,
                    "deadline_s": 60,
                    "client_id": client_ids[index],
                }
                | job
            )
            for index in range(count)
        )
        whole: dict[str, Any] = {
            "principal": ALICE,
            "queue": "a",
            "job_set": "s",
            "specs": (SPEC,),
            "shapes": (SHAPE,),
            "jobs": jobs,
        }
        return SubmitJobs(**whole | fields)

    def submit(self, count: int = 1, **fields: Any) -> list[bytes]:
        decision = self.decide(self.call(count, **fields))
        assert not decision.outcome.refusals
        return list(decision.outcome.affected)

    def lease(self, job: bytes, run: bytes, **fields: Any) -> Decision:
        epoch = fields.pop("epoch", 1)
        return self.lease_all([(job, run)], epoch=epoch, **fields)

    def lease_all(self, runs: Iterable[tuple[bytes, bytes]], epoch: int = 1, **fields: Any) -> Decision:
        """One command with a lease for each job and run; `fields` are of all of them."""
        leases = []
        for job, run in runs:
            whole: dict[str, Any] = {
                "job_id": job,
                "run_id": run,
                "attempt": self.head(job).attempt if self.job(job) else 0,
                "cluster": "c0",
                "node": "n0",
                "pool": "default",
                "scheduled_at_priority": 0,
            }
            leases.append(Lease(**whole | fields))
        return self.decide(LeaseJobs(epoch=epoch, round_id=b"r" * 16, leases=tuple(leases)))

    def preempt(self, job: bytes, run: bytes, **fields: Any) -> Decision:
        epoch = fields.pop("epoch", 1)
        attempt = self.head(job).attempt if self.job(job) else 0
        whole: dict[str, Any] = {"job_id": job, "run_id": run, "attempt": attempt, "reason": PreemptReason.FAIR_SHARE}
        return self.decide(PreemptRuns(epoch=epoch, preemptions=(Preemption(**whole | fields),)))

    def reject(self, job: bytes, **fields: Any) -> Decision:
        epoch = fields.pop("epoch", 1)
        attempt = self.head(job).attempt if self.job(job) else 0
        whole: dict[str, Any] = {
            "job_id": job,
            "attempt": attempt,
            "reason_code": "FitsNowhere",
            "reason": "no node has 5 GPUs",
        }
        return self.decide(RejectJobs(epoch=epoch, rejections=(Rejection(**whole | fields),)))

    def report(self, job: bytes, run: bytes, state: ReportState, **fields: Any) -> Decision:
        attempt = self.head(job).attempt if self.job(job) else 0
        whole: dict[str, Any] = {"cluster": "c0", "instance": INSTANCE, "attempt": attempt, "time_ms": 5}
        report = Report(job_id=job, run_id=run, state=state, **whole | fields)
        return self.decide(ReportRuns(reports=(report,)))

    def job(self, job: bytes) -> JobRow | None:
        row = self.state.row(job_key(job))
        assert row is None or isinstance(row, JobRow)
        return row

    def gang(self, job: bytes) -> JobGang | None:
        row = self.job(job)
        return row.more.gang if row is not None and row.more is not None else None

    def head(self, job: bytes) -> JobHead:
        row = self.job(job)
        assert row is not None
        return head_of(row)

    def state_of(self, job: bytes) -> JobState | None:
        return STATES[self.head(job).state] if self.job(job) else None


def kinds(decision: Decision) -> list[EventKind]:
    return [event.kind for _, event in decision.events]


def codes(decision: Decision) -> list[str]:
    return [refusal.code.value for refusal in decision.outcome.refusals]


def run_id(number: int) -> bytes:
    return number.to_bytes(16, "big")
