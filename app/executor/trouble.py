"""What went wrong with a pod or its creation, as a typed reason and a message that a person can act on (features.md
X3–X7). Pure.

Inputs: a pod as the cluster shows it, or the refusal of a create. Outputs: a `Word` to be said once the run is
certainly over. FAILED ends the job (or uses its retry policy); RETURNED queues it again, elsewhere if it was
attempted."""

from dataclasses import dataclass
from enum import StrEnum

from app.executor.desired import Word
from app.executor.kubernetes import ContainerPhase, ContainerStatus, Pod, PodPhase, RefusalKind, Refused
from app.executor.protocol import ReportState
from app.executor.timings import Timings


class TroubleReason(StrEnum):
    """The closed set of reasons in reports of FAILED and RETURNED."""

    EXIT_CODE = "ExitCode"
    OUT_OF_MEMORY = "OutOfMemory"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    EVICTED = "Evicted"
    POD_FAILED = "PodFailed"
    ADMISSION_REFUSED = "AdmissionRefused"
    IMAGE_INVALID = "ImageInvalid"
    IMAGE_NOT_FOUND = "ImageNotFound"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    CONTAINER_CONFIG = "ContainerConfig"
    STUCK_STARTING = "StuckStarting"
    STUCK_TERMINATING = "StuckTerminating"
    NODE_LOST = "NodeLost"
    DELETED_EXTERNALLY = "DeletedExternally"
    POD_LOST = "PodLost"
    SPEC_INVALID = "SpecInvalid"
    CREATE_FORBIDDEN = "CreateForbidden"
    NAMESPACE_MISSING = "NamespaceMissing"
    NAME_TAKEN = "NameTaken"
    CREATE_REFUSED = "CreateRefused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A living pod that will not become well: from `at_ms` on it is to be deleted, and `word` said after."""

    word: Word
    at_ms: int


POD_LOST = Word(
    state=ReportState.FAILED,
    reason=TroubleReason.POD_LOST,
    message="the pod of this run is not in the cluster any more, and nobody saw how it ended",
)
DELETED_EXTERNALLY = Word(
    state=ReportState.FAILED,
    reason=TroubleReason.DELETED_EXTERNALLY,
    message="the pod was deleted by somebody else than Argosy",
)

_ADMISSION_REASONS = frozenset(
    {"NodeAffinity", "NodePorts", "UnexpectedAdmissionError", "NodeShutdown", "TopologyAffinityError"}
)
_NOT_FOUND = ("not found", "manifest unknown", "does not exist", "no such image", "repository does not exist")
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_REFUSALS = {
    RefusalKind.INVALID: (ReportState.FAILED, TroubleReason.SPEC_INVALID, "the API server refuses this pod spec"),
    RefusalKind.FORBIDDEN: (ReportState.FAILED, TroubleReason.CREATE_FORBIDDEN, "the cluster does not allow this pod"),
    RefusalKind.NAMESPACE_MISSING: (
        ReportState.RETURNED,
        TroubleReason.NAMESPACE_MISSING,
        "the cluster has no such namespace",
    ),
    RefusalKind.NAME_TAKEN: (ReportState.RETURNED, TroubleReason.NAME_TAKEN, "another pod has this run's name"),
    RefusalKind.OTHER: (ReportState.RETURNED, TroubleReason.CREATE_REFUSED, "the cluster refused to create the pod"),
}


def word_of_refusal(refused: Refused) -> Word:
    """What a certain refusal of a create means for the run (X3): a bad spec fails, anything else is returned as
    attempted."""
    state, reason, text = _REFUSALS[refused.kind]
    return Word(state=state, reason=reason, message=f"{text}: {refused.message}")


def word_of_terminal(pod: Pod, deleted_by_us: bool) -> Word:
    """What a pod in a terminal phase means for a run that nobody ended."""
    if pod.phase is PodPhase.SUCCEEDED:
        return Word(state=ReportState.SUCCEEDED, exit_code=0)
    if _refused_at_admission(pod):
        return Word(
            state=ReportState.RETURNED,
            reason=TroubleReason.ADMISSION_REFUSED,
            message=f"node {pod.node} refused the pod: {pod.reason}: {pod.message or ''}".rstrip(": "),
            attempted=False,
        )
    if pod.reason == "DeadlineExceeded":
        message = pod.message or "the pod ran longer than its deadline"
        return _failed(TroubleReason.DEADLINE_EXCEEDED, message, _exit_code(pod))
    if pod.reason == "Evicted":
        return _failed(TroubleReason.EVICTED, f"node {pod.node} evicted the pod: {pod.message or ''}", _exit_code(pod))
    if pod.deletion_ms is not None and not deleted_by_us:
        return Word(
            state=ReportState.FAILED,
            reason=TroubleReason.DELETED_EXTERNALLY,
            message=DELETED_EXTERNALLY.message,
            exit_code=_exit_code(pod),
        )
    return _word_of_exit(pod)


