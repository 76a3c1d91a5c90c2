"""A Kubernetes cluster as the executor sees it: pods and nodes as values, and the `Cluster` protocol that the real
and the fake one implement.

Watching: `open` gives everything, `next_changes` what differs since; resource versions, bookmarks and lists after a
410 stay inside the implementation. Writing: every call says what is certain (`Created`, `Refused`) and what is not
(`Unknown`: it may have been sent). Times are ms since 1970 by the cluster's clock; quantities are Kubernetes text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.executor.cursor import Position
from app.pods.quantity import NO_RESOURCES, Resources

LABEL_PREFIX = "argosy.io/"
LABEL_RUN_ID = "argosy.io/run-id"
LABEL_JOB_ID = "argosy.io/job-id"
LABEL_ATTEMPT = "argosy.io/attempt"
LABEL_QUEUE = "argosy.io/queue"
LABEL_PREEMPTIBLE = "argosy.io/preemptible"
ANNOTATION_LOG = "argosy.io/log"
ANNOTATION_CLUSTER = "argosy.io/cluster"
ANNOTATION_POSITION = "argosy.io/position"
ANNOTATION_QUEUE = "argosy.io/queue"
ANNOTATION_JOB_SET = "argosy.io/job-set"
ANNOTATION_OWNER = "argosy.io/owner"
ANNOTATION_GANG_ID = "argosy.io/gang-id"
ANNOTATION_GANG_CARDINALITY = "argosy.io/gang-cardinality"
ANNOTATION_LAST_WORD = "argosy.io/last-word"
FINALIZER = "argosy.io/last-word"
"""on a troubled pod, from before its deletion until its run's last word was accepted"""
NODE_LABEL_POOL = "argosy.io/pool"
NODE_LABEL_TYPE = "argosy.io/node-type"


def pod_name(run_id: str) -> str:
    """The pod's name is the run's: that makes a create idempotent."""
    return f"argosy-{run_id}"


class PodPhase(StrEnum):
    """Kubernetes' own phases."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


TERMINAL_PHASES = frozenset({PodPhase.SUCCEEDED, PodPhase.FAILED})


class ContainerPhase(StrEnum):
    """Where a container stands."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    TERMINATED = "TERMINATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """A container's status. began: some process of it has run at some time."""

    name: str
    init: bool = False
    phase: ContainerPhase = ContainerPhase.WAITING
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None

    @property
    def began(self) -> bool:
        return self.started_ms is not None or self.phase is not ContainerPhase.WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOfPod:
    """Which run a pod says that it is (its labels and annotations). None of a pod = not one of any Argosy."""

    run_id: str
    job_id: str
    attempt: int
    log: str
    cluster: str
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod. reason and message are the pod's own (OutOfcpu, DeadlineExceeded, Evicted); deletion_ms: when its
    deletion was asked for.

    mark: the last word that some executor wrote on it (app.executor.marks); held: our finalizer keeps it; released:
    it is deleted but for that."""

    namespace: str
    name: str
    uid: str
    run: RunOfPod | None = None
    node: str | None = None
    phase: PodPhase = PodPhase.PENDING
    reason: str | None = None
    message: str | None = None
    created_ms: int = 0
    deletion_ms: int | None = None
    grace_seconds: int = 30
    priority: int = 0
    requests: Resources = NO_RESOURCES
    containers: tuple[ContainerStatus, ...] = ()
    mark: str | None = None
    held: bool = False
    released: bool = False

    @property
    def is_terminal(self) -> bool:
        """No container of this pod runs or ever will."""
        return self.phase in TERMINAL_PHASES or self.released

    @property
    def holds_room(self) -> bool:
        return self.node is not None and not self.is_terminal

    @property
    def began(self) -> bool:
        """Some container of it has run."""
        return any(container.began for container in self.containers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node. ready: its kubelet reports; on one that is not, nobody knows what still runs."""

    name: str
    allocatable: Mapping[str, str]
    labels: Mapping[str, str]
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs since the answer before. deleted: pods that are certainly gone (a DELETED event, or absent from a
    whole list), as last seen.

    The order between the tuples of one answer carries no meaning: a pod stands in at most one of them.
    """

    pods: tuple[Pod, ...] = ()
    deleted: tuple[Pod, ...] = ()
    nodes: tuple[Node, ...] = ()
    removed_nodes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pods or self.deleted or self.nodes or self.removed_nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodManifest:
    """A pod to create: its identity beside the whole object as Kubernetes JSON (metadata, spec)."""

    namespace: str
    name: str
    run: RunOfPod
    node: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Created:
    """The pod of this run exists: made now, or already there under the same name with this run's labels."""


class RefusalKind(StrEnum):
    """Why a pod was certainly not created."""

    INVALID = "INVALID"
    """the API server refuses this spec (422)"""
    FORBIDDEN = "FORBIDDEN"
    """not allowed here: quota, admission, rights (403)"""
    NAMESPACE_MISSING = "NAMESPACE_MISSING"
    NAME_TAKEN = "NAME_TAKEN"
    """another pod, not of this run, has the name (409)"""
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Refused:
    """The pod was certainly not created by this call."""

    kind: RefusalKind
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call may have been sent and may still take effect, up to its server-side timeout."""

    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The call certainly had no effect, for a reason that will pass: it is to be tried again."""

    message: str


CreateOutcome = Created | Refused | Unknown | NotSent


class ClusterAccessError(Exception):
    """the cluster cannot be used with what we were given (a kubeconfig, a service account); the message says why"""


class ClusterUnavailableError(Exception):
    """the cluster's API server does not answer"""


class LockHeldError(Exception):
    """another executor holds this cluster's lock"""


class Cluster(Protocol):
    """What the executor needs of a cluster. Methods may raise ClusterUnavailableError unless they say otherwise, and
    ClusterAccessError until the cluster has been reached once."""

    async def open(self) -> Changes:
        """Lists every pod and node; from here `next_changes` tells what differs. Called once."""
        ...

    async def next_changes(self, timeout_ms: int) -> Changes:
        """Waits until something differs, at most this long (then empty). Handles its own reconnecting; never raises
        ClusterUnavailableError."""
        ...

    async def create_pod(self, manifest: PodManifest, timeout_ms: int) -> CreateOutcome:
        """Creates a pod, idempotent by name. Never raises ClusterUnavailableError: what may have been sent is
        `Unknown`."""
        ...

    async def delete_pod(self, namespace: str, name: str, uid: str, grace_seconds: int) -> None:
        """Asks for the deletion of this very pod (uid); one that is gone is no error. grace_seconds 0 forces."""
        ...

    async def mark_pod(self, namespace: str, name: str, uid: str, mark: str) -> None:
        """Writes the last word of its run on this very pod, and holds it; one that is gone or being deleted is no
        error."""
        ...

    async def release_pod(self, namespace: str, name: str, uid: str) -> None:
        """Holds this very pod no longer; one that is gone is no error."""
        ...

    async def read_pod(self, namespace: str | None, name: str) -> Pod | None:
        """Reads a pod by name from the API server itself, not from a cache. No namespace: in whichever it is."""
        ...

    async def hold_lock(self, holder: str, duration_ms: int) -> None:
        """Takes or renews the cluster's lock (a Kubernetes Lease) for this holder. Raises LockHeldError when another
        holds it."""
        ...

    async def release_lock(self, holder: str) -> None:
        """Gives the lock back, if this holder has it."""
        ...

    async def close(self) -> None:
        """Ends the watch and closes connections; pods live on."""
        ...
