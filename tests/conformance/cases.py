"""What a cluster must make of a job, real or fake: one case for each state and each trouble. Pure data.

A case is submitted as it stands to both clusters; what the GraphQL stream then says must be the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MISSING_NAMESPACE, FORBIDDEN_NAMESPACE = "missing-jobs", "forbidden-jobs"
LOST_NODE_LABEL, FULL_NODE_LABEL = "conformance.example/lost", "conformance.example/full"
MAX_ATTEMPTS = 2
LOW, HIGH = "conformance-low", "conformance-high"
CLASSES = {LOW: (100, True), HIGH: (200, False)}
"""priority class -> (priority, preemptible); beside the default ones"""
FULL_NODE_CPU = "1"


class Act(StrEnum):
    """What is done to the job when it shows `act_at`."""

    NOTHING = ""
    CANCEL = "it is cancelled"
    LOSE_NODE = "its node leaves the cluster"
    DELETE = "somebody else asks for its pod's deletion"
    PREEMPT = "a job of a higher class needs its node"
    LOSE_POD = "its executor is killed, and its pod removed before the next one comes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case. shows: kinds that come in this order, others may stand between; ends: the last kind; code, exit_code:
    of the first event that has a reason code. later: it is submitted when all others have ended, for what is done to it
    would touch them. members: annotations of each member, where the case is a gang; none of them ends before all run.
    only_fake: why kwok cannot play it."""

    name: str
    what: str
    spec: Mapping[str, Any]
    shows: tuple[str, ...]
    ends: str
    code: str | None = None
    exit_code: int | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "default"
    act: Act = Act.NOTHING
    act_at: str = ""
    later: bool = False
    members: tuple[Mapping[str, str], ...] = ()
    only_fake: str = ""

    @property
    def jobs(self) -> int:
        return len(self.members) or 1


def container(
    *command: str, image: str = "busybox:1.37", name: str = "main", cpu: str = "100m", **more: Any
) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu, "memory": "64Mi"}, "limits": {"cpu": cpu, "memory": "64Mi"}}
    return {"name": name, "image": image, "command": list(command), "resources": resources, **more}


def pod(*command: str, image: str = "busybox:1.37", **more: Any) -> dict[str, Any]:
    return {"containers": [container(*command, image=image)], "terminationGracePeriodSeconds": 1, **more}


def only_on(label: str) -> dict[str, Any]:
    """On nodes with this label, which are tainted with it: what is done to them must not meet other cases."""
    return {"nodeSelector": {label: "true"}, "tolerations": [{"key": label, "operator": "Exists"}]}


RAN = ("LEASED", "PENDING", "RUNNING")
HELD_UP = ("LEASED", "PENDING")
AGAIN = ("LEASED", "LEASE_RETURNED", "QUEUED", "LEASED", "LEASE_RETURNED")

PREEMPTOR = {
    **pod("sleep", "1", **only_on(FULL_NODE_LABEL), priorityClassName=HIGH),
    "containers": [container("sleep", "1", cpu="700m")],
}
"""what takes the room of the case `preempted`; it must succeed"""

