"""GraphQL on a real log, a real queue agent and real views."""

import asyncio
import random
import string
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.api.job_policy import job_policy
from app.api.service.inputs import SubmitJobsInput
from app.api.service.pod_cache import PodCache
from app.api.service.submission import SubmissionBuilder
from app.domain.commands import Principal
from app.domain.ids import call_prefix
from app.domain.limits import COMMAND_BYTES_MAX, HTTP_BODY_BYTES_MAX
from app.log import codec
from app.settings import load_settings
from app.settings.api import GLOBAL_VERBS
from tests.integration.api.client import CANCEL, CREATE, POD, Client, GraphQLFailed
from tests.integration.api.installation import Installation
from tests.unit.api.submissions import call

pytestmark = pytest.mark.stack

JOBS = """query Jobs($filter: JobFilter, $order: JobOrder, $first: Int, $after: Cursor, $last: Int, $before: Cursor,
    $atLeast: Position) {
  jobs(filter: $filter, order: $order, first: $first, after: $after, last: $last, before: $before, atLeast: $atLeast) {
    nodes { id state queue jobSet } edges { cursor } countEstimate asOf { position }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
JOB = """query Job($id: ID!, $atLeast: Position) {
  job(id: $id, atLeast: $atLeast) {
    id queue jobSet state priority priorityClass owner namespace labels annotations submitted
    requests { cpu memory gpu }
    runs { id } errors { code } podSpec reason requestor
  }
}"""
JOB_SET = """query JobSet($queue: String!, $name: String!, $atLeast: Position) {
  jobSet(queue: $queue, name: $name, atLeast: $atLeast) { stateCounts { state count } total cursor }
}"""


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    async with Client(installation.url) as made:
        yield made


def ids_of(payload: dict[str, Any]) -> list[str]:
    assert payload["errors"] == [], payload
    return [result["jobId"] for result in payload["results"]]


async def test_a_visible_job_can_be_read_at_once(client: Client) -> None:
    queue = await client.create_queue()
    job = {"podSpec": POD, "labels": {"a": "b"}, "annotations": {"x/y": "z"}, "priority": 7}
    (job_id,) = ids_of(await client.submit(queue, jobs=[job], wait_for="VISIBLE"))
    found = (await client.execute(JOB, {"id": job_id}))["job"]
    assert (found["queue"], found["jobSet"], found["state"], found["priority"]) == (queue, "s", "QUEUED", 7.0)
    assert (found["owner"], found["labels"], found["annotations"]) == ("anonymous", {"a": "b"}, {"x/y": "z"})
    assert found["requests"] == {"cpu": "1", "memory": "1Gi", "gpu": 0}
    assert found["runs"] == found["errors"] == []


async def test_at_least_waits_for_what_was_only_applied(client: Client) -> None:
    queue = await client.create_queue()
    payload = await client.submit(queue)
    (job_id,) = ids_of(payload)
    found = (await client.execute(JOB, {"id": job_id, "atLeast": payload["position"]}))["job"]
    assert found["state"] == "QUEUED"
    cancelled = (await client.execute(CANCEL, {"ids": [job_id]}))["cancelJobs"]
    assert cancelled["affected"] == [job_id]
    found = (await client.execute(JOB, {"id": job_id, "atLeast": cancelled["position"]}))["job"]
    assert (found["state"], found["requestor"]) == ("CANCELLED", "anonymous")


async def test_logged_ids_are_the_ids_that_the_jobs_get(client: Client) -> None:
    queue = await client.create_queue()
    logged = await client.submit(queue, 3, wait_for="LOGGED", requestId="r")
    applied = await client.submit(queue, 3, requestId="r")
    assert ids_of(applied) == ids_of(logged)


async def test_queues_can_be_read_by_the_position_of_their_creation(client: Client) -> None:
    name = await client.create_queue(priorityFactor=2)
    made = (await client.execute(CREATE, {"queues": [{"name": name}]}))["createQueues"]
    assert [error["code"] for error in made["errors"]] == ["CONFLICT"]
    query = "query ($n: String!, $p: Position) { queue(name: $n, atLeast: $p) { name weight stateCounts { count } } }"
    found = (await client.execute(query, {"n": name, "p": made["position"]}))["queue"]
    assert (found["name"], found["weight"]) == (name, 0.5)
    assert [each["count"] for each in found["stateCounts"]] == [0] * 9
    listed = (await client.execute("{ queues(first: 200) { nodes { name } countEstimate } }"))["queues"]
    assert name in [each["name"] for each in listed["nodes"]]


async def test_pages_of_jobs_go_both_ways_and_meet(client: Client) -> None:
    queue = await client.create_queue()
    ids = ids_of(await client.submit(queue, 25, wait_for="VISIBLE"))
    cancelled = (await client.execute(CANCEL, {"ids": ids[:5], "waitFor": "VISIBLE"}))["cancelJobs"]
    wanted = {"queues": [queue]}
    found: list[str] = []
    variables: dict[str, Any] = {"filter": wanted, "first": 10, "atLeast": cancelled["position"]}
    while True:
        page = (await client.execute(JOBS, variables))["jobs"]
        found += [job["id"] for job in page["nodes"]]
        assert page["countEstimate"] == 25
        if not page["pageInfo"]["hasNextPage"]:
            break
        variables["after"] = page["pageInfo"]["endCursor"]
    assert found == sorted(ids, reverse=True)
    back = {"filter": wanted, "last": 10, "before": page["pageInfo"]["startCursor"]}
    before = (await client.execute(JOBS, back))["jobs"]
    assert [job["id"] for job in before["nodes"]] == found[10:20]
    assert before["pageInfo"]["hasPreviousPage"] is True
    some = (await client.execute(JOBS, {"filter": {**wanted, "states": ["CANCELLED"]}}))["jobs"]
    assert sorted(job["id"] for job in some["nodes"]) == sorted(ids[:5])
    named = {"ids": ids[3:7], "jobSet": {"eq": "s"}, "states": ["QUEUED"]}
    some = (await client.execute(JOBS, {"filter": named}))["jobs"]
    assert sorted(job["id"] for job in some["nodes"]) == sorted(ids[5:7])
    order = {"field": "LAST_TRANSITION", "direction": "ASC"}
    by_time = (await client.execute(JOBS, {"filter": wanted, "order": order, "first": 200}))["jobs"]
    assert sorted(job["id"] for job in by_time["nodes"]) == sorted(ids)
    with pytest.raises(GraphQLFailed, match="not a cursor of this list in this order"):
        await client.execute(JOBS, {"order": order, "after": page["pageInfo"]["endCursor"]})


async def test_a_job_set_counts_by_state(client: Client) -> None:
    queue = await client.create_queue()
    ids = ids_of(await client.submit(queue, 4))
    cancelled = (await client.execute(CANCEL, {"ids": ids[:1]}))["cancelJobs"]
    variables = {"queue": queue, "name": "s", "atLeast": cancelled["position"]}
    found = (await client.execute(JOB_SET, variables))["jobSet"]
    counts = {each["state"]: each["count"] for each in found["stateCounts"] if each["count"]}
    assert counts == {"QUEUED": 3, "CANCELLED": 1}
    assert found["total"] == 4
    assert (await client.execute(JOB_SET, {**variables, "name": "none"}))["jobSet"] is None


async def test_a_whole_job_set_of_many_jobs_is_cancelled(client: Client) -> None:
    queue = await client.create_queue()
    for _ in range(3):
        await client.submit(queue, 1_000)
    query = """mutation ($q: String!) { cancelJobSet(queue: $q, jobSet: "s", waitFor: VISIBLE) {
      position affected affectedCount errors { code message } } }"""
    done = (await client.execute(query, {"q": queue}))["cancelJobSet"]
    assert done["errors"] == []
    assert done["affectedCount"] == len(set(done["affected"])) == 3_000
    found = (await client.execute(JOB_SET, {"queue": queue, "name": "s"}))["jobSet"]
    assert {each["state"]: each["count"] for each in found["stateCounts"] if each["count"]} == {"CANCELLED": 3_000}


@pytest.mark.parametrize("value", ["nonsense", "ksQGMYiWrKjUkgAA"])
async def test_foreign_positions_are_invalid(client: Client, value: str) -> None:
    with pytest.raises(GraphQLFailed) as failed:
        await client.execute(JOB, {"id": "0" * 26, "atLeast": value})
    assert failed.value.code == "INVALID"
    assert failed.value.errors[0]["extensions"]["field"] == "atLeast"


async def test_unknown_jobs_and_queues_are_null_and_wrong_ids_invalid(client: Client) -> None:
    assert (await client.execute(JOB, {"id": "0" * 26}))["job"] is None
    assert (await client.execute('{ queue(name: "never made") { name } }'))["queue"] is None
    with pytest.raises(GraphQLFailed, match="is not an id"):
        await client.execute(JOB, {"id": "zzz"})


def padded_call(queue: str, size: int) -> dict[str, Any]:
    """A submit call whose command has exactly `size` bytes that do not compress, measured by the API's own builder."""
    random_text = random.Random(7)
    alphabet = string.ascii_letters + string.digits + "+/"

    def noise(length: int) -> str:
        return "".join(random_text.choices(alphabet, k=length))

    jobs: list[dict[str, Any]] = []
    for _ in range(45):
        container = {**POD["containers"][0], "args": [noise(230_000)]}
        jobs.append({"podSpec": {"containers": [container]}})
    while (missing := size - _command_size(queue, jobs)) > 150_000:
        jobs.append({"podSpec": POD, "annotations": {"noise": noise(140_000)}})
    jobs.append({"podSpec": POD, "annotations": {"noise": noise(1_000)}})
    missing = size - _command_size(queue, jobs)
    jobs[-1]["annotations"]["noise"] = noise(1_000 + missing)
    off = size - _command_size(queue, jobs)
    jobs[-1]["annotations"]["noise"] = noise(1_000 + missing + off)
    assert _command_size(queue, jobs) == size
    return {"queue": queue, "jobSet": "s", "jobs": jobs}


