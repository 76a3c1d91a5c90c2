"""Gangs, preemption and rejection on the real stack, led by hand: what users, executors and a restored agent see."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.commands import RunPosition
from app.domain.ids import parse_id
from tests.integration.api.by_hand import Executor, Leader, report, wait_for_stop
from tests.integration.api.client import CANCEL, Client
from tests.integration.api.installation import Installation

pytestmark = pytest.mark.stack

JOB = """query ($id: ID!) { job(id: $id) {
  state attempt reason reasonCode gang { id cardinality uniformityLabel failFast } runs { id state reasonCode reason }
  events { kind attempt terminal reasonCode preemptedBy } } }"""


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    async with Client(installation.url) as made:
        yield made


@pytest.fixture
async def leader(leader: Leader) -> Leader:
    """One that places jobs on a cluster of this file's own: other tests count what their executor is told."""
    leader.cluster = "c1"
    return leader


@pytest.fixture
async def instance(installation: Installation) -> AsyncIterator[Executor]:
    """An executor of that cluster whose instance has begun."""
    made = Executor(installation.url, "c1")
    await made.reports(runs=[])
    yield made
    await made.close()


async def job_of(client: Client, job_id: str) -> Any:
    return (await client.execute(JOB, {"id": job_id}))["job"]


async def job_in(client: Client, job_id: str, state: str) -> Any:
    """The job once it is in this state."""
    async with asyncio.timeout(60):
        while (job := await job_of(client, job_id)) is None or job["state"] != state:
            await asyncio.sleep(0.05)
    return job


