"""Kubernetes JSON -> pods and nodes; answers to creates -> outcomes; marks."""

import json
from typing import Any

import pytest
from msgspec.json import Decoder

from app.executor.desired import Word
from app.executor.kube.calls import Answer
from app.executor.kube.objects import NodeJson, PodJson, PodReader, node_of
from app.executor.kube.outcomes import outcome_of_create
from app.executor.kubernetes import ContainerPhase, Created, NotSent, Pod, PodPhase, RefusalKind, Refused, Unknown
from app.executor.marks import mark_text, word_of_mark
from app.executor.protocol import ReportState
from tests.unit.executor.builders import an_id

NOW = "2026-11-24T07:00:00Z"
NOW_MS = 1_795_503_600_000


def read(
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    reader: PodReader | None = None,
    **meta: Any,
) -> Pod:
    body = {
        "metadata": {"name": "p", "uid": "u", "namespace": "default", "creationTimestamp": NOW, **meta},
        "spec": {"nodeName": "n0", "containers": [{"name": "main"}], **(spec or {})},
        "status": status or {},
    }
    return (reader or PodReader()).pod(Decoder(PodJson).decode(json.dumps(body)))


def test_a_pod_of_ours_is_known_by_its_labels_and_annotations() -> None:
    pod = read(
        name=f"argosy-{an_id(1)}",
        labels={"argosy.io/run-id": an_id(1), "argosy.io/job-id": an_id(2), "argosy.io/attempt": "3"},
        annotations={"argosy.io/log": "l", "argosy.io/cluster": "c", "argosy.io/position": "1-2-3"},
    )
    assert pod.run is not None
    assert (pod.run.run_id, pod.run.job_id, pod.run.attempt, pod.run.log) == (an_id(1), an_id(2), 3, "l")
    assert read(name="somebody").run is None


def test_containers_show_how_they_ended() -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled", "message": "out", "startedAt": NOW, "finishedAt": NOW}
    pod = read(status={"phase": "Failed", "containerStatuses": [{"name": "main", "state": {"terminated": ended}}]})
    (container,) = pod.containers
    assert pod.phase is PodPhase.FAILED
    assert (container.phase, container.exit_code, container.reason) == (ContainerPhase.TERMINATED, 137, "OOMKilled")
    assert (container.started_ms, container.finished_ms, container.message) == (NOW_MS, NOW_MS, "out")


def test_a_sidecar_that_is_killed_at_the_end_is_not_blamed() -> None:
    killed = {"name": "proxy", "state": {"terminated": {"exitCode": 143}}}
    pod = read(
        {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "setup"}]},
        {"phase": "Failed", "initContainerStatuses": [killed, {"name": "setup", "state": {"waiting": {}}}]},
    )
    assert [container.name for container in pod.containers] == ["setup"]


def test_a_deletion_was_asked_for_a_grace_time_before_its_stamp() -> None:
    pod = read(deletionTimestamp=NOW, deletionGracePeriodSeconds=30)
    assert pod.deletion_ms == NOW_MS - 30_000
    assert not pod.is_terminal


def test_a_pod_that_only_our_finalizer_keeps_runs_no_more() -> None:
    mark = mark_text(Word(state=ReportState.RETURNED, reason="ImageUnavailable"))
    held: dict[str, Any] = {"finalizers": ["argosy.io/last-word"], "annotations": {"argosy.io/last-word": mark}}
    assert read(**held).mark == mark
    assert not read(**held, deletionTimestamp=NOW, deletionGracePeriodSeconds=30).is_terminal
    assert read(**held, deletionTimestamp=NOW, deletionGracePeriodSeconds=0).is_terminal
    assert not read(finalizers=["other"], deletionTimestamp=NOW, deletionGracePeriodSeconds=0).is_terminal


def test_what_a_pod_asks_for_is_read_again_when_its_spec_changes() -> None:
    reader = PodReader()

    def ask(cpu: str, generation: int) -> int:
        container = {"name": "main", "resources": {"requests": {"cpu": cpu}}}
        return read({"containers": [container]}, reader=reader, generation=generation).requests["cpu"]

    assert (ask("1", 1), ask("2", 2)) == (1_000, 2_000)


def test_a_node_without_capacity_has_no_room_and_nonsense_is_left_out() -> None:
    node = node_of(Decoder(NodeJson).decode(b'{"metadata": {"name": "n", "uid": "u"}}'))
    assert (dict(node.allocatable), node.ready, node.unschedulable) == ({}, False, False)
    text = {
        "metadata": {"name": "n", "uid": "u"},
        "status": {"allocatable": {"cpu": "4", "x": "many"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    node = node_of(Decoder(NodeJson).decode(json.dumps(text)))
    assert (dict(node.allocatable), node.ready) == ({"cpu": "4"}, True)


def answer(status: int, reason: str = "", message: str = "m") -> Answer:
    return Answer(status, json.dumps({"reason": reason, "message": message}).encode())


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (422, "spec.containers[0].image: Required value", RefusalKind.INVALID),
        (400, "cannot unmarshal", RefusalKind.INVALID),
        (403, "exceeded quota", RefusalKind.FORBIDDEN),
        (403, "namespace x is being terminated", RefusalKind.NAMESPACE_MISSING),
        (404, 'namespaces "x" not found', RefusalKind.NAMESPACE_MISSING),
        (500, "failed calling webhook", RefusalKind.OTHER),
    ],
)
def test_what_is_certain_is_a_refusal(status: int, message: str, kind: RefusalKind) -> None:
    outcome = outcome_of_create(answer(status, message=message), "x")
    assert isinstance(outcome, Refused)
    assert outcome.kind is kind
    assert message in outcome.message


def test_other_answers_are_success_not_sent_or_unknown() -> None:
    assert isinstance(outcome_of_create(answer(201), "x"), Created)
    assert outcome_of_create(answer(409, "AlreadyExists"), "x") is None
    assert isinstance(outcome_of_create(answer(429), "x"), NotSent)
    assert isinstance(outcome_of_create(answer(401), "x"), NotSent)
    starting = answer(403, "Forbidden", 'pods "p" is forbidden: not yet ready to handle request')
    assert isinstance(outcome_of_create(starting, "x"), NotSent)
    assert isinstance(outcome_of_create(answer(500, "InternalError", "etcdserver: request timed out"), "x"), Unknown)
    assert isinstance(outcome_of_create(answer(504), "x"), Unknown)


def test_a_mark_says_the_word_again_and_nonsense_says_nothing() -> None:
    word = Word(state=ReportState.FAILED, reason="ImageNotFound", message="no such image", exit_code=3)
    assert word_of_mark(mark_text(word)) == word
    assert word_of_mark("{") is None
    assert word_of_mark('{"state": "SUCCEEDED"}') is None
