"""The executors' sync on the real stack: leases wake a waiting request, reports come back as stops, and Postgres may be
away."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from app.admin.processes import free_port
from tests.integration.api.by_hand import Executor, Leader, report, submitted, wait_for_stop
from tests.integration.api.client import Client
from tests.integration.api.installation import Installation

pytestmark = pytest.mark.stack


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    async with Client(installation.url) as made:
        yield made


async def test_a_run_goes_from_lease_to_finished_over_both_lanes(
    client: Client, leader: Leader, executor: Executor
) -> None:
    queue = await client.create_queue()
    job_id = await submitted(client, queue)
    node = {"name": "n0", "pool": "default", "allocatable": {"cpu": "8", "memory": "32Gi"}}
    nodes = {"generation": 1, "changed": [node], "complete": {"nodeCount": 1}}
    answer = await executor.reports(nodes=nodes, runs=[])
    assert (answer["askNodes"], answer["leasesKnown"]) == (False, True)
    waiting = asyncio.create_task(executor.leases())
    run_id = await leader.lease(job_id)
    began_s = time.monotonic()
    leases = (await waiting)["leases"]
    while not leases:
        leases = (await executor.leases())["leases"]
    (lease,) = leases
    assert time.monotonic() - began_s < 60
    assert (lease["runId"], lease["jobId"], lease["queue"], lease["node"]) == (run_id, job_id, queue, "n0")
    assert lease["podSpec"]["containers"][0]["image"] == "busybox"
    assert lease["podSpec"]["activeDeadlineSeconds"] == lease["deadlineSeconds"]
    assert lease["owner"] == "anonymous"
    assert (await executor.leases(wait_ms=100))["leases"] == [], "the cursor has passed it"

    await executor.reports(reports=[report(job_id, run_id, "RUNNING", pod="p", node="n0")])
    async with asyncio.timeout(60):
        while run_id not in (full := await executor.reports(runs=[]))["reported"]:
            await asyncio.sleep(0.05)
    at = full["reported"].index(run_id)
    assert full["reportedJobs"][at] == {"jobId": job_id, "attempt": 0}

    await executor.reports(reports=[report(job_id, run_id, "SUCCEEDED", exitCode=0)])
    assert await wait_for_stop(executor, run_id) == "finished"
    events = client.sse({"queue": queue, "jobSet": "s", "after": "BEGIN", "live": False})
    kinds = [event["kind"] async for batch in events for event in batch["events"]]
    assert kinds == ["SUBMITTED", "QUEUED", "LEASED", "PENDING", "RUNNING", "SUCCEEDED"]


async def test_a_cancelled_run_is_stopped_and_gone_ends_it(client: Client, leader: Leader, executor: Executor) -> None:
    job_id = await submitted(client, await client.create_queue())
    await executor.reports(runs=[])
    run_id = await leader.lease(job_id)
    async with asyncio.timeout(60):
        while run_id not in [lease["runId"] for lease in (await executor.leases())["leases"]]:
            pass
    cancelled = await client.execute(
        "mutation ($ids: [ID!]!) { cancelJobs(jobIds: $ids) { affectedCount } }", {"ids": [job_id]}
    )
    assert cancelled["cancelJobs"]["affectedCount"] == 1
    assert await wait_for_stop(executor, run_id) == "cancelled"
    await executor.reports(reports=[report(job_id, run_id, "GONE")])
    async with asyncio.timeout(60):
        while run_id in [stop["runId"] for stop in (await executor.reports(runs=[]))["stops"]]:
            await asyncio.sleep(0.05)


async def test_a_request_that_waits_in_vain_is_answered_in_time_with_its_cursor(executor: Executor) -> None:
    first = await executor.reports(runs=[])
    while first["leases"] or first["stops"]:
        first = await executor.leases(wait_ms=1)
    async with asyncio.timeout(60):
        while True:
            began_s = time.monotonic()
            answer = await executor.leases(wait_ms=300)
            # What earlier tests left may still come to its end, and is told then.
            if not answer["leases"] and not answer["stops"]:
                break
    assert time.monotonic() - began_s >= 0.25
    assert answer["leasesKnown"] is True


async def test_another_logs_cursor_counts_as_empty(executor: Executor) -> None:
    answer = await executor.reports(leaseCursor={"log": "another", "0": [1_000_000, 0]})
    assert answer["leasesKnown"] is True
    assert answer["leaseCursor"]["log"] != "another"
    assert all(value[0] < 1_000_000 for key, value in answer["leaseCursor"].items() if key != "log")


async def test_an_api_that_is_told_to_stop_answers_whoever_waits(installation: Installation) -> None:
    port = free_port()
    api = installation.another_api("api-that-stops", ARGOSY_API__PORT=str(port))
    api.start()
    try:
        await asyncio.to_thread(api.wait_until_ready)
        executor = Executor(f"http://127.0.0.1:{port}")
        await executor.reports(runs=[])
        async with asyncio.timeout(60):
            while True:
                began_s = time.monotonic()
                waiting = asyncio.create_task(executor.leases(wait_ms=10_000))
                # What earlier tests left is told first.
                if not (await asyncio.wait([waiting], timeout=1.0))[0]:
                    break
        code = await asyncio.to_thread(api.stop)
        answer = await waiting
        assert (code, answer["leases"], answer["leasesKnown"]) == (0, [], True)
        assert time.monotonic() - began_s < 9, "it was not left to wait"
        assert "Traceback" not in api.log.read_text()
        await executor.close()
    finally:
        api.kill()
