"""Bad input through the running stack, from the socket to the log and back: a typed error that names the field, nothing
written, nobody dies."""

import json
import random
import string
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.domain.ids import format_id
from app.log.admin import topic_bounds
from app.log.topics import COMMANDS
from tests.stack.whole_stack import WholeStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

MIB = 1 << 20
SUBMIT = """mutation ($input: SubmitJobsInput!, $waitFor: WaitFor) {
  submitJobs(input: $input, waitFor: $waitFor) {
    position results { index jobId error { code path message } } errors { code rule index path message } } }"""
SUBSCRIBE = """subscription ($queue: String!, $jobSet: String!, $after: Cursor) {
  jobSetEvents(queue: $queue, jobSet: $jobSet, after: $after, live: false) { events { id kind } cursor caughtUp } }"""
QUEUE = "bad-input"


@pytest.fixture(scope="module")
def client(stack: WholeStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=60.0) as made:
        query = (
            "mutation ($queues: [QueueInput!]!) { createQueues(queues: $queues, waitFor: VISIBLE) { errors { code } } }"
        )
        graphql(made, query, {"queues": [{"name": QUEUE}, {"name": f"{QUEUE}-2"}]})
        yield made


def graphql(client: httpx.Client, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The whole answer."""
    answer: dict[str, Any] = client.post("/graphql", json={"query": query, "variables": variables}).json()
    return answer


def submit(client: httpx.Client, *jobs: dict[str, Any], queue: str = QUEUE, **more: Any) -> dict[str, Any]:
    """The payload of submitJobs."""
    variables = {"input": {"queue": queue, "jobSet": "bad", "jobs": list(jobs), **more}, "waitFor": "APPLIED"}
    payload: dict[str, Any] = graphql(client, SUBMIT, variables)["data"]["submitJobs"]
    return payload


def pod(**container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "busybox:1.37", "command": ["sleep", "1"], **container}
    return {"containers": [main]}


def events(client: httpx.Client, after: str, queue: str = QUEUE) -> list[dict[str, Any]]:
    """The answers of a stream of what has happened so far."""
    body = {"query": SUBSCRIBE, "variables": {"queue": queue, "jobSet": "bad", "after": after}}
    text = client.post("/graphql", json=body, headers={"accept": "text/event-stream"}).text
    lines = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
    return [json.loads(line) for line in lines] or [json.loads(text)]


def submissions_logged(stack: WholeStack) -> int:
    """Where the partition of our queue ends; nobody else writes there but clients."""
    return sum(bounds.end for bounds in topic_bounds(stack.bootstrap, COMMANDS).values())


def test_an_unknown_queue_is_named(client: httpx.Client) -> None:
    payload = submit(client, {"podSpec": pod()}, queue="no-such-queue")
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("NOT_FOUND", "queue")]
    assert "no-such-queue" in payload["errors"][0]["message"]
    assert payload["results"] == []


def test_everything_that_is_wrong_with_a_pod_spec_is_said_at_once_with_its_path(client: httpx.Client) -> None:
    bad = {"containers": [{"name": "Main!", "image": "busybox", "ports": [{"containerPort": "many"}], "imagee": "x"}]}
    payload = submit(client, {"podSpec": pod()}, {"podSpec": bad}, {"podSpec": {"containers": []}})
    paths = {error["path"] for error in payload["errors"]}
    assert any(path.startswith("jobs[1].podSpec.containers[0].ports[0].containerPort") for path in paths)
    assert any("imagee" in path for path in paths)
    assert any(path.startswith("jobs[2].podSpec.containers") for path in paths)
    assert {error["index"] for error in payload["errors"]} == {1, 2}
    assert {error["code"] for error in payload["errors"]} == {"INVALID"}
    assert all(error["rule"] for error in payload["errors"])
    assert all(result["jobId"] is None for result in payload["results"])


def test_a_call_of_1001_jobs_is_refused_and_writes_nothing(client: httpx.Client, stack: WholeStack) -> None:
    before = submissions_logged(stack)
    payload = submit(client, *[{"podSpecIndex": 0}] * 1_001, podSpecs=[pod()])
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID", "jobs")]
    assert "1,001" in payload["errors"][0]["message"]
    assert graphql(client, '{ jobSet(queue: "bad-input", name: "bad") { total } }', {})["data"]["jobSet"] is None
    # Others (the scheduler) may write, but no command of this size of ours.
    assert submissions_logged(stack) - before < 10


def incompressible_jobs(count: int, bytes_each: int, seed: int) -> list[dict[str, Any]]:
    """Jobs with pod specs of their own of noise that no compression makes small."""
    noise = random.Random(seed)
    letters = string.ascii_letters + string.digits + "+/"
    return [
        {"podSpec": pod(env=[{"name": "NOISE", "value": "".join(noise.choices(letters, k=bytes_each))}])}
        for _ in range(count)
    ]


def test_a_maximal_incompressible_command_goes_through_and_one_above_is_refused(client: httpx.Client) -> None:
    # The command holds the specs compressed: 6 bits of noise a letter, so 3/4 of these bytes and a little.
    largest = submit(client, *incompressible_jobs(47, 220 * 1024, 1), queue=f"{QUEUE}-2")
    assert largest["errors"] == []
    assert all(result["jobId"] for result in largest["results"])
    too_large = submit(client, *incompressible_jobs(54, 220 * 1024, 2), queue=f"{QUEUE}-2")
    assert [(error["code"], error["path"]) for error in too_large["errors"]] == [("INVALID", "jobs")]
    assert "split the call" in too_large["errors"][0]["message"]
    assert too_large["results"] == []
    ids = [result["jobId"] for result in largest["results"]]
    cancel = "mutation ($ids: [ID!]!) { cancelJobs(jobIds: $ids) { affectedCount notAffected { code } } }"
    assert graphql(client, cancel, {"ids": ids})["data"]["cancelJobs"]["affectedCount"] <= len(ids)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: httpx.Client) -> None:
    response = client.post("/graphql", content=b" " * (25 * MIB), headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"input": {"queue": 7, "jobSet": "bad", "jobs": []}}, "queue"),
        ({"input": {"queue": QUEUE, "jobSet": "bad", "jobs": {"podSpec": 1}, "colour": "red"}}, "colour"),
        ({"input": {"queue": QUEUE, "jobSet": "bad", "jobs": [{"priority": "high"}]}}, "priority"),
        ({"input": None}, "input"),
        ({"input": {"queue": QUEUE, "jobSet": "bad", "jobs": []}, "waitFor": "LATER"}, "waitFor"),
    ],
)
def test_wrong_types_are_named(client: httpx.Client, variables: dict[str, Any], named: str) -> None:
    answer = graphql(client, SUBMIT, variables)
    assert answer.get("data") is None
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"INVALID"}
    assert named in " ".join(error["message"] for error in answer["errors"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"query": 1}', b'{"query": "{ nothing }"}', b"\xff\xfe"])
def test_a_malformed_body_is_an_error_in_json(client: httpx.Client, body: bytes) -> None:
    response = client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert response.status_code < 500
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID"


def test_a_foreign_cursor_is_refused(client: httpx.Client) -> None:
    submit(client, {"podSpec": pod()})
    own = events(client, "BEGIN")[-1]["data"]["jobSetEvents"]["cursor"]
    assert events(client, own)[-1]["data"]["jobSetEvents"]["caughtUp"]
    for foreign in ("zzzz", own[:-4], f"{own}AAAA"):
        assert events(client, foreign)[-1]["errors"][0]["extensions"]["code"] == "INVALID"
    other_queue = events(client, own, queue=f"{QUEUE}-2")[-1]
    assert other_queue["errors"][0]["extensions"] == {"code": "INVALID", "retryable": False, "field": "after"}


def test_an_id_that_no_job_has_is_not_found_and_one_that_is_none_is_invalid(client: httpx.Client) -> None:
    query = "mutation ($ids: [ID!]!) { cancelJobs(jobIds: $ids) { notAffected { id code } errors { code path } } }"
    unknown = format_id(bytes(16))
    payload = graphql(client, query, {"ids": [unknown]})["data"]["cancelJobs"]
    assert payload == {"notAffected": [{"id": unknown, "code": "NOT_FOUND"}], "errors": []}
    payload = graphql(client, query, {"ids": ["J-1"]})["data"]["cancelJobs"]
    assert payload["errors"] == [{"code": "INVALID", "path": "jobIds[0]"}]


# Executors


def sync_body(cluster: str, **more: Any) -> dict[str, Any]:
    """A request that would be taken if its token were right."""
    instance = format_id(bytes(15) + b"\x01")
    return {"cluster": cluster, "instance": instance, "sequence": 1, "time": "2026-11-24T07:00:00.000Z", **more}


def sync(client: httpx.Client, body: Any, token: str | None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    return client.post("/executor/v1/sync", json=body, headers=headers)


@pytest.mark.parametrize("authorization", [None, "wrong", "Bearer wrong", "Basic eDp5", f"Bearer {'ÿ' * 40}"])
def test_a_wrong_executor_token_is_refused(client: httpx.Client, authorization: str | None) -> None:
    headers = [(b"authorization", authorization.encode("latin-1"))] if authorization is not None else []
    response = client.post("/executor/v1/sync", json=sync_body("alpha"), headers=headers)
    assert response.status_code == 401
    assert response.json()["errors"][0]["message"]
    assert response.headers["www-authenticate"] == "Bearer"


def test_the_token_of_another_cluster_is_refused_and_its_executor_is_not_replaced(
    client: httpx.Client, stack: WholeStack
) -> None:
    response = sync(client, sync_body("alpha"), stack.token("bravo"))
    assert response.status_code == 403
    assert response.json()["errors"][0]["path"] == "cluster"
    assert stack.is_ready("executor-alpha")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"sequence": "one"}, "sequence"),
        ({"colour": "red"}, "colour"),
        ({"reports": [{"jobId": "x"}]}, "reports[0]"),
        ({"nodes": {"generation": 1, "changed": [{"name": "n", "allocatable": {"cpu": 1}}]}}, "nodes.changed[0]"),
        ({"time": "yesterday"}, "time"),
        ({"waitMs": 60_000}, "waitMs"),
    ],
)
def test_a_malformed_sync_body_names_the_field(
    client: httpx.Client, stack: WholeStack, change: dict[str, Any], path: str
) -> None:
    response = sync(client, sync_body("alpha", **change), stack.token("alpha"))
    assert response.status_code == 400
    assert response.json()["errors"][0]["path"].startswith(path)


def test_afterwards_everything_runs_that_ran_before(client: httpx.Client, stack: WholeStack) -> None:
    response = client.post(
        "/executor/v1/sync", content=b"{", headers={"authorization": f"Bearer {stack.token('alpha')}"}
    )
    assert response.status_code == 400
    payload = submit(client, {"podSpec": pod()})
    assert payload["errors"] == []
    assert all(stack.process(name).restarts == 0 and stack.is_ready(name) for name in stack.components())
