"""An executor process in the model: a thin shell, one random thing at a time, around app/executor's Session."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.executor.actions import Create, Delete, DeleteKind, Mark, Read, Release
from app.executor.desired import EndKind
from app.executor.kubernetes import Changes, Created, RefusalKind, Refused, Unknown
from app.executor.protocol import SyncAnswer, SyncRequest
from app.executor.session import Session
from tests.property.protocol_model.kube import ModelKube, SentCreate
from tests.property.protocol_model.names import TIMINGS
from tests.property.protocol_model.safety import Safety

REPORTS, LEASES = "reports", "leases"
_WAIT_MS = 10_000


@dataclass(frozen=True, slots=True)
class _ReadBegun:
    run: str
    found: bool
    began_ms: int


@dataclass(frozen=True, slots=True)
class _CreateBegun:
    run: str
    sent: SentCreate


_Task = Create | Delete | Mark | Release | Read | _ReadBegun | _CreateBegun


class _NeverDue:
    """In place of FullSchedule when full answers are not asked for, but for the one at start."""

    def __init__(self) -> None:
        self._asked = False

    def is_due(self, now_ms: int, needs_full: bool) -> bool:
        return not self._asked

    def sent(self, now_ms: int) -> None:
        self._asked = True

    def answered(self, now_ms: int) -> None:
        pass


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
        self.session = Session(cluster=kube.cluster, instance=self.instance, start_ms=now_ms, timings=TIMINGS)
        if "ask for full answers" in off:
            self.session.full = _NeverDue()  # type: ignore[assignment]  # the rule is switched off
        self._rng = rng
        self._safety = safety
        self._ended_by_log = ended_by_log
        self._watch: deque[Changes] = deque()
        self._tasks: list[_Task] = []
        self.session.take_changes(kube.open(self._watch), now_ms)

    def step(self, now_ms: int, fair: bool) -> bool:
        """One watch event or one task, then a look at what changed. Whether there was any."""
        if self._watch and (not self._tasks or self._rng.random() < 0.5):
            self.session.take_changes(self._watch.popleft(), now_ms)
        elif self._tasks:
            task = self._tasks.pop(self._rng.randrange(len(self._tasks)))
            self._do(task, now_ms, fair)
        elif not self.session.has_touched(now_ms):
            return False
        self._look(now_ms)
        return True

    def next_request(self, lane: str, now_ms: int) -> SyncRequest:
        """A new request of this lane, unless one is outstanding (then it is sent again as it is)."""
        waiting = self.outstanding[lane]
        if waiting is None:
            if lane == REPORTS:
                waiting = self.session.reports_request(now_ms, with_nodes=False)
            else:
                waiting = self.session.leases_request(now_ms, _WAIT_MS)
            self.outstanding[lane] = waiting
        return waiting

    def receive(self, lane: str, answer: SyncAnswer, now_ms: int) -> None:
        """Only the answer to the outstanding request of its lane is taken."""
        request = self.outstanding[lane]
        if request is None or answer.sequence != request.sequence:
            return
        self.outstanding[lane] = None
        self.session.take_answer(request, answer, now_ms)
        self._look(now_ms)

    def _look(self, now_ms: int) -> None:
        actions = self.session.look(now_ms, lock_valid=self.is_newest)
        self._tasks += [
            *actions.creates,
            *actions.deletes,
            *actions.reads,
            *actions.marks,
            *actions.releases,
        ]

    def _do(self, task: _Task, now_ms: int, fair: bool) -> None:
        match task:
            case Create():
                self._create(task, now_ms, fair)
            case _CreateBegun():
                self._await_create(task, now_ms, fair)
            case Delete():
                self._delete(task, now_ms, fair)
            case Mark() | Release():
                self._mark(task, fair)
            case Read():
                self._tasks.append(_ReadBegun(task.run_id, task.run_id in self.kube.pods, now_ms))
            case _ReadBegun():
                self.session.read_ended(task.run, found=task.found, began_ms=task.began_ms, now_ms=now_ms)

    def _create(self, task: Create, now_ms: int, fair: bool) -> None:
        if not self.session.create_stands(task, self.is_newest):
            self.session.create_ended(task.run_id, None, now_ms)
        elif not fair and self._rng.random() < 0.12:
            self.session.create_ended(task.run_id, Refused(RefusalKind.OTHER, "quota"), now_ms)
        else:
            run = self.session.desired.runs.get(task.run_id)
            self._safety.create_is_sent(task.run_id, run is not None and run.seen)
            in_trouble = not fair and self._rng.random() < 0.15
            sent = self.kube.send(task.lease, now_ms, in_trouble, self.instance)
            self._tasks.append(_CreateBegun(task.run_id, sent))

    def _await_create(self, task: _CreateBegun, now_ms: int, fair: bool) -> None:
        if task.sent.landed and (fair or self._rng.random() < 0.8):
            self.session.create_ended(task.run, Created(), now_ms)
        elif task.sent.landed or task.sent.expired or (not fair and self._rng.random() < 0.2):
            self.session.create_ended(task.run, Unknown("timed out"), now_ms)
        else:
            self._tasks.append(task)

    def _delete(self, task: Delete, now_ms: int, fair: bool) -> None:
        pod = self.kube.pods.get(task.run_id)
        stands = self.session.delete_stands(self.is_newest)
        if stands and pod is not None and pod.uid == task.uid and (fair or self._rng.random() < 0.9):
            if task.kind is not DeleteKind.TRIM:
                ending = self.session.desired.runs[task.run_id].ending
                in_trouble = ending is not None and ending.kind is EndKind.TROUBLE
                self._safety.pod_is_ended(pod, in_trouble or self._ended_by_log(task.run_id))
                if in_trouble:
                    self._safety.pod_in_trouble_is_ended(pod)
            self.kube.delete(pod, now_ms)
        self.session.delete_ended(task.run_id)

    def _mark(self, task: Mark | Release, fair: bool) -> None:
        pod = self.kube.pods.get(task.run_id)
        reached = self.session.delete_stands(self.is_newest) and (fair or self._rng.random() < 0.9)
        if reached and pod is not None and pod.uid == task.uid:
            if isinstance(task, Mark):
                self.kube.mark(pod, task.text)
            else:
                self.kube.release(pod)
        self.session.mark_ended(task.run_id, done=reached)
