"""The cases on a fake cluster and on a real Kubernetes API server, through the whole stack to the GraphQL stream.

One stack has both clusters, each with a pool, a queue and a job set of its own. All jobs of a cluster are submitted at
once and followed to their ends; then each case is judged by its own events. Without Go (and without the programs it
once built) the real half is skipped, with the reason.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from app.admin.kube_binaries import installed_binaries
from app.admin.kube_node import KubeNodes, node_object
from tests.conformance.cases import (
    CASES,
    CLASSES,
    FORBIDDEN_NAMESPACE,
    FULL_NODE_CPU,
    FULL_NODE_LABEL,
    LOST_NODE_LABEL,
    MAX_ATTEMPTS,
    PREEMPTOR,
    Act,
    Case,
)
from tests.stack.directory import stack_directory
from tests.stack.graphql_client import GraphqlClient, Subscriber
from tests.stack.kube import KubePlane, skip_without_kube
from tests.stack.whole_stack import WholeStack, eventually, fake_cluster, running_stack

ENDED_WITHIN_S = 200.0
GONE_WITHIN_S = 60.0
AWAY_S = 4.0
FAKE, REAL = "fake", "real"
"""cluster, pool and queue"""
JOB_SET = "cases"
PREEMPTOR_NAME = "preemptor"


def own(label: str) -> dict[str, Any]:
    """Labels and taints of nodes on which only some cases run."""
    return {"labels": {label: "true"}, "taints": [{"key": label, "value": "true", "effect": "NoSchedule"}]}


LOST = {"name": "lost", "count": 2, **own(LOST_NODE_LABEL)}
FULL = {"name": "full", "count": 1, "cpu": FULL_NODE_CPU, **own(FULL_NODE_LABEL)}
REAL_TIMES = {
    "image_not_found_s": 3,
    "image_unavailable_s": 3,
    "stuck_starting_s": 10,
    "node_lost_s": 3,
    "force_delete_s": 3,
    "create_timeout_s": 2,
    "last_words_s": 5,
}
SUBMIT = """mutation ($input: SubmitJobsInput!) {
  submitJobs(input: $input) { results { jobId error { code path message } } errors { code path message } } }"""
CREATE_QUEUE = """mutation ($queues: [QueueInput!]!) { createQueues(queues: $queues) { errors { code message } } }"""
CANCEL = """mutation ($ids: [ID!]!) { cancelJobs(jobIds: $ids, reason: "conformance") { affectedCount } }"""

slow = [pytest.mark.stack, pytest.mark.kube, pytest.mark.timeout(420)]
Event = dict[str, Any]
Harm = Callable[[Act, Event], None]
"""does to the cluster what a case says, at the event that it names"""


class Played:
    """The events of each job of each case, by the case's name."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, list[Event]]] = {}

    def take(self, name: str, event: Event) -> None:
        self.events.setdefault(name, {}).setdefault(event["jobId"], []).append(event)

    def of(self, name: str) -> list[list[Event]]:
        return list(self.events[name].values())


class Player:
    """Submits the cases of a cluster over one client and follows their job set."""

    def __init__(self, client: GraphqlClient, cluster: str, harm: Harm) -> None:
        self.played = Played()
        self._cluster = cluster
        self._client = client
        self._harm = harm
        self._names: dict[str, str] = {}
        self._cases = {case.name: case for case in CASES}
        self._subscriber = Subscriber(client, cluster, JOB_SET, over="sse")
        self._taken = 0
        self._acted: set[str] = set()

    async def play(self, cases: tuple[Case, ...]) -> None:
        """Until every job that was submitted by now has ended; at most ENDED_WITHIN_S."""
        for case in cases:
            await self._submit(case.name, [job_of(case, annotations) for annotations in case.members or ({},)])
        following = asyncio.create_task(self._subscriber.follow())
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDED_WITHIN_S):
                while self._subscriber.ended < len(self._names):
                    self._subscriber.changed.clear()
                    await self._take_new()
                    assert not following.done(), following
                    if self._taken == len(self._subscriber.events):
                        await self._subscriber.changed.wait()
        following.cancel()
        await self._take_new()

    async def _take_new(self) -> None:
        for event in self._subscriber.events[self._taken :]:
            self._taken += 1
            name = self._names[event["jobId"]]
            self.played.take(name, event)
            case = self._cases.get(name)
            if case is not None and case.act is not Act.NOTHING and event["kind"] == case.act_at:
                await self._act(case, event)

    async def _act(self, case: Case, event: Event) -> None:
        if case.name in self._acted:
            return
        self._acted.add(case.name)
        match case.act:
            case Act.CANCEL:
                await self._client.call(CANCEL, {"ids": [event["jobId"]]})
            case Act.PREEMPT:
                await self._submit(PREEMPTOR_NAME, [{"podSpec": PREEMPTOR}])
            case _:
                await asyncio.to_thread(self._harm, case.act, event)

    async def _submit(self, name: str, jobs: list[dict[str, Any]]) -> None:
        jobs = [{**job, "pools": [self._cluster]} for job in jobs]
        call = {"input": {"queue": self._cluster, "jobSet": JOB_SET, "jobs": jobs}}
        payload = (await self._client.call(SUBMIT, call))["submitJobs"]
        assert payload["errors"] == [], (name, payload)
        assert [result["error"] for result in payload["results"]] == [None] * len(jobs), (name, payload)
        self._names |= {result["jobId"]: name for result in payload["results"]}


