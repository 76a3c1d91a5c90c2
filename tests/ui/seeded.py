"""A stack with the demo's seeded mix of jobs in it: more than fits at once, ended in every way.

Output: a running WholeStack in which every page has something to show.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from app.admin.demo_workload import Workload
from tests.stack.directory import stack_directory
from tests.stack.whole_stack import ROOT, WholeStack, running_stack
from tests.ui.lookout import WAITING_SET, Facts

QUEUES = {"research": 1.0, "simulation": 2.0, "reports": 4.0}
DEMO = ROOT / "infra" / "demo.yaml"
JOB_SET = "demo-seeded"
JOBS = 900
CLUSTERS = 2
NODES = {"cpu": 12, "gpu": 4}
READY_S = 120.0

CREATE_QUEUES = """mutation ($queues: [QueueInput!]!) {
  createQueues(queues: $queues, waitFor: VISIBLE) { errors { message } } }"""
SUBMIT = """mutation ($input: SubmitJobsInput!) {
  submitJobs(input: $input, waitFor: VISIBLE) { results { jobId } errors { path message } } }"""
CANCEL = """mutation ($ids: [ID!]!) { cancelJobs(jobIds: $ids, reason: "changed my mind") { affectedCount } }"""


def settings() -> dict[str, Any]:
    """Those of the demo, with fewer clusters and nodes, so that some jobs have to wait."""
    found: dict[str, Any] = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    clusters = dict(list(found["clusters"].items())[:CLUSTERS])
    for cluster in clusters.values():
        groups = [{**group, "count": NODES[group["name"]]} for group in cluster["fake"]["node_groups"]]
        cluster["fake"] = {**cluster["fake"], "node_groups": groups}
    return {**found, "clusters": clusters, "dev": {"schedulers": 1}}


@contextmanager
def seeded_stack() -> Iterator[WholeStack]:
    """Up, filled, and with the first failures in it."""
    with stack_directory("ui") as directory, running_stack(directory, settings()) as stack:
        seed(Facts(stack.api_url))
        yield stack


def seed(facts: Facts) -> None:
    """Creates the queues, submits the jobs, waits until some run and some have failed."""
    queues = [
        {"name": name, "priorityFactor": factor, "owners": ["alice"], "labels": {"team": name}}
        for name, factor in QUEUES.items()
    ]
    facts.ask(CREATE_QUEUES, queues=queues)
    workload = Workload(1, tuple(QUEUES))
    for call in workload.calls(JOBS, JOB_SET):
        answer = facts.ask(SUBMIT, input={**call.input, "requestId": f"seed-{time.monotonic_ns()}"})
        assert not answer["submitJobs"]["errors"], answer
        ids = [each["jobId"] for each in answer["submitJobs"]["results"]]
        if call.cancel:
            facts.ask(CANCEL, ids=[ids[index] for index in call.cancel])
    facts.ask(SUBMIT, input=waiting_job())
    deadline = time.monotonic() + READY_S
    while facts.job("RUNNING") is None or facts.job("FAILED") is None:
        assert time.monotonic() < deadline, "the seeded jobs do not run"
        time.sleep(0.5)


def waiting_job() -> dict[str, Any]:
    """One member of a gang of two: it waits for the other."""
    amounts = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}
    container = {"name": "main", "image": "busybox:1.37", "resources": {"requests": amounts, "limits": amounts}}
    spec = {"restartPolicy": "Never", "containers": [container]}
    job = {"podSpec": spec, "gang": {"id": "pair", "cardinality": 2}}
    return {"queue": next(iter(QUEUES)), "jobSet": WAITING_SET, "requestId": "waiting", "jobs": [job]}