def _command_size(queue: str, jobs: list[dict[str, Any]]) -> int:
    policy = job_policy(load_settings(None, {}))
    made: SubmitJobsInput = call(*jobs, queue=queue)
    principal = Principal(user="anonymous", verbs=GLOBAL_VERBS)
    builder = SubmissionBuilder(made, principal, call_prefix(1, 0, 1), PodCache(policy), policy)
    submission = asyncio.run(builder.build())
    assert submission.command is not None, submission.faults[:3]
    return len(codec.encode_body(submission.command))


async def test_a_maximal_incompressible_command_goes_through_and_one_above_is_invalid(client: Client) -> None:
    queue = await client.create_queue()
    largest = await asyncio.to_thread(padded_call, queue, COMMAND_BYTES_MAX)
    payload = await client.submit(queue, jobs=largest["jobs"], wait_for="VISIBLE")
    ids = ids_of(payload)
    assert len(ids) == len(largest["jobs"])
    found = (await client.execute(JOB, {"id": ids[0]}))["job"]
    assert found["state"] == "QUEUED"
    largest["jobs"][-1]["annotations"]["noise"] += "x"
    refused = await client.submit(queue, jobs=largest["jobs"])
    (error,) = refused["errors"]
    assert (error["code"], error["path"]) == ("INVALID", "jobs")
    assert "split the call" in error["message"]
    assert refused["results"] == []


async def test_a_body_above_24_mib_is_413(client: Client) -> None:
    body = b'{"query": "{ __typename }", "variables": {"x": "' + b"y" * HTTP_BODY_BYTES_MAX + b'"}}'
    answer = await client.http.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413


async def test_clusters_and_nodes_are_empty_lists_before_any_executor_spoke(client: Client) -> None:
    found = await client.execute('{ nodes(cluster: "nowhere") { nodes { name } pageInfo { hasNextPage } } }')
    assert found["nodes"] == {"nodes": [], "pageInfo": {"hasNextPage": False}}


async def test_health_says_ready(installation: Installation) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{installation.api.health_port}") as health:
        assert (await health.get("/healthz")).status_code == 200
        assert (await health.get("/readyz")).status_code == 200
        metrics = (await health.get("/metrics")).text
    assert "argosy_api_tail_ready 1.0" in metrics
    assert "argosy_api_request_seconds_bucket" in metrics