def job_of(case: Case, annotations: Mapping[str, str]) -> dict[str, Any]:
    job = {
        "podSpec": dict(case.spec),
        "namespace": case.namespace,
        "annotations": {"conformance.example/case": case.name, **case.annotations, **annotations},
    }
    return {**job, "gang": {"id": case.name, "cardinality": case.jobs}} if case.members else job


async def play(url: str, cluster: str, harm: Harm) -> Played:
    """First all that may be played together, then the others."""
    async with GraphqlClient(url) as client:
        await client.call(CREATE_QUEUE, {"queues": [{"name": cluster, "priorityFactor": 1.0}]})
        player = Player(client, cluster, harm)
        cases = playable(cluster)
        await player.play(tuple(case for case in cases if not case.later))
        await player.play(tuple(case for case in cases if case.later))
    return player.played


async def play_all(url: str, harms: Mapping[str, Harm]) -> dict[str, Played]:
    played = await asyncio.gather(*(play(url, cluster, harm) for cluster, harm in harms.items()))
    return dict(zip(harms, played, strict=True))


def settings(plane: KubePlane | None) -> dict[str, Any]:
    fake = fake_cluster(4, more=[LOST, FULL])
    for group in fake["fake"]["node_groups"]:
        group["pool"] = FAKE
    clusters = {FAKE: fake}
    if plane is not None:
        clusters[REAL] = {"kubernetes": {"kubeconfig": str(plane.node.executor_kubeconfig), **REAL_TIMES}}
    classes = {name: {"priority": priority, "preemptible": may} for name, (priority, may) in CLASSES.items()}
    classes |= {"argosy-default": {"priority": 1000, "preemptible": False}}
    return {
        "kafka": {"partitions": 2, "replication": 1},
        "scheduler": {
            "max_attempts": MAX_ATTEMPTS,
            "priority_classes": classes,
            "pools": {cluster: {} for cluster in clusters},
        },
        "dev": {"schedulers": 1},
        "clusters": clusters,
    }


def keep_executor_away(stack: WholeStack) -> None:
    """Kills that of the fake cluster as often as it comes within AWAY_S."""
    until = time.monotonic() + AWAY_S
    while time.monotonic() < until:
        with suppress(AssertionError):
            stack.kill(f"executor-{FAKE}")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def plane() -> Iterator[KubePlane | None]:
    """None where it cannot be built."""
    if installed_binaries() is None:
        yield None
        return
    with stack_directory("conformance-kube") as directory:
        plane = KubePlane(directory / "kube")
        try:
            plane.start(KubeNodes(count=4, pool=REAL))
            for nodes, label in (
                (KubeNodes(prefix="lost", count=2, pool=REAL), LOST_NODE_LABEL),
                (KubeNodes(prefix="full", count=1, cpu=FULL_NODE_CPU, pool=REAL), FULL_NODE_LABEL),
            ):
                for index in range(nodes.count):
                    body = node_object(nodes, index)
                    body["metadata"]["labels"] |= own(label)["labels"]
                    body["spec"] = {"taints": own(label)["taints"]}
                    plane.client.call("POST", "/api/v1/nodes", body)
            plane.make_namespace(FORBIDDEN_NAMESPACE, granted=False)
            for name, (priority, _) in CLASSES.items():
                plane.make_priority_class(name, priority)
            yield plane
        finally:
            plane.close()


