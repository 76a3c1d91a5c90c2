"""What the end-to-end benchmark submits and how it looks at the result: calls of many kinds, the state of the tables,
samples of a job's way.

Inputs: a running stack. Outputs: rates, times, samples in ms.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import httpx
import msgspec

from tests.stack.graphql_client import GraphqlClient, sse_stream
from tests.stack.whole_stack import WholeStack

CREATE_QUEUES = """mutation ($queues: [QueueInput!]!) {
  createQueues(queues: $queues, waitFor: VISIBLE) { errors { code message } } }"""
SUBMIT = """mutation ($input: SubmitJobsInput!, $waitFor: WaitFor) {
  submitJobs(input: $input, waitFor: $waitFor) { results { jobId error { message } } errors { code path message } } }"""
CANCEL_SET = """mutation ($queue: String!, $jobSet: String!) {
  cancelJobSet(queue: $queue, jobSet: $jobSet) { affectedCount errors { code message } } }"""
WATCH = """subscription ($queue: String!, $jobSet: String!, $after: Cursor) {
  jobSetEvents(queue: $queue, jobSet: $jobSet, after: $after) { events { kind jobId terminal containers } } }"""

COUNT_BY_STATE = "SELECT state, count(*) AS n FROM history_jobs WHERE job_set_id = ANY($1) GROUP BY state"
SETS = "SELECT id FROM history_job_sets WHERE name = ANY($1)"
UNFINISHED = "SELECT count(*) FROM leases WHERE state < 3"
RUNNING = 3
LIVE_STATES = (0, 1, 2, 3)
POLL_S = 0.05
DRAIN_S = 300.0


def pod(seconds: float, *, number: int = 0, cpu: str = "1") -> dict[str, Any]:
    """A pod that sleeps; number makes its spec one of its own."""
    amounts = {"cpu": cpu, "memory": "1Gi", "ephemeral-storage": "1Gi"}
    main = {
        "name": "main",
        "image": "busybox:1.37",
        "command": ["sleep", str(seconds)],
        "env": [{"name": "NUMBER", "value": str(number)}],
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
    }
    return {"restartPolicy": "Never", "containers": [main]}


def call_input(
    queue: str, job_set: str, jobs: int, seconds: float, *, own_specs: bool, first: int = 0
) -> dict[str, Any]:
    """The input of one submit call; first: number of its first spec."""
    if own_specs:
        items = [{"podSpec": pod(seconds, number=first + at)} for at in range(jobs)]
        return {"queue": queue, "jobSet": job_set, "jobs": items}
    return {"queue": queue, "jobSet": job_set, "podSpecs": [pod(seconds)], "jobs": [{"podSpecIndex": 0}] * jobs}


async def create_queues(client: GraphqlClient, names: Sequence[str]) -> None:
    """Queues of equal weight."""
    payload = (await client.call(CREATE_QUEUES, {"queues": [{"name": name} for name in names]}))["createQueues"]
    assert all(error["code"] == "CONFLICT" for error in payload["errors"]), payload["errors"]


async def submit_encoded(client: GraphqlClient, bodies: Sequence[bytes], at_once: int) -> float:
    """Sends bodies that were encoded before, so many at a time; returns the seconds until all were acknowledged."""
    waiting = iter(bodies)

    async def lane() -> None:
        for body in waiting:
            response = await client.http.post(client.url, content=body, headers={"content-type": "application/json"})
            payload = response.json()["data"]["submitJobs"]
            assert not payload["errors"], payload["errors"]

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    return time.perf_counter() - begun


def encoded(variables: dict[str, Any], wait_for: str) -> bytes:
    """The body of a submit request."""
    return msgspec.json.encode({"query": SUBMIT, "variables": {"input": variables, "waitFor": wait_for}})


class Tables:
    """What queries of the tables say of some job sets."""

    def __init__(self, connection: Any, job_sets: Sequence[str]) -> None:
        self._connection, self._names = connection, list(job_sets)
        self._ids: list[int] = []

    @classmethod
    async def open(cls, stack: WholeStack, job_sets: Sequence[str]) -> "Tables":
        return cls(await asyncpg.connect(stack.database_url), job_sets)

    async def close(self) -> None:
        await self._connection.close()

    async def counts(self) -> dict[int, int]:
        """State number -> jobs."""
        if len(self._ids) < len(self._names):
            self._ids = [row["id"] for row in await self._connection.fetch(SETS, self._names)]
        return {row["state"]: row["n"] for row in await self._connection.fetch(COUNT_BY_STATE, self._ids)}

    async def until_running(self, jobs: int, within_s: float) -> None:
        """Returns when so many are seen running."""
        deadline = time.monotonic() + within_s
        while (counts := await self.counts()).get(RUNNING, 0) < jobs:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{jobs} jobs are not running after {within_s:.0f} s: {counts} by state")
            await asyncio.sleep(POLL_S)

    async def until_ended(self, jobs: int) -> None:
        """Returns when so many jobs have ended and no run holds room any more."""
        deadline = time.monotonic() + DRAIN_S
        while True:
            counts = await self.counts()
            ended = sum(count for state, count in counts.items() if state not in LIVE_STATES)
            if ended >= jobs and await self._connection.fetchval(UNFINISHED) == 0:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{jobs} jobs have not ended after {DRAIN_S:.0f} s: {counts} by state")
            await asyncio.sleep(POLL_S)


@dataclass(slots=True)
class Samples:
    """Ways of single jobs, in ms. applied: until the answer to the call; leased: from sending the call until LEASED is
    on the stream; terminal: from the end of the job's last container until its terminal event is on the stream."""

    applied: list[float] = field(default_factory=list)
    leased: list[float] = field(default_factory=list)
    terminal: list[float] = field(default_factory=list)


