"""Pods and refusals become typed reasons with a message that a person can act on."""

from typing import Any

import pytest

from app.executor.kubernetes import ContainerPhase, ContainerStatus, Pod, PodPhase
from app.executor.timings import DEFAULT_TIMINGS
from app.executor.trouble import trouble_of, word_of_terminal
from tests.unit.executor.builders import START_MS, a_pod


def ended(
    name: str, exit_code: int, *, init: bool = False, reason: str = "Error", message: str | None = None, at_ms: int = 5
) -> ContainerStatus:
    return ContainerStatus(
        name=name,
        init=init,
        phase=ContainerPhase.TERMINATED,
        reason=reason,
        message=message,
        exit_code=exit_code,
        started_ms=1,
        finished_ms=at_ms,
    )


def failed(*containers: ContainerStatus, **more: Any) -> Pod:
    return a_pod(1, PodPhase.FAILED, containers=containers, **more)


@pytest.mark.parametrize(
    ("pod", "want_state", "want_reason", "want_exit_code", "want_message"),
    [
        (a_pod(1, PodPhase.SUCCEEDED), "SUCCEEDED", None, 0, None),
        (failed(ended("main", 3)), "FAILED", "ExitCode", 3, "container main exited with code 3"),
        (
            failed(ended("main", 3, message="no input")),
            "FAILED",
            "ExitCode",
            3,
            "container main exited with code 3: no input",
        ),
        (failed(ended("setup", 2, init=True)), "FAILED", "ExitCode", 2, "init container setup exited with code 2"),
        (
            failed(ended("b", 4, at_ms=9), ended("a", 5, at_ms=3)),
            "FAILED",
            "ExitCode",
            5,
            "container a exited with code 5",
        ),
        (
            failed(ended("ok", 0), ended("main", 137, reason="OOMKilled")),
            "FAILED",
            "OutOfMemory",
            137,
            "container main used more memory than its limit",
        ),
        (
            failed(ended("main", 137), reason="DeadlineExceeded"),
            "FAILED",
            "DeadlineExceeded",
            137,
            "the pod ran longer than its deadline",
        ),
        (
            failed(ended("main", 137), reason="Evicted", message="disk"),
            "FAILED",
            "Evicted",
            137,
            "node n0 evicted the pod: disk",
        ),
        (
            failed(ended("main", 143), deletion_ms=4),
            "FAILED",
            "DeletedExternally",
            143,
            "the pod was deleted by somebody else than Argosy",
        ),
        (
            failed(ContainerStatus(name="main"), reason="OutOfcpu", message="full"),
            "RETURNED",
            "AdmissionRefused",
            None,
            "node n0 refused the pod: OutOfcpu: full",
        ),
        (
            failed(ContainerStatus(name="main"), reason="NodeAffinity"),
            "RETURNED",
            "AdmissionRefused",
            None,
            "node n0 refused the pod: NodeAffinity",
        ),
        (failed(reason="Strange", message="odd"), "FAILED", "PodFailed", None, "the pod failed: Strange: odd"),
        (failed(), "FAILED", "PodFailed", None, "the pod failed: no reason given"),
    ],
)
def test_a_finished_pod_is_classified(
    pod: Pod, want_state: str, want_reason: str | None, want_exit_code: int | None, want_message: str | None
) -> None:
    word = word_of_terminal(pod, deleted_by_us=False)
    assert (word.state, word.reason, word.exit_code, word.message) == (
        want_state,
        want_reason,
        want_exit_code,
        want_message,
    )


def test_a_refusal_at_admission_is_not_an_attempt_but_one_after_a_start_is_a_failure() -> None:
    assert not word_of_terminal(
        failed(ContainerStatus(name="main"), reason="OutOfmemory"), deleted_by_us=False
    ).attempted
    assert word_of_terminal(failed(ended("main", 1), reason="OutOfmemory"), deleted_by_us=False).state == "FAILED"


@pytest.mark.parametrize(
    ("reason", "message", "want_state", "want_reason", "want_after_ms"),
    [
        ("InvalidImageName", "bad", "FAILED", "ImageInvalid", 0),
        ("ErrImagePull", "manifest unknown", "FAILED", "ImageNotFound", DEFAULT_TIMINGS.image_not_found_ms),
        ("ImagePullBackOff", "Not Found", "FAILED", "ImageNotFound", DEFAULT_TIMINGS.image_not_found_ms),
        (
            "ImagePullBackOff",
            "connection refused",
            "RETURNED",
            "ImageUnavailable",
            DEFAULT_TIMINGS.image_unavailable_ms,
        ),
        ("CreateContainerConfigError", "no secret", "FAILED", "ContainerConfig", DEFAULT_TIMINGS.stuck_starting_ms),
        ("ContainerCreating", None, "RETURNED", "StuckStarting", DEFAULT_TIMINGS.stuck_starting_ms),
    ],
)
def test_a_waiting_pod_is_in_trouble_after_its_grace(
    reason: str, message: str | None, want_state: str, want_reason: str, want_after_ms: int
) -> None:
    pod = a_pod(1, PodPhase.PENDING, containers=(ContainerStatus(name="main", reason=reason, message=message),))
    trouble = trouble_of(pod, DEFAULT_TIMINGS)
    assert trouble is not None
    assert (trouble.word.state, trouble.word.reason) == (want_state, want_reason)
    assert trouble.at_ms == START_MS + want_after_ms
    assert trouble.word.attempted


def test_progress_of_init_containers_gives_more_time() -> None:
    containers = (ended("setup", 0, init=True, at_ms=START_MS + 1_000), ContainerStatus(name="main"))
    trouble = trouble_of(a_pod(1, PodPhase.PENDING, containers=containers), DEFAULT_TIMINGS)
    assert trouble is not None
    assert trouble.at_ms == START_MS + 1_000 + DEFAULT_TIMINGS.stuck_starting_ms


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(1),
        a_pod(
            1,
            PodPhase.PENDING,
            containers=(
                ContainerStatus(name="i", init=True, phase=ContainerPhase.RUNNING, started_ms=1),
                ContainerStatus(name="main"),
            ),
        ),
    ],
)
def test_what_runs_or_initialises_is_in_no_trouble(pod: Pod) -> None:
    assert trouble_of(pod, DEFAULT_TIMINGS) is None


def test_a_pod_that_somebody_else_deletes_has_its_grace_time_and_some_more() -> None:
    trouble = trouble_of(a_pod(1, deletion_ms=START_MS, grace_seconds=5), DEFAULT_TIMINGS)
    assert trouble is not None
    assert trouble.word.reason == "StuckTerminating"
    assert trouble.at_ms == START_MS + 5_000 + DEFAULT_TIMINGS.force_delete_ms