def trouble_of(pod: Pod, timings: Timings) -> Trouble | None:
    """What will be wrong with a living pod unless it gets on, and from when; None while it runs."""
    if pod.deletion_ms is not None:
        return _trouble_of_deleted(pod, timings)
    if pod.phase is not PodPhase.PENDING:
        return None
    waiting = [container for container in pod.containers if container.phase is ContainerPhase.WAITING]
    for container in waiting:
        found = _trouble_of_waiting(container, pod, timings)
        if found is not None:
            return found
    if any(container.phase is ContainerPhase.RUNNING for container in pod.containers):
        return None
    progress_ms = max([pod.created_ms, *(c.finished_ms for c in pod.containers if c.finished_ms is not None)])
    message = f"no container has begun within {timings.stuck_starting_ms // 1000} s on node {pod.node}"
    reasons = sorted({container.reason for container in waiting if container.reason})
    if reasons:
        message += f" ({', '.join(reasons)})"
    word = Word(state=ReportState.RETURNED, reason=TroubleReason.STUCK_STARTING, message=message, attempted=True)
    return Trouble(word=word, at_ms=progress_ms + timings.stuck_starting_ms)


def trouble_of_lost_node(pod: Pod, lost_ms: int, timings: Timings) -> Trouble:
    """A living pod whose node is not in the cluster any more: nobody will ever say how it ended."""
    word = Word(
        state=ReportState.RETURNED,
        reason=TroubleReason.NODE_LOST,
        message=f"node {pod.node} is not in the cluster any more; what ran on it is lost",
    )
    return Trouble(word=word, at_ms=lost_ms + timings.node_lost_ms)


def _trouble_of_deleted(pod: Pod, timings: Timings) -> Trouble:
    """A living pod that somebody else is deleting should be gone soon after its grace time."""
    assert pod.deletion_ms is not None, "being deleted"
    word = _failed(
        TroubleReason.STUCK_TERMINATING,
        f"{DELETED_EXTERNALLY.message}, and did not end within its grace time of {pod.grace_seconds} s",
    )
    return Trouble(word=word, at_ms=pod.deletion_ms + pod.grace_seconds * 1_000 + timings.force_delete_ms)


def finished_ms(pod: Pod) -> int:
    """When a terminal pod finished, as far as its containers tell."""
    return max([pod.created_ms, *(c.finished_ms for c in pod.containers if c.finished_ms is not None)])


def _trouble_of_waiting(container: ContainerStatus, pod: Pod, timings: Timings) -> Trouble | None:
    reason, message = container.reason or "", container.message or ""
    if reason == "InvalidImageName":
        word = _failed(TroubleReason.IMAGE_INVALID, f"container {container.name}: not an image name: {message}")
        return Trouble(word=word, at_ms=pod.created_ms)
    if reason in ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"):
        if any(text in message.lower() for text in _NOT_FOUND):
            word = _failed(
                TroubleReason.IMAGE_NOT_FOUND, f"container {container.name}: there is no such image: {message}"
            )
            return Trouble(word=word, at_ms=pod.created_ms + timings.image_not_found_ms)
        text = f"container {container.name}: its image cannot be pulled: {message}"
        word = Word(state=ReportState.RETURNED, reason=TroubleReason.IMAGE_UNAVAILABLE, message=text)
        return Trouble(word=word, at_ms=pod.created_ms + timings.image_unavailable_ms)
    if reason in _CONFIG_REASONS:
        text = f"container {container.name} cannot be made: {reason}: {message}"
        return Trouble(
            word=_failed(TroubleReason.CONTAINER_CONFIG, text), at_ms=pod.created_ms + timings.stuck_starting_ms
        )
    return None


def _refused_at_admission(pod: Pod) -> bool:
    reason = pod.reason or ""
    return not pod.began and (reason in _ADMISSION_REASONS or reason.startswith("OutOf"))


def _word_of_exit(pod: Pod) -> Word:
    failed = [c for c in pod.containers if c.phase is ContainerPhase.TERMINATED and c.exit_code]
    failed.sort(key=lambda container: container.finished_ms or 0)
    if not failed:
        return _failed(
            TroubleReason.POD_FAILED,
            f"the pod failed: {pod.reason or 'no reason given'}: {pod.message or ''}".rstrip(": "),
        )
    first = failed[0]
    kind = "init container" if first.init else "container"
    if first.reason == "OOMKilled":
        return _failed(
            TroubleReason.OUT_OF_MEMORY, f"{kind} {first.name} used more memory than its limit", first.exit_code
        )
    message = f"{kind} {first.name} exited with code {first.exit_code}"
    if first.message:
        message += f": {first.message}"
    return _failed(TroubleReason.EXIT_CODE, message, first.exit_code)


def _exit_code(pod: Pod) -> int | None:
    return next((c.exit_code for c in pod.containers if c.exit_code), None)


def _failed(reason: TroubleReason, message: str, exit_code: int | None = None) -> Word:
    return Word(state=ReportState.FAILED, reason=reason, message=message.rstrip(": "), exit_code=exit_code)