CASES = (
    Case(name="sleeps", what="sleeps and ends well", spec=pod("sleep", "2"), shows=RAN, ends="SUCCEEDED"),
    Case(name="echoes", what="ends at once", spec=pod("echo", "hello"), shows=("LEASED",), ends="SUCCEEDED"),
    Case(
        name="shell",
        what="several commands in a shell",
        spec=pod("sh", "-c", "echo a; sleep 1; ls"),
        shows=RAN,
        ends="SUCCEEDED",
    ),
    Case(
        name="exit-code",
        what="exits with code 3 from a shell",
        spec=pod("sh", "-c", "sleep 1; exit 3"),
        shows=RAN,
        ends="FAILED",
        code="ExitCode",
        exit_code=3,
    ),
    Case(
        name="false",
        what="exits with code 1",
        spec=pod("false"),
        shows=("LEASED",),
        ends="FAILED",
        code="ExitCode",
        exit_code=1,
    ),
    Case(
        name="message",
        what="exits with code 4 and a termination message",
        spec=pod("sh", "-c", "sleep 1; exit 4"),
        annotations={"fake-cluster/message": "disk full"},
        shows=RAN,
        ends="FAILED",
        code="ExitCode",
        exit_code=4,
    ),
    Case(
        name="several-containers",
        what="two containers, of which one fails",
        spec={
            "containers": [container("sleep", "1"), container("sh", "-c", "sleep 2; exit 5", name="second")],
            "terminationGracePeriodSeconds": 1,
        },
        shows=RAN,
        ends="FAILED",
        code="ExitCode",
        exit_code=5,
    ),
    Case(
        name="init-container",
        what="an init container, then the main one",
        spec=pod("sleep", "1", initContainers=[container("true", name="prepare")]),
        shows=RAN,
        ends="SUCCEEDED",
    ),
    Case(
        name="init-container-fails",
        what="an init container exits with code 6; the main one never begins",
        spec=pod("sleep", "1", initContainers=[container("sh", "-c", "exit 6", name="prepare")]),
        shows=("LEASED",),
        ends="FAILED",
        code="ExitCode",
        exit_code=6,
    ),
    Case(
        name="out-of-memory",
        what="takes more memory than its limit",
        spec=pod("tail", "/dev/zero"),
        shows=("LEASED",),
        ends="FAILED",
        code="OutOfMemory",
        exit_code=137,
    ),
    Case(
        name="deadline",
        what="runs longer than its activeDeadlineSeconds",
        spec=pod("sleep", "600", activeDeadlineSeconds=3),
        shows=RAN,
        ends="FAILED",
        code="DeadlineExceeded",
        exit_code=137,
    ),
    Case(
        name="slow-start",
        what="its containers begin after three seconds",
        spec=pod("sleep", "1"),
        annotations={"fake-cluster/start-delay-ms": "3000"},
        shows=RAN,
        ends="SUCCEEDED",
    ),
    Case(
        name="image-not-found",
        what="the registry has no such image",
        spec=pod("sleep", "1", image="registry.example.com/team/unknown:1"),
        shows=HELD_UP,
        ends="FAILED",
        code="ImageNotFound",
    ),
    Case(
        name="image-name-invalid",
        what="the image's name is none",
        spec=pod("sleep", "1", image="Registry.example.com/Team/IMAGE:1"),
        shows=("LEASED",),
        ends="FAILED",
        code="ImageInvalid",
    ),
    Case(
        name="image-unavailable",
        what="the registry cannot be reached, at every attempt",
        spec=pod("sleep", "1", image="registry.example.com/unreachable/x:1"),
        shows=AGAIN,
        ends="FAILED",
        code="ImageUnavailable",
    ),
    Case(
        name="namespace-missing",
        what="the namespace does not exist, at every attempt",
        spec=pod("sleep", "1"),
        namespace=MISSING_NAMESPACE,
        shows=AGAIN,
        ends="FAILED",
        code="NamespaceMissing",
    ),
    Case(
        name="create-forbidden",
        what="the executor has no rights in the namespace",
        spec=pod("sleep", "1"),
        namespace=FORBIDDEN_NAMESPACE,
        shows=("LEASED",),
        ends="FAILED",
        code="CreateForbidden",
    ),
    Case(
        name="spec-invalid",
        what="the API server refuses the spec: `dnsPolicy: None` without name servers",
        spec=pod("sleep", "1", dnsPolicy="None"),
        shows=("LEASED",),
        ends="FAILED",
        code="SpecInvalid",
    ),
    Case(
        name="admission-refused",
        what="the node's kubelet refuses the pod; then it is cancelled",
        spec=pod("sleep", "1"),
        annotations={"fake-cluster/refuse": "OutOfcpu"},
        shows=("LEASED", "LEASE_RETURNED", "QUEUED"),
        ends="CANCELLED",
        code="AdmissionRefused",
        act=Act.CANCEL,
        act_at="LEASE_RETURNED",
    ),
    Case(
        name="deleted-by-others",
        what="somebody else removes the running pod",
        spec=pod("sleep", "600"),
        annotations={"fake-cluster/delete-after-ms": "2000"},
        shows=RAN,
        ends="FAILED",
        code="DeletedExternally",
    ),
    Case(
        name="node-lost",
        what="the node leaves the cluster under the running pod; the job runs again elsewhere",
        spec=pod("sleep", "2", **only_on(LOST_NODE_LABEL)),
        annotations={"fake-cluster/lose-node-after-ms": "2000"},
        shows=("LEASED", "RUNNING", "LEASE_RETURNED", "QUEUED", "LEASED", "RUNNING"),
        ends="SUCCEEDED",
        code="NodeLost",
        act=Act.LOSE_NODE,
        act_at="RUNNING",
    ),
    Case(
        name="stuck-starting",
        what="its containers do not begin in time, at every attempt",
        spec=pod("sleep", "1"),
        annotations={"fake-cluster/start-delay-ms": "600000"},
        shows=AGAIN,
        ends="FAILED",
        code="StuckStarting",
    ),
    Case(
        name="stuck-terminating",
        what="somebody else asks for the running pod's deletion, and it does not stop",
        spec=pod("sleep", "600"),
        annotations={"fake-cluster/hang-after-ms": "2000"},
        shows=RAN,
        ends="FAILED",
        code="StuckTerminating",
        act=Act.DELETE,
        act_at="RUNNING",
    ),
    Case(
        name="pod-lost",
        what="the pod vanishes while its executor is away, and nobody saw how it ended",
        spec=pod("sleep", "600"),
        annotations={"fake-cluster/delete-after-ms": "2500"},
        shows=RAN,
        ends="FAILED",
        code="PodLost",
        act=Act.LOSE_POD,
        act_at="RUNNING",
        later=True,
    ),
    Case(
        name="preempted",
        what="a job of a higher priority class takes the room of the running pod",
        spec={
            **pod("sleep", "600", **only_on(FULL_NODE_LABEL), priorityClassName=LOW),
            "containers": [container("sleep", "600", cpu="700m")],
        },
        shows=(*RAN, "PREEMPTING", "PREEMPTED"),
        ends="FAILED",
        code="UrgencyPreemption",
        act=Act.PREEMPT,
        act_at="RUNNING",
    ),
    Case(
        name="gang-waits",
        what="a gang of two, of which the first waits until the second has begun",
        spec=pod("sleep", "1"),
        annotations={"fake-cluster/wait-for-gang": "true"},
        members=({"fake-cluster/start-delay-ms": "100"}, {"fake-cluster/start-delay-ms": "4000"}),
        shows=RAN,
        ends="SUCCEEDED",
        only_fake="pods of kwok know nothing of each other",
    ),
    Case(
        name="gang",
        what="a gang of two that run together",
        spec=pod("sleep", "8"),
        members=({}, {}),
        shows=RAN,
        ends="SUCCEEDED",
    ),
    Case(
        name="cancelled-running",
        what="cancelled while it runs",
        spec=pod("sleep", "600"),
        shows=(*RAN, "CANCELLING"),
        ends="CANCELLED",
        act=Act.CANCEL,
        act_at="RUNNING",
    ),
    Case(
        name="cancelled-pending",
        what="cancelled before its containers begin",
        spec=pod("sleep", "600"),
        annotations={"fake-cluster/start-delay-ms": "600000"},
        shows=("LEASED", "PENDING", "CANCELLING"),
        ends="CANCELLED",
        act=Act.CANCEL,
        act_at="PENDING",
    ),
)
