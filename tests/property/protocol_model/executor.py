"""An executor process in the model: a thin shell, one random thing at a time, around the real rules of app/executor."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.executor.actions import Actions, Create, Delete, DeleteKind, Read
from app.executor.actual import Actual
from app.executor.answers import take_answer
from app.executor.desired import Desired, EndKind
from app.executor.held_runs import FullSchedule, held_runs
from app.executor.kubernetes import Changes, Created, CreateOutcome, RefusalKind, Refused, Unknown
from app.executor.observe import sort_pods, take_changes, take_create_outcome, take_deleted, take_read
from app.executor.protocol import Report, SyncAnswer, SyncRequest
from app.executor.reconcile import commit, create_still_stands, delete_still_stands, reconcile
from app.executor.report_buffer import ReportBuffer
from tests.property.protocol_model.kube import ModelKube, ModelPod, SentCreate
from tests.property.protocol_model.names import TIMINGS
from tests.property.protocol_model.safety import Safety

REPORTS, LEASES = "reports", "leases"
_TIME = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class _ReadBegun:
    run: str
    found: bool
    began_ms: int


@dataclass(frozen=True, slots=True)
class _CreateBegun:
    run: str
    sent: SentCreate


_Task = Create | Delete | Read | _ReadBegun | _CreateBegun


class ModelExecutor:
    """One instance. is_newest False: a newer instance holds the cluster's lock, this one does not know it yet."""

    def __init__(
        self,
        instance: int,
        kube: ModelKube,
        rng: random.Random,
        now_ms: int,
        safety: Safety,
        ended_by_log: Callable[[str], bool],
        off: frozenset[str],
    ) -> None:
        self.instance = f"{instance:026d}"
        self.kube = kube
        self.is_newest = True
        self.outstanding: dict[str, SyncRequest | None] = {REPORTS: None, LEASES: None}
        self._rng = rng
        self._safety = safety
        self._ended_by_log = ended_by_log
        self._off = off
        self._sequences = {REPORTS: 0, LEASES: 0}
        self._watch: deque[Changes] = deque()
        self._desired = Desired(cluster=kube.cluster, instance_start_ms=now_ms)
        self._actual = Actual()
        self._buffer = ReportBuffer()
        self._batch: tuple[Report, ...] = ()
        self._tasks: list[_Task] = []
        self._wakes: dict[str, int] = {}
        self._touched = take_changes(self._desired, self._actual, kube.open(self._watch), now_ms)
        self._full = FullSchedule(TIMINGS)

    def close(self) -> None:
        """The process is gone: what it has not sent is lost, what it sent is on its way."""
        self.kube.watchers.remove(self._watch)

    def step(self, now_ms: int, fair: bool) -> bool:
        """One watch event or one task, then a look at what changed. Whether there was any."""
        if self._watch and (not self._tasks or self._rng.random() < 0.5):
            self._touched |= take_changes(self._desired, self._actual, self._watch.popleft(), now_ms)
        elif self._tasks:
            task = self._tasks.pop(self._rng.randrange(len(self._tasks)))
            self._do(task, now_ms, fair)
        elif not self._touched and min(self._wakes.values(), default=now_ms + 1) > now_ms:
            return False
        self._look(now_ms)
        return True

    def next_request(self, lane: str, now_ms: int) -> SyncRequest | None:
        """A new request of this lane, unless one is outstanding (then it is sent again as it is)."""
        waiting = self.outstanding[lane]
        if waiting is not None:
            return waiting
        runs = None
        if lane == REPORTS:
            if self._desired.log is not None and self._wants_full(now_ms):
                runs = held_runs(self._desired)
                self._full.sent(now_ms)
            self._batch = self._buffer.batch() if self._desired.log is not None else ()
        elif self._desired.log is None:
            return None
        self._sequences[lane] += 1
        request = SyncRequest(
            cluster=self.kube.cluster,
            instance=self.instance,
            sequence=self._sequences[lane],
            time=_TIME,
            reports=self._batch if lane == REPORTS else (),
            runs=runs,
            lease_cursor=self._desired.cursor,
            wait_ms=0 if lane == REPORTS else 10_000,
        )
        self.outstanding[lane] = request
        return request

    def receive(self, lane: str, answer: SyncAnswer, now_ms: int) -> None:
        """Only the answer to the outstanding request of its lane is taken."""
        request = self.outstanding[lane]
        if request is None or answer.sequence != request.sequence:
            return
        self.outstanding[lane] = None
        if lane == REPORTS:
            self._buffer.drop(self._batch)
        log_known = self._desired.log is not None
        full = request.runs is not None
        taken = take_answer(self._desired, self._actual, answer, full=full)
        if full and answer.leases_known and not taken.dropped:
            self._full.answered(now_ms)
        self._touched |= taken.touched
        if not log_known and self._desired.log is not None:
            self._touched |= sort_pods(self._desired, self._actual)
        self._look(now_ms)

    def _wants_full(self, now_ms: int) -> bool:
        return "ask for full answers" not in self._off and self._full.is_due(now_ms, self._desired.needs_full)

    def _look(self, now_ms: int) -> None:
        due = {run for run, at_ms in self._wakes.items() if at_ms <= now_ms}
        for run in due:
            del self._wakes[run]
        touched, self._touched = self._touched | due, set()
        actions = reconcile(self._desired, self._actual, now_ms, TIMINGS, lock_valid=self.is_newest, touched=touched)
        commit(self._desired, actions, now_ms)
        self._begin(actions)

    def _begin(self, actions: Actions) -> None:
        self._tasks += [*actions.creates, *actions.deletes, *actions.reads]
        self._buffer.add(actions.reports)
        for run, at_ms in actions.wake_ms.items():
            self._wakes[run] = min(at_ms, self._wakes.get(run, at_ms))

    def _do(self, task: _Task, now_ms: int, fair: bool) -> None:
        match task:
            case Create():
                self._create(task, now_ms, fair)
            case _CreateBegun():
                self._await_create(task, now_ms, fair)
            case Delete():
                self._delete(task, now_ms, fair)
            case Read():
                self._tasks.append(_ReadBegun(task.run_id, task.run_id in self.kube.pods, now_ms))
                return
            case _ReadBegun():
                take_read(
                    self._desired, task.run, found=task.found, began_ms=task.began_ms, now_ms=now_ms, timings=TIMINGS
                )
                self._touched.add(task.run)

    def _create(self, task: Create, now_ms: int, fair: bool) -> None:
        if not create_still_stands(self._desired, task, self.is_newest):
            self._create_ended(task.run_id, None, now_ms)
        elif not fair and self._rng.random() < 0.12:
            self._create_ended(task.run_id, Refused(RefusalKind.OTHER, "quota"), now_ms)
        else:
            run = self._desired.runs.get(task.run_id)
            self._safety.create_is_sent(task.run_id, run is not None and run.seen)
            in_trouble = not fair and self._rng.random() < 0.15
            sent = self.kube.send(task.lease, now_ms, in_trouble, self.instance)
            self._tasks.append(_CreateBegun(task.run_id, sent))

    def _await_create(self, task: _CreateBegun, now_ms: int, fair: bool) -> None:
        if task.sent.landed and (fair or self._rng.random() < 0.8):
            self._create_ended(task.run, Created(), now_ms)
        elif task.sent.landed or task.sent.expired or (not fair and self._rng.random() < 0.2):
            self._create_ended(task.run, Unknown("timed out"), now_ms)
        else:
            self._tasks.append(task)

    def _create_ended(self, run: str, outcome: CreateOutcome | None, now_ms: int) -> None:
        take_create_outcome(self._desired, run, outcome, now_ms, TIMINGS)
        self._touched.add(run)

    def _delete(self, task: Delete, now_ms: int, fair: bool) -> None:
        pod: ModelPod | None = self.kube.pods.get(task.run_id)
        stands = delete_still_stands(self.is_newest)
        if stands and pod is not None and pod.uid == task.uid and (fair or self._rng.random() < 0.9):
            if task.kind is not DeleteKind.TRIM:
                ending = self._desired.runs[task.run_id].ending
                in_trouble = ending is not None and ending.kind is EndKind.TROUBLE
                self._safety.pod_is_ended(pod, in_trouble or self._ended_by_log(task.run_id))
            self.kube.delete(pod, now_ms)
        take_deleted(self._desired, task.run_id)
        self._touched.add(task.run_id)