@pytest.fixture(scope="module")
def played(plane: KubePlane | None) -> Iterator[dict[str, Played]]:
    """By cluster."""
    with stack_directory("conformance") as directory, running_stack(directory, settings(plane)) as stack:
        harms = {FAKE: harm_to_fake(stack)}
        if plane is not None:
            harms[REAL] = harm_to_real(stack, plane)
        found = asyncio.run(play_all(stack.graphql_url, harms))
        if plane is not None:
            eventually(lambda: living(plane) == [], "no pod of a run that has ended lives on", within_s=GONE_WITHIN_S)
        yield found


def harm_to_fake(stack: WholeStack) -> Harm:
    """What else is done to a pod of a fake cluster stands in its annotations."""

    def harm(act: Act, event: Event) -> None:
        if act is Act.LOSE_POD:
            keep_executor_away(stack)

    return harm


def harm_to_real(stack: WholeStack, plane: KubePlane) -> Harm:
    """By an administrator."""

    def harm(act: Act, event: Event) -> None:
        pod = f"/api/v1/namespaces/default/pods/argosy-{event['runId']}"
        match act:
            case Act.LOSE_NODE:
                plane.client.call("DELETE", f"/api/v1/nodes/{event['node']}")
            case Act.DELETE:
                plane.client.call("DELETE", pod)
            case Act.LOSE_POD:
                stack.kill(f"executor-{REAL}")
                plane.client.call("DELETE", f"{pod}?gracePeriodSeconds=0")
            case _:
                raise AssertionError(act)

    return harm


def playable(cluster: str) -> tuple[Case, ...]:
    return tuple(case for case in CASES if cluster == FAKE or not case.only_fake)


def living(plane: KubePlane) -> list[str]:
    """Pods that are not finished, or that a finalizer of ours holds."""
    return [
        pod["metadata"]["name"]
        for pod in plane.pods()
        if pod["status"]["phase"] in ("Pending", "Running") or pod["metadata"].get("finalizers")
    ]


@pytest.mark.parametrize(
    ("cluster", "case"),
    [
        pytest.param(cluster, case, marks=slow, id=f"{cluster}-{case.name}")
        for cluster in (FAKE, REAL)
        for case in playable(cluster)
    ],
)
def test_the_stream_says_what_became_of_the_job(cluster: str, case: Case, played: dict[str, Played]) -> None:
    jobs = of_cluster(played, cluster).of(case.name)
    assert len(jobs) == case.jobs
    for events in jobs:
        kinds = [event["kind"] for event in events]
        assert contains_in_order(kinds, case.shows), kinds
        assert kinds[-1:] == [case.ends], kinds
        with_code = [event for event in events if event["reasonCode"]]
        told = with_code[0] if with_code else events[-1]
        if case.code is not None:
            assert (told["reasonCode"], told["exitCode"]) == (case.code, case.exit_code), told
            assert told["reason"], "a message that a person can act on"
        assert [event["terminal"] for event in events] == [False] * (len(events) - 1) + [True]


@pytest.mark.parametrize("cluster", [pytest.param(cluster, marks=slow, id=cluster) for cluster in (FAKE, REAL)])
def test_members_of_a_gang_run_together(cluster: str, played: dict[str, Played]) -> None:
    found = of_cluster(played, cluster)
    for case in playable(cluster):
        if case.members:
            ran = [next(event["time"] for event in job if event["kind"] == "RUNNING") for job in found.of(case.name)]
            ended = [job[-1]["time"] for job in found.of(case.name)]
            assert max(ran) <= min(ended), case.name


@pytest.mark.parametrize("cluster", [pytest.param(cluster, marks=slow, id=cluster) for cluster in (FAKE, REAL)])
def test_what_took_the_room_of_another_job_ran_there_afterwards(cluster: str, played: dict[str, Played]) -> None:
    found = of_cluster(played, cluster)
    (preempted,), (preemptor,) = found.of("preempted"), found.of(PREEMPTOR_NAME)
    assert preemptor[-1]["kind"] == "SUCCEEDED"
    (run,) = [event for event in preemptor if event["kind"] == "RUNNING"]
    assert run["node"] == next(event["node"] for event in preempted if event["kind"] == "RUNNING")
    assert run["time"] > next(event["time"] for event in preempted if event["kind"] == "PREEMPTED")


def of_cluster(played: dict[str, Played], cluster: str) -> Played:
    if cluster not in played:
        skip_without_kube()
    return played[cluster]


def contains_in_order(kinds: list[str], wanted: tuple[str, ...]) -> bool:
    left = iter(kinds)
    return all(kind in left for kind in wanted)