async def taken(executor: Executor, runs: list[str]) -> dict[str, Any]:
    """The leases of these runs, by run."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while not set(runs) <= found.keys():
            found |= {lease["runId"]: lease for lease in (await executor.leases())["leases"]}
    return {run: found[run] for run in runs}


def member(**fields: Any) -> dict[str, Any]:
    return {"podSpecIndex": 0, **fields}


async def a_gang(client: Client, queue: str, size: int = 3, **fields: Any) -> list[str]:
    jobs = [member(gang={"id": "g", "cardinality": size, **fields})] * size
    return [result["jobId"] for result in (await client.submit(queue, jobs=jobs))["results"]]


async def test_a_gang_of_two_calls_starts_as_a_whole_and_its_pods_are_told(
    client: Client, leader: Leader, instance: Executor
) -> None:
    queue = await client.create_queue()
    by_field = member(gang={"id": "g", "cardinality": 3})
    first = await client.submit(queue, jobs=[by_field, by_field])
    annotations = {"armadaproject.io/gangId": "g", "armadaproject.io/gangCardinality": "3"}
    other = await client.submit(queue, jobs=[member(annotations={**annotations, "armadaproject.io/failFast": "true"})])
    jobs = [result["jobId"] for payload in (first, other) for result in payload["results"]]
    too_many = await client.submit(queue, jobs=[by_field])
    assert [(error["code"], error["path"]) for error in too_many["errors"]] == []
    assert [result["error"] for result in too_many["results"]] == [{"code": "INVALID", "path": "jobs[0].gang.id"}]

    await leader.lease_all(jobs[:2])
    runs = await leader.lease_all(jobs)
    leases = await taken(instance, runs)
    assert [lease["gang"] for lease in leases.values()] == [{"id": "g", "cardinality": 3, "uniformityLabel": None}] * 3
    for job_id in jobs:
        job = await job_in(client, job_id, "LEASED")
        assert job["gang"] == {"id": "g", "cardinality": 3, "uniformityLabel": None, "failFast": True}
        assert [run["id"] for run in job["runs"]] == [runs[jobs.index(job_id)]], "the first command leased nobody"


async def test_a_lost_member_of_a_gang_that_does_not_fail_fast_restarts_it(
    client: Client, leader: Leader, instance: Executor
) -> None:
    jobs = await a_gang(client, await client.create_queue(), failFast=False)
    runs = await leader.lease_all(jobs)
    await taken(instance, runs)
    returned = report(jobs[0], runs[0], "RETURNED", reason="NodeGone", attempted=False)
    await instance.reports(reports=[returned])
    stops = [await wait_for_stop(instance, run) for run in runs[1:2]]
    assert stops == ["restarted"]
    for job_id in jobs:
        job = await job_in(client, job_id, "QUEUED")
        assert job["attempt"] == 1
        assert [run["state"] for run in job["runs"]] == ["LEASE_RETURNED"]
    assert (await job_of(client, jobs[1]))["runs"][0]["reasonCode"] == "GangRestarted"
    await leader.lease_all(jobs, attempt=1)
    await instance.reports(reports=[report(job, run, "GONE") for job, run in zip(jobs[1:], runs[1:], strict=True)])
    again = await leader.lease_all(jobs, attempt=1)
    await taken(instance, again)
    for job_id, run in zip(jobs, again, strict=True):
        assert (await job_in(client, job_id, "LEASED"))["runs"][-1]["id"] == run


async def test_a_displaced_run_is_preempted_and_its_stream_says_by_whom(
    client: Client, leader: Leader, instance: Executor
) -> None:
    queue = await client.create_queue()
    payload = await client.submit(queue, jobs=[member(priorityClass="argosy-preemptible"), member()])
    victim, urgent = (result["jobId"] for result in payload["results"])
    run = await leader.lease(victim)
    lease = (await taken(instance, [run]))[run]
    await instance.reports(reports=[report(victim, run, "RUNNING", node="n0", pod="p")])
    await job_in(client, victim, "RUNNING")
    partition, offset, ordinal = lease["position"]
    place = RunPosition(run_id=parse_id(run), partition=partition, offset=offset, ordinal=ordinal)
    [displacing] = await leader.lease_all([urgent], displaced=(place,))
    told = (await taken(instance, [displacing]))[displacing]
    assert told["displaces"] == [{"runId": run, "position": lease["position"]}]
    await leader.preempt(victim, run, by_job=urgent)
    assert await wait_for_stop(instance, run) == "preempted"
    job = await job_in(client, victim, "PREEMPTED")
    assert (job["reasonCode"], job["reason"]) == ("UrgencyPreemption", "an urgent job took its room")
    assert [(each["id"], each["state"], each["reasonCode"]) for each in job["runs"]] == [
        (run, "PREEMPTED", "UrgencyPreemption")
    ]
    assert [(event["kind"], event["terminal"], event["preemptedBy"]) for event in job["events"][-3:]] == [
        ("PREEMPTING", False, urgent),
        ("PREEMPTED", False, urgent),
        ("FAILED", True, urgent),
    ]
    stream = client.sse({"queue": queue, "jobSet": "s", "after": "BEGIN", "live": False})
    kinds = [event["kind"] async for batch in stream for event in batch["events"] if event["jobId"] == victim]
    assert kinds == ["SUBMITTED", "QUEUED", "LEASED", "PENDING", "RUNNING", "PREEMPTING", "PREEMPTED", "FAILED"]


async def test_a_rejected_job_says_why(client: Client, leader: Leader) -> None:
    queue = await client.create_queue()
    [result] = (await client.submit(queue))["results"]
    await leader.reject(result["jobId"], "needs 16 GPUs, a node has 8")
    job = await job_in(client, result["jobId"], "REJECTED")
    assert (job["reasonCode"], job["reason"]) == ("FitsNowhere", "needs 16 GPUs, a node has 8")
    assert [(event["kind"], event["terminal"]) for event in job["events"]] == [
        ("SUBMITTED", False),
        ("QUEUED", False),
        ("REJECTED", False),
        ("FAILED", True),
    ]


async def test_a_queue_agent_that_lost_its_store_still_knows_who_is_in_a_gang(
    client: Client, leader: Leader, installation: Installation
) -> None:
    queue = await client.create_queue()
    jobs = await a_gang(client, queue)
    agent = installation.queue_agent
    agent.kill()
    await asyncio.to_thread(shutil.rmtree, Path(installation.environment["ARGOSY_QUEUE_AGENT__DATA_DIR"]))
    agent.start()
    await asyncio.to_thread(agent.wait_until_ready)
    too_many = await client.submit(queue, jobs=[member(gang={"id": "g", "cardinality": 3})])
    assert [result["error"]["path"] for result in too_many["results"]] == ["jobs[0].gang.id"]
    await client.execute(CANCEL, {"ids": jobs[:1]})
    in_its_place = await client.submit(queue, jobs=[member(gang={"id": "g", "cardinality": 3})])
    [late] = in_its_place["results"]
    runs = await leader.lease_all([*jobs[1:], late["jobId"]])
    assert (await job_in(client, late["jobId"], "LEASED"))["runs"][0]["id"] == runs[-1]
