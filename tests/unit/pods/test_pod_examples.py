"""The examples: every manifest is one that Kubernetes and we accept; the submit script talks to a real HTTP server."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client.models.v1_pod import V1Pod

from app.pods.canonical import unpack_spec
from app.pods.gangs import gang_of_annotations
from app.pods.labels import validate_annotations, validate_labels
from app.pods.limits import PodLimits
from app.pods.prepare import prepare_pod
from app.pods.validation import validate_pod_spec

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
MANIFESTS = sorted((EXAMPLES / "jobs").glob("*.yaml"))


def pods_of(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


PODS = [(path, pod) for path in MANIFESTS for pod in pods_of(path)]
each_pod = pytest.mark.parametrize("pod", [pod for _, pod in PODS], ids=[pod["metadata"]["name"] for _, pod in PODS])


@each_pod
def test_every_manifest_is_a_valid_job(pod: Any) -> None:
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    assert validate_pod_spec(pod["spec"], path="spec", limits=PodLimits()) == []
    assert validate_labels(pod["metadata"].get("labels"), path="labels") == []
    assert validate_annotations(pod["metadata"].get("annotations"), path="annotations") == []


def test_the_members_of_the_gang_are_one_gang_and_complete() -> None:
    gangs = [gang_of_annotations(pod["metadata"].get("annotations") or {}, path="annotations") for _, pod in PODS]
    assert all(violations == [] for _, violations in gangs)
    members = [gang for gang, _ in gangs if gang is not None]
    assert len(set(map(str, members))) == 1
    assert members[0].cardinality == len(members) > 1


@each_pod
def test_every_completed_manifest_is_a_pod_to_the_kubernetes_client(pod: Any) -> None:
    prepared = prepare_pod(pod["spec"], priority_class="argosy-default", pools=(), limits=PodLimits())
    assert prepared.shape.resources["cpu"] > 0
    completed = V1Pod.model_validate(pod | {"spec": unpack_spec(prepared.packed_spec)})
    assert completed.spec is not None
    assert completed.spec.restart_policy == "Never"


def test_the_manifests_show_what_pods_can_have() -> None:
    specs = [pod["spec"] for _, pod in PODS]
    for part in ("initContainers", "affinity", "nodeSelector", "tolerations", "volumes", "securityContext"):
        assert any(part in spec for spec in specs), part
    assert any(len(spec["containers"]) > 1 for spec in specs)
    containers = [container for spec in specs for container in spec["containers"]]
    assert any("nvidia.com/gpu" in container["resources"]["limits"] for container in containers)
    assert any("exit 3" in " ".join(container["command"]) for container in containers)


class FakeApi:
    """Answers GraphQL calls by a script of (status, body); remembers the variables of all calls."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.script: list[tuple[int, Any]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.calls.append(call)
                status, answer = api.script.pop(0) if api.script else (200, api.accepted(call))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/graphql"

    def accepted(self, call: dict[str, Any]) -> Any:
        if "createQueues" in call["query"]:
            return {"data": {"createQueues": {"errors": []}}}
        jobs = call["variables"]["input"]["jobs"]
        results = [{"index": n, "jobId": f"job-{n}", "duplicate": False, "error": None} for n in range(len(jobs))]
        return {"data": {"submitJobs": {"results": results, "errors": []}}}

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    yield server
    server.close()


def submit(api: FakeApi, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "submit.py"), "--url", api.url, "--queue", "q", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_submit_creates_the_queue_and_submits_every_manifest_once(api: FakeApi) -> None:
    done = submit(api, "--create-queue", "--job-set", "s", "--request-id", "r", *map(str, MANIFESTS))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"job-{n}  {path.name}" for n, (path, _) in enumerate(PODS)]
    create, call = api.calls
    assert create["variables"] == {"queues": [{"name": "q"}]}
    given = call["variables"]["input"]
    assert (given["queue"], given["jobSet"], given["requestId"]) == ("q", "s", "r-0")
    assert given["podSpecs"] == [pod["spec"] for _, pod in PODS]
    assert [job["podSpecIndex"] for job in given["jobs"]] == list(range(len(PODS)))
    assert [job["annotations"] for job in given["jobs"]] == [pod["metadata"].get("annotations", {}) for _, pod in PODS]


def test_submit_cuts_many_copies_into_calls_of_a_thousand_with_request_ids_of_their_own(api: FakeApi) -> None:
    done = submit(api, "--count", "1250", "--request-id", "r", *map(str, MANIFESTS[:2]))
    assert done.returncode == 0
    inputs = [call["variables"]["input"] for call in api.calls]
    assert [len(each["jobs"]) for each in inputs] == [1000, 1000, 500]
    assert [each["requestId"] for each in inputs] == ["r-0", "r-1", "r-2"]
    assert [len(each["podSpecs"]) for each in inputs] == [2, 2, 2]
    assert len(done.stdout.splitlines()) == 2500


def test_submit_tries_again_with_the_same_request_id_while_the_server_is_away(api: FakeApi) -> None:
    away = {"errors": [{"message": "the log is away", "extensions": {"code": "UNAVAILABLE"}}]}
    api.script = [(503, {}), (200, away)]
    done = submit(api, str(MANIFESTS[0]))
    assert done.returncode == 0
    assert len({json.dumps(call) for call in api.calls}) == 1
    assert len(api.calls) == 3


def test_submit_names_what_was_refused_and_exits_with_1(api: FakeApi) -> None:
    wrong = {"code": "INVALID", "rule": "VAL3", "index": 0, "path": "podSpecs[0].containers[0]", "message": "too much"}
    results = [{"index": 0, "jobId": None, "duplicate": False, "error": wrong}]
    api.script = [(200, {"data": {"submitJobs": {"results": results, "errors": [wrong]}}})]
    done = submit(api, str(MANIFESTS[0]))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "INVALID   podSpecs[0].containers[0]: too much",
        f"INVALID   {MANIFESTS[0].name}: too much",
    ]


@pytest.mark.parametrize(
    ("status", "answer", "want"),
    [
        (400, {}, "answered 400"),
        (200, {"errors": [{"message": "no such field"}]}, "error: no such field"),
    ],
)
def test_submit_says_in_one_line_why_the_server_is_of_no_use_and_exits_with_2(
    api: FakeApi, status: int, answer: Any, want: str
) -> None:
    api.script = [(status, answer)]
    done = submit(api, str(MANIFESTS[0]))
    assert done.returncode == 2
    assert want in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(api.calls) == 1


@pytest.mark.parametrize("text", ["kind: Job", "just text", "a: [", "\x00"])
def test_submit_refuses_files_that_are_no_pods(api: FakeApi, tmp_path: Path, text: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    done = submit(api, str(file), str(tmp_path / "missing.yaml"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {file}: ")
    assert "Traceback" not in done.stderr
    assert api.calls == []


def test_a_queue_that_is_there_already_is_no_error(api: FakeApi) -> None:
    there = {"code": "CONFLICT", "path": "queues[0].name", "message": "exists"}
    api.script = [(200, {"data": {"createQueues": {"errors": [there]}}})]
    assert submit(api, "--create-queue", str(MANIFESTS[0])).returncode == 0
