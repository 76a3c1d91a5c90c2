"""The executors' sync on the real stack: leases wake a waiting request, reports come back as stops, and Postgres may be
away."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.admin.processes import free_port
from app.domain.commands import BeginEpoch, Lease, LeaseJobs
from app.domain.ids import format_id, parse_id, partition_of_job, ulid
from app.log import codec
from app.log.producer import LogProducer
from app.log.topics import COMMANDS
from tests.integration.api.client import Client
from tests.integration.api.installation import PARTITIONS, Installation, executor_token

pytestmark = pytest.mark.stack

TIME = "2026-11-24T07:00:00.000Z"


def new_id() -> str:
    return format_id(ulid(time.time_ns() // 1_000_000, time.time_ns() & ((1 << 80) - 1)))


class Executor:
    """One instance of cluster c0, by hand."""

    def __init__(self, url: str) -> None:
        headers = {"authorization": f"Bearer {executor_token('c0')}"}
        self.instance = new_id()
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=60)
        self._sequences = {"reports": 0, "leases": 0}
        self.cursor: Any = None

    async def reports(self, **fields: Any) -> Any:
        return await self._send("reports", fields)

    async def leases(self, wait_ms: int = 10_000) -> Any:
        answer = await self._send("leases", {"waitMs": max(1, wait_ms), "leaseCursor": self.cursor})
        self.cursor = answer["leaseCursor"]
        return answer

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, lane: str, fields: dict[str, Any]) -> Any:
        self._sequences[lane] += 1
        body = {"cluster": "c0", "instance": self.instance, "sequence": self._sequences[lane], "time": TIME, **fields}
        answer = await self._http.post("/executor/v1/sync", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


class Leader:
    """Leads by hand: epochs and leases straight into the log."""

    def __init__(self, producer: LogProducer) -> None:
        self._producer = producer
        self._epoch = time.time_ns()

    async def begin(self) -> None:
        for partition in range(PARTITIONS):
            await self._send(partition, BeginEpoch(epoch=self._epoch, leader="test"))

    async def lease(self, job_id: str) -> str:
        """Leases a job to node n0 of c0; the run's id."""
        run = new_id()
        lease = Lease(
            job_id=parse_id(job_id),
            run_id=parse_id(run),
            attempt=0,
            cluster="c0",
            node="n0",
            pool="default",
            scheduled_at_priority=1000,
        )
        command = LeaseJobs(epoch=self._epoch, round_id=bytes(16), leases=(lease,))
        await self._send(partition_of_job(parse_id(job_id)), command)
        return run

    async def _send(self, partition: int, command: BeginEpoch | LeaseJobs) -> None:
        await self._producer.send(COMMANDS, partition, codec.encode(command))


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    async with Client(installation.url) as made:
        yield made


@pytest.fixture
async def leader(installation: Installation) -> AsyncIterator[Leader]:
    producer = LogProducer(installation.bootstrap, "test-leader")
    await producer.start()
    made = Leader(producer)
    await made.begin()
    yield made
    await producer.stop()


@pytest.fixture
async def executor(installation: Installation) -> AsyncIterator[Executor]:
    made = Executor(installation.url)
    yield made
    await made.close()


async def submitted(client: Client, queue: str) -> str:
    payload = await client.submit(queue, 1)
    return str(payload["results"][0]["jobId"])


def report(job_id: str, run_id: str, state: str, **fields: Any) -> dict[str, Any]:
    return {"jobId": job_id, "runId": run_id, "attempt": 0, "state": state, "time": TIME, **fields}


async def wait_for_stop(executor: Executor, run_id: str) -> str:
    """The reason with which the run's stop came."""
    async with asyncio.timeout(60):
        while True:
            for stop in (await executor.leases())["stops"]:
                if stop["runId"] == run_id:
                    return str(stop["reason"])


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
