"""A partition as the scheduler's feed sees it: commands are really decided, and each step becomes records of
argosy.state."""

from collections.abc import Sequence
from typing import NamedTuple

from app.domain.commands import (
    BeginEpoch,
    Command,
    CreateQueues,
    Gang,
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
from app.domain.decide import decide
from app.domain.events import Outcome
from app.domain.ids import call_prefix, job_id
from app.domain.memory import MemoryState
from app.domain.rows import POSITION_KEY
from app.domain.state import Overlay
from app.log.codec import encode
from app.pods.shape import Shape, encode_shape, shape_hash

FIRST_MS = 1_790_000_000_000
CHIEF = Principal(user="chief", verbs=("create_queue", "submit_any_jobs", "cancel_any_jobs"))
SHAPE = Shape(priority_class="argosy-default", requests=(("cpu", 1000), ("memory", 1 << 30)))
INSTANCE = bytes(15) + b"\1"


class StateRow(NamedTuple):
    """A record of argosy.state."""

    partition: int
    key: bytes
    value: bytes | None


class Partition:
    """Decides commands; `records` holds what argosy.state would."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.state = MemoryState()
        self.offset = -1
        self.records: list[StateRow] = []
        self.calls = 0

    def step(self, *commands: Command, log_time_ms: int | None = None) -> list[StateRow]:
        """Decides commands in one step; returns its records, the position row last."""
        overlay = Overlay(self.state)
        self.outcomes: list[Outcome] = []
        time_ms = FIRST_MS + 1000 * (self.offset + 1) if log_time_ms is None else log_time_ms
        for command in commands:
            self.offset += 1
            self.outcomes.append(decide(overlay, command, self.number, self.offset, time_ms).outcome)
            overlay.keep()
        changed = dict(overlay.changed)
        self.state.commit(overlay, self.offset, time_ms)
        changed[POSITION_KEY] = self.state.rows[POSITION_KEY]
        position = changed.pop(POSITION_KEY)
        rows = [StateRow(self.number, key, None if row is None else encode(row)) for key, row in changed.items()]
        assert position is not None
        rows.append(StateRow(self.number, POSITION_KEY, encode(position)))
        self.records += rows
        return rows

    def submit(
        self,
        queue: str,
        count: int,
        *,
        shape: Shape = SHAPE,
        priority: int = 1000,
        preemptible: bool = False,
        gang: Gang | None = None,
    ) -> tuple[list[bytes], SubmitJobs]:
        """A call for `count` jobs: their ids and the command."""
        self.calls += 1
        prefix = call_prefix(FIRST_MS + self.calls, self.number, self.calls)
        ids = [job_id(prefix, index) for index in range(count)]
        return list(ids), submit_command(ids, queue, shape=shape, priority=priority, preemptible=preemptible, gang=gang)


def submit_command(
    ids: Sequence[bytes],
    queue: str,
    *,
    shape: Shape = SHAPE,
    priority: int = 1000,
    job_set: str = "set",
    preemptible: bool = False,
    gang: Gang | None = None,
) -> SubmitJobs:
    """A submit call for these ids, all with one spec and shape."""
    return SubmitJobs(
        principal=CHIEF,
        queue=queue,
        job_set=job_set,
        specs=(Spec(spec_id=bytes(16), body=b"spec"),),
        shapes=(
            ShapeRef(
                shape_hash=shape_hash(encode_shape(shape)), cpu_milli=1000, memory_bytes=0, storage_bytes=0, gpus=0
            ),
        ),
        jobs=tuple(
            JobItem(
                job_id=each,
                spec=0,
                shape=0,
                namespace="default",
                priority=priority,
                priority_class=shape.priority_class,
                preemptible=preemptible,
                deadline_s=3600,
                pools=shape.pools,
                gang=gang,
            )
            for each in ids
        ),
    )


def queues(*names: str) -> CreateQueues:
    return CreateQueues(principal=CHIEF, queues=tuple(QueueSpec(name=name) for name in names))


def lease(
    job: bytes, run: bytes, *, node: str = "n0", cluster: str = "c0", attempt: int = 0, priority: int = 1000
) -> Lease:
    return Lease(
        job_id=job,
        run_id=run,
        attempt=attempt,
        cluster=cluster,
        node=node,
        pool="default",
        scheduled_at_priority=priority,
    )


def leases(epoch: int, *items: Lease) -> LeaseJobs:
    return LeaseJobs(epoch=epoch, round_id=bytes(16), leases=items)


def begin(epoch: int) -> BeginEpoch:
    return BeginEpoch(epoch=epoch, leader="test")


def report(job: bytes, run: bytes, state: ReportState, *, cluster: str = "c0", attempt: int = 0) -> ReportRuns:
    return ReportRuns(
        reports=(
            Report(
                cluster=cluster,
                instance=INSTANCE,
                job_id=job,
                run_id=run,
                attempt=attempt,
                state=state,
                time_ms=FIRST_MS,
            ),
        )
    )


def run_id(number: int) -> bytes:
    return number.to_bytes(16, "big")
