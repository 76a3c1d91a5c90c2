"""A cluster in miniature: creates that take effect late or never, watch events that wait in a queue per watcher."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app.executor.cursor import Position
from app.executor.kubernetes import (
    Changes,
    ContainerPhase,
    ContainerStatus,
    Node,
    Pod,
    PodPhase,
    RunOfPod,
    pod_name,
)
from app.executor.protocol import Lease
from tests.property.protocol_model.names import CREATE_LANDS_MS_MAX, LOG, NODES

_CONTAINERS = {
    "running": ContainerStatus(name="main", phase=ContainerPhase.RUNNING, started_ms=0),
    "trouble": ContainerStatus(name="main", reason="ImagePullBackOff", message="connection refused"),
}
_PHASES = {"running": PodPhase.RUNNING, "trouble": PodPhase.PENDING, "done": PodPhase.SUCCEEDED}


@dataclass(slots=True)
class ModelPod:
    """state: running, trouble (its image cannot be pulled) or done. mark: the last word on it, which holds it.

    released: it is deleted but for that."""

    uid: str
    run: str
    job: str
    node: str
    cluster: str
    position: Position
    state: str
    created_ms: int
    finished_ms: int = 0
    deletion_ms: int | None = None
    mark: str = ""
    released: bool = False

    @property
    def lives(self) -> bool:
        return self.state != "done" and not self.released

    def seen(self) -> Pod:
        """The pod as the watch shows it."""
        done = ContainerStatus(
            name="main",
            phase=ContainerPhase.TERMINATED,
            exit_code=0,
            started_ms=self.created_ms,
            finished_ms=self.finished_ms,
        )
        return Pod(
            namespace="default",
            name=pod_name(self.run),
            uid=self.uid,
            run=RunOfPod(
                run_id=self.run, job_id=self.job, attempt=0, log=LOG, cluster=self.cluster, position=self.position
            ),
            node=self.node,
            phase=_PHASES[self.state],
            created_ms=self.created_ms,
            deletion_ms=self.deletion_ms,
            grace_seconds=0,
            containers=(_CONTAINERS.get(self.state, done),),
            mark=self.mark or None,
            held=bool(self.mark),
            released=self.released,
        )


@dataclass(slots=True)
class SentCreate:
    """A create on its way. landed: the pod exists (made now or before)."""

    lease: Lease
    sent_ms: int
    in_trouble: bool
    instance: str
    landed: bool = False
    expired: bool = False


@dataclass(slots=True)
class ModelKube:
    """One cluster. on_begin: told of each pod that begins."""

    cluster: str
    on_begin: Callable[[ModelPod], None]
    pods: dict[str, ModelPod] = field(default_factory=dict)
    creates: list[SentCreate] = field(default_factory=list)
    watchers: list[deque[Changes]] = field(default_factory=list)
    _uids: int = 0

    def open(self, watcher: deque[Changes]) -> Changes:
        """Everything that is there; what changes from here on goes to the watcher."""
        self.watchers.append(watcher)
        nodes = tuple(
            Node(name=name, allocatable={}, labels={}) for name, cluster in NODES.items() if cluster == self.cluster
        )
        return Changes(pods=tuple(pod.seen() for pod in self.pods.values()), nodes=nodes)

    def send(self, lease: Lease, now_ms: int, in_trouble: bool, instance: str) -> SentCreate:
        create = SentCreate(lease, now_ms, in_trouble, instance)
        self.creates.append(create)
        return create

    def land(self, create: SentCreate, now_ms: int) -> None:
        """A create takes effect, or its server-side time is over."""
        self.creates.remove(create)
        if now_ms > create.sent_ms + CREATE_LANDS_MS_MAX:
            create.expired = True
            return
        create.landed = True
        lease = create.lease
        if lease.run_id in self.pods:
            return
        self._uids += 1
        pod = ModelPod(
            uid=f"{self.cluster}{self._uids}",
            run=lease.run_id,
            job=lease.job_id,
            node=lease.node,
            cluster=self.cluster,
            position=lease.position,
            state="trouble" if create.in_trouble else "running",
            created_ms=now_ms,
        )
        self.pods[pod.run] = pod
        self._tell(Changes(pods=(pod.seen(),)))
        self.on_begin(pod)

    def finish(self, pod: ModelPod, now_ms: int) -> None:
        pod.state, pod.finished_ms = "done", now_ms
        self._tell(Changes(pods=(pod.seen(),)))

    def delete(self, pod: ModelPod, now_ms: int) -> None:
        """Asks for a deletion: a finished pod is removed at once, one that lives takes its time (`remove`)."""
        if not pod.lives:
            pod.deletion_ms = now_ms if pod.deletion_ms is None else pod.deletion_ms
            self.remove(pod)
        elif pod.deletion_ms is None:
            pod.deletion_ms = now_ms
            self._tell(Changes(pods=(pod.seen(),)))

    def remove(self, pod: ModelPod) -> None:
        if self.pods.get(pod.run) is not pod:
            return
        if pod.mark:
            pod.released = True
            self._tell(Changes(pods=(pod.seen(),)))
        else:
            del self.pods[pod.run]
            self._tell(Changes(deleted=(pod.seen(),)))

    def mark(self, pod: ModelPod, text: str) -> None:
        """Writes a last word on a pod; one that is being deleted cannot be held any more."""
        if pod.deletion_ms is None:
            pod.mark = text
            self._tell(Changes(pods=(pod.seen(),)))

    def release(self, pod: ModelPod) -> None:
        """Holds a pod no longer."""
        pod.mark = ""
        if pod.released:
            self.remove(pod)
        else:
            self._tell(Changes(pods=(pod.seen(),)))

    def _tell(self, changes: Changes) -> None:
        for watcher in self.watchers:
            watcher.append(changes)
