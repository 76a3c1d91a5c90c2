"""Fair shares, preemption, gangs and rejection on a whole running stack with fake clusters."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from app.executor.fake_cluster.journal import JOURNAL, LIVES, read_lines
from app.executor.fake_cluster.records import CreatedLine, DeletedLine, PodLife, life_of
from tests.stack.directory import stack_directory
from tests.stack.graphql_client import GraphqlClient
from tests.stack.whole_stack import WholeStack, fake_cluster, running_stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

CORES = 16
CLUSTERS = ("alpha", "bravo")
LABEL = "example.com/rack"
SETTINGS: dict[str, Any] = {
    "kafka": {"partitions": 2, "replication": 1},
    "scheduler": {
        "priority_classes": {
            "argosy-default": {"priority": 1000, "preemptible": False},
            "batch": {"priority": 100, "preemptible": True},
            "urgent": {"priority": 500, "preemptible": False},
        },
        "pools": {"default": {}, "small": {}, "racks": {}},
        "submit_check": {"grace_s": 3},
    },
    "clusters": {
        "alpha": fake_cluster(
            2,
            cpu=str(CORES // 2),
            more=[
                {"name": "small", "count": 1, "pool": "small", "cpu": "4"},
                {"name": "left", "count": 2, "pool": "racks", "cpu": "4", "labels": {LABEL: "left"}},
                {"name": "right", "count": 1, "pool": "racks", "cpu": "4", "labels": {LABEL: "right"}},
            ],
        ),
        "bravo": fake_cluster(2, cpu=str(CORES // 2)),
    },
}
LONG = ["sleep", "100000"]
WITHIN_S = 90.0
FOR_EVER_MS = 1 << 62
CREATE_QUEUES = "mutation ($q: [QueueInput!]!) { createQueues(queues: $q) { errors { message } } }"
SUBMIT = """mutation ($input: SubmitJobsInput!) { submitJobs(input: $input, waitFor: APPLIED) {
  results { jobId error { path message } } errors { path message } } }"""
STATES = "query ($q: String!, $s: String!) { jobSet(queue: $q, name: $s) { stateCounts { state count } } }"
JOB = "query ($id: ID!) { job(id: $id) { state reasonCode reason } }"


def pod(cpu: str) -> dict[str, Any]:
    resources = {"cpu": cpu, "memory": "128Mi"}
    container = {
        "name": "main",
        "image": "registry.example.com/team/tool:1",
        "command": LONG,
        "resources": {"requests": resources, "limits": resources},
    }
    return {"containers": [container], "terminationGracePeriodSeconds": 2}


@pytest.fixture(scope="module")
def stack() -> Iterator[WholeStack]:
    with stack_directory("scheduling") as directory, running_stack(directory, SETTINGS) as running:
        yield running


class User:
    """Somebody who submits, and waits for what becomes of it."""

    def __init__(self, client: GraphqlClient) -> None:
        self.client = client

    async def queues(self, **factors: float) -> None:
        """name -> priority factor."""
        wanted = [{"name": name.replace("_", "-"), "priorityFactor": factor} for name, factor in factors.items()]
        answer = await self.client.call(CREATE_QUEUES, {"q": wanted})
        assert answer["createQueues"]["errors"] == []

    async def submit(self, queue: str, count: int, *, cpu: str = "1", pool: str = "default", **more: Any) -> list[str]:
        """Equal jobs of one job set named like the queue; their ids."""
        job = {"podSpecIndex": 0, "pools": [pool], **more}
        given = {"queue": queue, "jobSet": queue, "podSpecs": [pod(cpu)], "jobs": [job] * count}
        payload = (await self.client.call(SUBMIT, {"input": given}))["submitJobs"]
        assert payload["errors"] == [], payload["errors"]
        return [result["jobId"] for result in payload["results"]]

    async def states(self, queue: str) -> Counter[str]:
        """state -> jobs, of the job set named like the queue."""
        found = (await self.client.call(STATES, {"q": queue, "s": queue}))["jobSet"]
        return Counter({each["state"]: each["count"] for each in (found or {"stateCounts": []})["stateCounts"]})

    async def until(self, queue: str, **wanted: int) -> Counter[str]:
        """Waits until so many jobs stand in these states."""
        found: Counter[str] = Counter()
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    found = await self.states(queue)
                    if all(found[state] == count for state, count in wanted.items()):
                        return found
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{queue}: {dict(found)}, not {wanted}") from None


class Life(NamedTuple):
    """A pod and the cluster that it lived in."""

    cluster: str
    pod: PodLife


def lives(stack: WholeStack) -> list[Life]:
    """The lives of all pods so far, as the clusters journalled them."""
    found: list[Life] = []
    for cluster in CLUSTERS:
        directory = stack.executor_directory() / cluster
        over: dict[str, PodLife] = {}
        created: dict[str, CreatedLine] = {}
        deleted: dict[str, DeletedLine] = {}
        for name in (LIVES, JOURNAL):
            for line in read_lines(directory / name):
                if isinstance(line, PodLife):
                    over[line.uid] = line
                elif isinstance(line, CreatedLine):
                    created[line.uid] = line
                elif isinstance(line, DeletedLine):
                    deleted[line.uid] = line
        for uid, line in created.items():
            over.setdefault(uid, life_of(line, deleted.get(uid), FOR_EVER_MS))
        found += [Life(cluster, life) for life in over.values()]
    return found


def assert_no_node_ever_held_more_than_it_has(stack: WholeStack) -> None:
    """A displaced pod was gone before the pod that takes its room was created."""
    everybody = lives(stack)
    assert not [life for life in everybody if life.pod.refused], "the kubelet had to refuse a pod"
    for cluster, pod in everybody:
        beside = [
            other
            for where, other in everybody
            if (where, other.node) == (cluster, pod.node)
            and other.created <= pod.created
            and (other.finished or FOR_EVER_MS) > pod.created
        ]
        cores = NODES[pod.node.rpartition("-")[0]]
        assert sum(int(other.requests["cpu"]) for other in beside) <= cores, (pod, beside)


NODES = {"cpu": CORES // 2, "small": 4, "left": 4, "right": 4}
"""group of nodes -> cores of each"""


async def test_two_queues_of_weights_one_and_three_settle_at_their_shares(stack: WholeStack) -> None:
    async with GraphqlClient(stack.graphql_url) as client:
        user = User(client)
        total = 2 * CORES
        await user.queues(light=3.0, heavy=1.0)
        await user.submit("light", 2 * total, priorityClass="batch")
        await user.until("light", RUNNING=total)
        await user.submit("heavy", 2 * total, priorityClass="batch")
        await user.until("heavy", RUNNING=total * 3 // 4)
        found = await user.until("light", RUNNING=total // 4, PREEMPTED=total * 3 // 4)
        assert found["QUEUED"] == total, "nobody else was touched, and it stays so"
        await asyncio.sleep(3.0)
        assert await user.states("light") == found
        assert (await user.states("heavy"))["PREEMPTED"] == 0
    assert_no_node_ever_held_more_than_it_has(stack)


async def test_an_urgent_job_starts_when_what_it_displaced_is_gone(stack: WholeStack) -> None:
    async with GraphqlClient(stack.graphql_url) as client:
        user = User(client)
        await user.queues(crowd=1.0, urgent_ones=1.0)
        await user.submit("crowd", 4, pool="small", priorityClass="batch")
        await user.until("crowd", RUNNING=4)
        (job,) = await user.submit("urgent-ones", 1, cpu="3", pool="small", priorityClass="urgent")
        await user.until("urgent-ones", RUNNING=1)
        await user.until("crowd", PREEMPTED=3, RUNNING=1)
        pods = [life.pod for life in lives(stack) if life.pod.node.startswith("small")]
        (mine,) = [pod for pod in pods if pod.job_id == job]
        assert len(pods) == 5
        assert sum(other.finished <= mine.created for other in pods if other is not mine) == 3
    assert_no_node_ever_held_more_than_it_has(stack)


async def test_a_gang_starts_at_once_on_one_rack_or_not_at_all(stack: WholeStack) -> None:
    async with GraphqlClient(stack.graphql_url) as client:
        user = User(client)
        await user.queues(team=1.0)
        gang = {"id": "g", "cardinality": 4, "uniformityLabel": LABEL}
        first = await user.submit("team", 3, cpu="2", pool="racks", gang=gang)
        await asyncio.sleep(2.0)
        assert await user.states("team") == Counter(QUEUED=3), "a member is missing"
        last = await user.submit("team", 1, cpu="2", pool="racks", gang=gang)
        await user.until("team", RUNNING=4)
        mine = [life.pod for life in lives(stack) if life.pod.job_id in {*first, *last}]
        assert {pod.node.rpartition("-")[0] for pod in mine} == {"left"}
        assert len(mine) == 4
        wide = {"id": "wide", "cardinality": 3}
        await user.submit("team", 3, cpu="2", pool="racks", gang=wide)
        await asyncio.sleep(2.0)
        assert await user.states("team") == Counter(RUNNING=4, QUEUED=3), "two would fit, three do not"


def test_the_round_of_the_stacks_leader_can_be_dumped(stack: WholeStack) -> None:
    def dump(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "app.admin.main", "--settings", str(stack.settings_file), "round", "dump"]
        return subprocess.run([*command, *words], capture_output=True, timeout=90)

    answer = dump("--pool", "racks")
    assert (answer.returncode, answer.stderr) == (0, b"")
    document = json.loads(answer.stdout)
    assert (document["format"], document["pool"]) == ("argosy-round/1", "racks")
    assert {node["name"].partition("/")[0] for node in document["nodes"]} == {"alpha"}
    assert dump("--pool", "racks").returncode == 0, "asking moves no port"
    answer = dump("--pool", "nothing")
    assert answer.returncode == 2
    assert answer.stderr.startswith(b"round dump: no pool 'nothing'; pools: ")
    assert answer.stderr.count(b"\n") == 1


async def test_a_job_that_fits_nowhere_is_rejected_with_its_reason(stack: WholeStack) -> None:
    async with GraphqlClient(stack.graphql_url) as client:
        user = User(client)
        await user.queues(dreamer=1.0)
        (job,) = await user.submit("dreamer", 1, cpu="99")
        await user.until("dreamer", REJECTED=1)
        found = (await client.call(JOB, {"id": job}))["job"]
        assert found["reasonCode"] == "NoNodeFits"
        assert "it needs 91 cpu more than the largest node has" in found["reason"]
