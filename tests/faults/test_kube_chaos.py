"""Chaos on a real API server: 1,000 jobs run while the executor is killed, the API server is killed and paused, its
connections and watches are cut, and etcd forgets its history, at random times. Each job ends once and as its command
says, and no pod is left over."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from app.admin.kube_node import KubeNodes
from tests.stack.directory import stack_directory
from tests.stack.graphql_client import GraphqlClient, Subscriber
from tests.stack.kube import KubePlane, skip_without_kube
from tests.stack.relay import Relay
from tests.stack.whole_stack import WholeStack, eventually, running_stack

pytestmark = [pytest.mark.stack, pytest.mark.kube, pytest.mark.timeout(900)]

JOBS = int(os.environ.get("ARGOSY_CHAOS_JOBS", "1000"))
SEED = int(os.environ.get("ARGOSY_CHAOS_SEED", "1"))
PER_CALL = 100
CHAOS_S = 60.0
ENDED_WITHIN_S = 600.0
LEFT_OVER_WITHIN_S = 60.0
HARMS = ("executor killed", "API server killed", "API server paused", "connections cut", "history forgotten")
QUEUE, JOB_SET = "chaos", "kube"
CREATE_QUEUE = """mutation ($queues: [QueueInput!]!) { createQueues(queues: $queues) { errors { code message } } }"""
SUBMIT = """mutation ($input: SubmitJobsInput!) {
  submitJobs(input: $input) { results { jobId error { message } } errors { message } } }"""


@pytest.fixture(scope="module")
def plane() -> Iterator[KubePlane]:
    skip_without_kube()
    with stack_directory("chaos-kube") as directory:
        plane = KubePlane(directory / "kube")
        try:
            plane.start(KubeNodes(count=20))
            yield plane
        finally:
            plane.close()


@pytest.fixture(scope="module")
def relay(plane: KubePlane) -> Iterator[Relay]:
    """Between the executor and the API server."""
    relay = Relay(plane.node.port).start()
    yield relay
    relay.close()


@pytest.fixture(scope="module")
def stack(plane: KubePlane, relay: Relay) -> Iterator[WholeStack]:
    kubeconfig = plane.node.directory / "relayed.kubeconfig"
    plane.node.write_kubeconfig(kubeconfig, plane.node.token("executor"), server=f"https://127.0.0.1:{relay.port}")
    settings = {
        "kafka": {"partitions": 2, "replication": 1},
        "dev": {"schedulers": 1},
        "clusters": {
            "real": {
                "kubernetes": {
                    "kubeconfig": str(kubeconfig),
                    "image_not_found_s": 5,
                    "force_delete_s": 5,
                    "create_timeout_s": 5,
                    "last_words_s": 10,
                    "finished_keep_s": 11,
                }
            }
        },
    }
    with stack_directory("chaos-stack") as directory, running_stack(directory, settings) as stack:
        yield stack


def planned(rng: Random) -> tuple[dict[str, Any], str, int | None]:
    """A job, its end and its exit code."""
    code = rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 3, None))
    image = "r.example.com/unknown/x:1" if code is None else "busybox:1.37"
    command = ["sh", "-c", f"sleep {rng.randint(1, 20)}; exit {code or 0}"]
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
    container = {"name": "main", "image": image, "command": command, "resources": resources}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"podSpec": spec}, "SUCCEEDED" if code == 0 else "FAILED", code


async def test_each_job_ends_once_and_no_pod_is_left_over(stack: WholeStack, plane: KubePlane, relay: Relay) -> None:
    rng = Random(SEED)
    ends: dict[str, tuple[str, int | None]] = {}
    async with GraphqlClient(stack.graphql_url) as client:
        await client.call(CREATE_QUEUE, {"queues": [{"name": QUEUE, "priorityFactor": 1.0}]})
        for begin in range(0, JOBS, PER_CALL):
            jobs = [planned(rng) for _ in range(min(PER_CALL, JOBS - begin))]
            call = {"queue": QUEUE, "jobSet": JOB_SET, "requestId": f"c{begin}", "jobs": [job for job, _, _ in jobs]}
            payload = (await client.call(SUBMIT, {"input": call}))["submitJobs"]
            assert payload["errors"] == []
            for result, (_, end, code) in zip(payload["results"], jobs, strict=True):
                ends[result["jobId"]] = (end, code)
        subscriber = Subscriber(client, QUEUE, JOB_SET, over="sse")
        following = asyncio.create_task(subscriber.follow())
        harm = asyncio.create_task(asyncio.to_thread(do_harm, stack, plane, relay, rng))
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDED_WITHIN_S):
                while subscriber.ended < JOBS:
                    subscriber.changed.clear()
                    await subscriber.changed.wait()
        done = await harm
        following.cancel()
    judge(subscriber.events, ends)
    assert len(done) == len(HARMS), done
    eventually(lambda: left_over(plane) == [], "no pod of a job that has ended lives", within_s=LEFT_OVER_WITHIN_S)


def do_harm(stack: WholeStack, plane: KubePlane, relay: Relay, rng: Random) -> Counter[str]:
    """Until its time is over. Output: how often each harm was done."""
    done: Counter[str] = Counter()
    until = time.monotonic() + CHAOS_S
    turn = 0
    while time.monotonic() < until or len(done) < len(HARMS):
        time.sleep(rng.uniform(1.0, 5.0))
        harm = HARMS[turn % len(HARMS)] if turn < len(HARMS) else rng.choice(HARMS)
        turn += 1
        match harm:
            case "executor killed":
                if not stack.is_ready("executor-real"):
                    continue
                stack.kill("executor-real")
            case "API server killed":
                plane.kill("kube-apiserver")
                time.sleep(rng.uniform(0.0, 3.0))
                plane.start_apiserver()
            case "API server paused":
                os.kill(plane.pid("kube-apiserver"), signal.SIGSTOP)
                time.sleep(rng.uniform(1.0, 6.0))
                os.kill(plane.pid("kube-apiserver"), signal.SIGCONT)
            case "connections cut":
                if not relay.cut():
                    continue
            case _:
                plane.kill("kube-apiserver")
                plane.compact()
                plane.start_apiserver()
        done[harm] += 1
    return done


def judge(events: list[dict[str, Any]], ends: dict[str, tuple[str, int | None]]) -> None:
    terminal = [event for event in events if event["terminal"]]
    counts = Counter(event["jobId"] for event in terminal)
    assert {job for job, count in counts.items() if count > 1} == set(), "ended more than once"
    assert ends.keys() - counts.keys() == set(), "never ended"
    wrong = [
        (event["jobId"], event["kind"], event["reasonCode"], event["exitCode"], ends[event["jobId"]])
        for event in terminal
        if (event["kind"], event["exitCode"] or None) != (ends[event["jobId"]][0], ends[event["jobId"]][1] or None)
    ]
    assert wrong == []


def left_over(plane: KubePlane) -> list[str]:
    """Pods that run, or that a finalizer of ours holds."""
    return [
        pod["metadata"]["name"]
        for pod in plane.pods()
        if pod["status"].get("phase") in ("Pending", "Running") or pod["metadata"].get("finalizers")
    ]
