"""What the executor's tests are made of: leases, pods and answers with sensible defaults, and a session at a time of
its own."""

import json
from typing import Any

from msgspec import Raw

from app.executor.actions import Actions
from app.executor.cursor import ORDINAL_MAX, Cursor, Position
from app.executor.kubernetes import (
    Changes,
    ContainerPhase,
    ContainerStatus,
    Created,
    CreateOutcome,
    Node,
    Pod,
    PodPhase,
    RunOfPod,
    pod_name,
)
from app.executor.protocol import Displaced, Lease, Report, ReportedJob, Stop, SyncAnswer
from app.executor.session import Session
from app.executor.timings import DEFAULT_TIMINGS, Timings

LOG = "installation.events"
CLUSTER = "c0"
START_MS = 1_000_000


def an_id(number: int) -> str:
    """A valid id; run, job and instance ids look alike."""
    return f"{number:026d}"


def at(offset: int, partition: int = 0) -> Cursor:
    """A cursor of one partition that has taken the whole command at this offset."""
    return Cursor(LOG, {partition: (offset, ORDINAL_MAX)})


def a_lease(
    number: int, *, offset: int = 10, node: str = "n0", displaces: tuple[tuple[int, int], ...] = (), **more: Any
) -> Lease:
    """displaces: (run number, offset of its lease)."""
    values: dict[str, Any] = {
        "job_id": an_id(number),
        "run_id": an_id(number),
        "attempt": 0,
        "queue": "q",
        "job_set": "s",
        "node": node,
        "position": Position(0, offset, 0),
        "displaces": tuple(Displaced(run_id=an_id(run), position=Position(0, where, 0)) for run, where in displaces),
        "pod_spec": Raw(json.dumps({"containers": [{"name": "main", "image": "busybox"}]}).encode()),
    }
    return Lease(**{**values, **more})


def a_pod(
    number: int,
    phase: PodPhase = PodPhase.RUNNING,
    *,
    offset: int = 10,
    log: str = LOG,
    cluster: str = CLUSTER,
    **more: Any,
) -> Pod:
    """The pod of a run; running from the start, or finished at 2,000,000 with exit code 0 or 1."""
    values: dict[str, Any] = {
        "namespace": "default",
        "name": pod_name(an_id(number)),
        "uid": f"uid-{number}",
        "run": RunOfPod(
            run_id=an_id(number),
            job_id=an_id(number),
            attempt=0,
            log=log,
            cluster=cluster,
            position=Position(0, offset, 0),
        ),
        "node": "n0",
        "phase": phase,
        "created_ms": START_MS,
        "containers": (_container(phase),),
    }
    return Pod(**{**values, **more})


def _container(phase: PodPhase) -> ContainerStatus:
    if phase is PodPhase.PENDING:
        return ContainerStatus(name="main", reason="ContainerCreating")
    if phase is PodPhase.RUNNING:
        return ContainerStatus(name="main", phase=ContainerPhase.RUNNING, started_ms=START_MS)
    return ContainerStatus(
        name="main",
        phase=ContainerPhase.TERMINATED,
        exit_code=0 if phase is PodPhase.SUCCEEDED else 1,
        started_ms=START_MS,
        finished_ms=2_000_000,
    )


def a_stop(number: int, reason: str = "cancelled") -> Stop:
    return Stop(job_id=an_id(number), run_id=an_id(number), attempt=0, reason=reason)


class At:
    """A session with its clock: what happens is said in words, what follows is kept in `actions`. Its lock is valid
    unless said."""

    def __init__(self, *pods: Pod, timings: Timings = DEFAULT_TIMINGS, ready_node: bool = True) -> None:
        self.now_ms = START_MS
        self.lock_valid = True
        self.session = Session(cluster=CLUSTER, instance=an_id(99), start_ms=START_MS, timings=timings)
        nodes = (Node(name="n0", allocatable={"cpu": "4"}, labels={}, ready=ready_node),)
        self.session.take_changes(Changes(pods=pods, nodes=nodes), self.now_ms)
        self.actions = Actions()

    def later(self, ms: int) -> "At":
        """Time passes, and nothing else."""
        self.now_ms += ms
        return self._look()

    def told(
        self,
        *leases: Lease,
        offset: int = 20,
        stops: tuple[Stop, ...] = (),
        full: bool = False,
        reported: tuple[int, ...] = (),
        log_begins: dict[str, int] | None = None,
        known: bool = True,
    ) -> "At":
        """An answer comes; full: to `runs`."""
        if full:
            self.session.full = _Due()  # type: ignore[assignment]  # the test says when
        request = (
            self.session.reports_request(self.now_ms, with_nodes=False)
            if full
            else self.session.leases_request(self.now_ms, 0)
        )
        answer = SyncAnswer(
            sequence=request.sequence,
            leases=leases,
            stops=stops,
            reported=tuple(an_id(run) for run in reported),
            reported_jobs=tuple(ReportedJob(job_id=an_id(run), attempt=0) for run in reported),
            lease_cursor=at(offset),
            leases_known=known,
            log_begins=log_begins or {},
        )
        self.taken = self.session.take_answer(request, answer, self.now_ms)
        return self._look()

    def shows(self, *pods: Pod) -> "At":
        """The watch shows pods."""
        self.session.take_changes(Changes(pods=pods), self.now_ms)
        return self._look()

    def deleted(self, *pods: Pod) -> "At":
        """The watch shows that pods are gone."""
        self.session.take_changes(Changes(deleted=pods), self.now_ms)
        return self._look()

    def created(self, number: int, outcome: CreateOutcome | None = None) -> "At":
        """A create has ended."""
        self.session.create_ended(an_id(number), outcome or Created(), self.now_ms)
        return self._look()

    def read(self, number: int, *, found: bool | None) -> "At":
        """A read by name has ended; it began now."""
        self.session.read_ended(an_id(number), found=found, began_ms=self.now_ms, now_ms=self.now_ms)
        return self._look()

    def delete_sent(self, number: int) -> "At":
        """A call to delete has returned."""
        self.session.delete_ended(an_id(number))
        return self._look()

    def _look(self) -> "At":
        self.actions = self.session.look(self.now_ms, lock_valid=self.lock_valid)
        return self

    @property
    def creates(self) -> list[str]:
        return [create.run_id for create in self.actions.creates]

    @property
    def deletes(self) -> list[tuple[str, str, int]]:
        return [(delete.run_id, delete.kind.value, delete.grace_seconds) for delete in self.actions.deletes]

    @property
    def reads(self) -> list[str]:
        return [read.run_id for read in self.actions.reads]

    @property
    def reports(self) -> list[Report]:
        return self.actions.reports

    @property
    def said(self) -> list[tuple[str, str, str | None]]:
        return [(report.run_id, report.state.value, report.reason) for report in self.actions.reports]


class _Due:
    """A schedule of full requests that is always due."""

    def is_due(self, now_ms: int, needs_full: bool) -> bool:
        return True

    def sent(self, now_ms: int) -> None: ...

    def answered(self, now_ms: int) -> None: ...
