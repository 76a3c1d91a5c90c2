"""A newcomer's path on the running stack: the example manifests through the example script, the stream to its end, and
every query of the API about what happened. And the examples' cluster is told apart from jobs that fit nowhere."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.stack.graphql_client import GraphqlClient, Subscriber
from tests.stack.whole_stack import ROOT, WholeStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

MANIFESTS = sorted((ROOT / "examples" / "jobs").glob("*.yaml"))
QUEUE, JOB_SET = "newcomer", "examples"
ENDED_WITHIN_S = 180.0


class Submitted:
    """jobs: (manifest name, job id) of every pod in the manifests; the events of the job set."""

    def __init__(self, jobs: list[tuple[str, str]], events: list[dict[str, Any]]) -> None:
        self.jobs = jobs
        self.events = events

    @property
    def ids(self) -> list[str]:
        return [job_id for _, job_id in self.jobs]

    def of(self, manifest: str) -> str:
        """The job of a manifest with one pod."""
        [job_id] = [job_id for name, job_id in self.jobs if name == manifest]
        return job_id


@pytest.fixture(scope="module")
def submitted(stack: WholeStack) -> Submitted:
    words = [
        "--url",
        stack.graphql_url,
        "--queue",
        QUEUE,
        "--create-queue",
        "--job-set",
        JOB_SET,
        "--wait-for",
        "VISIBLE",
    ]
    command = [sys.executable, str(ROOT / "examples" / "submit.py"), *words, *map(str, MANIFESTS)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stderr
    jobs = [(name, job_id) for job_id, name in (line.split() for line in said.stdout.splitlines())]
    return Submitted(jobs, asyncio.run(followed(stack, len(jobs))))


async def followed(stack: WholeStack, jobs: int) -> list[dict[str, Any]]:
    """The events of the job set until every job has ended."""
    async with GraphqlClient(stack.graphql_url) as client, asyncio.timeout(ENDED_WITHIN_S):
        subscriber = Subscriber(client, QUEUE, JOB_SET, over="ws")
        following = asyncio.create_task(subscriber.follow())
        while subscriber.ended < jobs:
            assert not following.done(), following
            await asyncio.sleep(0.05)
        following.cancel()
        return subscriber.events


@pytest.fixture
def client(stack: WholeStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=30.0) as made:
        yield made


def ask(client: httpx.Client, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def test_the_example_manifests_are_ten_and_all_run_to_their_ends(submitted: Submitted) -> None:
    assert len({name for name, _ in submitted.jobs}) == len(MANIFESTS) >= 10
    ends = {event["jobId"]: event for event in submitted.events if event["terminal"]}
    found = {(name, ends[job_id]["kind"], ends[job_id]["exitCode"]) for name, job_id in submitted.jobs}
    unusual = {"failing.yaml": ("FAILED", 3), "impossible.yaml": ("FAILED", None)}
    assert found == {(path.name, *unusual.get(path.name, ("SUCCEEDED", 0))) for path in MANIFESTS}


def test_what_fits_nowhere_is_rejected_with_what_is_missing(submitted: Submitted) -> None:
    job_id = submitted.of("impossible.yaml")
    way = [event for event in submitted.events if event["jobId"] == job_id]
    assert [event["kind"] for event in way] == ["SUBMITTED", "QUEUED", "REJECTED", "FAILED"]
    assert "cpu" in way[2]["reason"]


def test_a_gang_starts_as_a_whole(submitted: Submitted) -> None:
    members = {job_id for name, job_id in submitted.jobs if name == "gang.yaml"}
    leased = {
        event["id"].rpartition("-")[0]
        for event in submitted.events
        if event["jobId"] in members and event["kind"] == "LEASED"
    }
    assert len(members) == 2
    assert len(leased) == 1, "all leases of a gang stand in one command"


def test_the_stream_tells_the_whole_way_of_a_job(submitted: Submitted) -> None:
    job_id = submitted.of("gpu.yaml")
    way = [event for event in submitted.events if event["jobId"] == job_id]
    assert [event["kind"] for event in way] == ["SUBMITTED", "QUEUED", "LEASED", "PENDING", "RUNNING", "SUCCEEDED"]
    assert {(event["cluster"], event["node"]) for event in way[2:]} == {(way[2]["cluster"], way[2]["node"])}
    assert way[2]["node"].startswith("gpu-")
    assert [event["time"] for event in way] == sorted(event["time"] for event in way)


JOB = """query ($id: ID!) { job(id: $id) {
  id queue jobSet state priority priorityClass preemptible owner namespace labels annotations submitted lastTransition
  finished requests { cpu memory ephemeralStorage gpu } deadlineSeconds attempt cluster node pool exitCode reasonCode
  lastRun { id attempt cluster node pool state leased pending started finished exitCode }
  runs { id attempt cluster node state exitCode } errors { attempt kind code message } podSpec } }"""


def test_a_job_is_shown_with_its_run_its_error_and_its_completed_spec(
    client: httpx.Client, submitted: Submitted
) -> None:
    def shown() -> Any:
        return ask(client, JOB, id=submitted.of("failing.yaml"))["job"]

    job = shown()
    assert (job["state"], job["exitCode"], job["queue"], job["jobSet"]) == ("FAILED", 3, QUEUE, JOB_SET)
    assert job["owner"] == "anonymous"
    assert len(job["runs"]) == 1
    assert job["runs"][0]["id"] == job["lastRun"]["id"]
    run = job["lastRun"]
    assert run["leased"] <= run["pending"] <= run["started"] < run["finished"]
    assert [(error["kind"], error["code"]) for error in job["errors"]] == [("FAILED", "ExitCode")]
    assert "exited with code 3" in job["errors"][0]["message"]
    gpu = ask(client, JOB, id=submitted.of("gpu.yaml"))["job"]
    assert gpu["requests"]["gpu"] == 1
    assert gpu["podSpec"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert gpu["podSpec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] in ("1", 1)


def test_lists_filters_pages_and_counts_agree(client: httpx.Client, submitted: Submitted) -> None:
    query = """query ($filter: JobFilter, $first: Int, $after: Cursor) {
      jobs(filter: $filter, first: $first, after: $after) {
        nodes { id state } pageInfo { hasNextPage endCursor } asOf { position } } }"""
    found: list[str] = []
    after = None
    while True:
        jobs_filter = {"queues": [QUEUE], "jobSet": {"eq": JOB_SET}}
        page = ask(client, query, filter=jobs_filter, first=3, after=after)["jobs"]
        found += [job["id"] for job in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == sorted(submitted.ids, reverse=True)
    failed = ask(client, query, filter={"queues": [QUEUE], "states": ["FAILED"]}, first=50)["jobs"]["nodes"]
    assert [job["id"] for job in failed] == [submitted.of("failing.yaml")]
    job_set = ask(
        client, f'{{ jobSet(queue: "{QUEUE}", name: "{JOB_SET}") {{ total stateCounts {{ state count }} }} }}'
    )
    counts = {each["state"]: each["count"] for each in job_set["jobSet"]["stateCounts"] if each["count"]}
    assert counts == {"SUCCEEDED": len(found) - 2, "FAILED": 1, "REJECTED": 1}
    queue = ask(client, f'{{ queue(name: "{QUEUE}") {{ name weight stateCounts {{ state count }} }} }}')["queue"]
    assert {each["state"]: each["count"] for each in queue["stateCounts"] if each["count"]} == counts


def test_clusters_nodes_and_rounds_are_shown(client: httpx.Client, stack: WholeStack, submitted: Submitted) -> None:
    clusters = ask(client, "{ clusters { name nodeCount lastHeard executorInstance } }")["clusters"]
    assert {each["name"]: each["nodeCount"] for each in clusters} == {
        name: sum(group.count for group in cluster.fake.node_groups if cluster.fake is not None)
        for name, cluster in stack.settings.clusters.items()
        if cluster.fake is not None
    }
    query = '{ nodes(cluster: "alpha", first: 200) { nodes { name pool allocatable taints { key effect } } } }'
    nodes = ask(client, query)["nodes"]["nodes"]
    assert {"cpu", "memory"} <= set(nodes[0]["allocatable"])
    assert any(taint["key"] == "nvidia.com/gpu" for node in nodes for taint in node["taints"])
    rounds = ask(client, '{ rounds(pool: "default", first: 200) { nodes { id placed } } }')["rounds"]["nodes"]
    assert sum(each["placed"] for each in rounds) >= len(submitted.jobs) - 1