class LatencyProbe:
    """Submits single jobs at a rate and watches them on the stream of their job set."""

    def __init__(self, client: GraphqlClient, queue: str, job_set: str) -> None:
        self._client, self._queue, self._job_set = client, queue, job_set
        self._sent_at: dict[str, float] = {}
        self._leased_at: dict[str, float] = {}
        self.samples = Samples()

    async def run(self, samples: int, per_second: float) -> Samples:
        """Raises TimeoutError when jobs do not end."""
        watching = asyncio.create_task(self._watch())
        try:
            begun = time.monotonic()
            calls = []
            for number in range(samples):
                await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
                calls.append(asyncio.create_task(self._submit(number)))
            await asyncio.gather(*calls)
            async with asyncio.timeout(60.0):
                while len(self.samples.terminal) < samples:
                    if watching.done():
                        watching.result()
                    await asyncio.sleep(POLL_S)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        found = self.samples
        found.leased = [1e3 * (self._leased_at[job] - sent) for job, sent in self._sent_at.items()]
        return found

    async def _submit(self, number: int) -> None:
        variables = {"input": call_input(self._queue, self._job_set, 1, 1, own_specs=True, first=number)}
        sent_at = time.time()
        payload = (await self._client.once(SUBMIT, variables))["submitJobs"]
        self.samples.applied.append(1e3 * (time.time() - sent_at))
        assert not payload["errors"], payload["errors"]
        self._sent_at[payload["results"][0]["jobId"]] = sent_at

    async def _watch(self) -> None:
        variables = {"queue": self._queue, "jobSet": self._job_set, "after": "BEGIN"}
        async with (
            httpx.AsyncClient() as http,
            aclosing(sse_stream(http, self._client.url, variables, WATCH)) as batches,
        ):
            async for batch in batches:
                now = time.time()
                for event in batch["events"]:
                    if event["kind"] == "LEASED":
                        self._leased_at.setdefault(event["jobId"], now)
                    if event["terminal"]:
                        self.samples.terminal.append(1e3 * (now - finished_at(event["containers"])))


def finished_at(containers: Sequence[dict[str, Any]]) -> float:
    """When the last container ended, by the cluster's clock (this machine's), in Unix seconds."""
    return max(datetime.fromisoformat(each["finished"]).timestamp() for each in containers if each.get("finished"))
