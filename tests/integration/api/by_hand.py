"""A leader and an executor by hand: commands straight into the log, syncs straight over HTTP."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Any

import httpx

from app.domain.commands import (
    BeginEpoch,
    Lease,
    LeaseJobs,
    Preemption,
    PreemptReason,
    PreemptRuns,
    Rejection,
    RejectJobs,
    RunPosition,
)
from app.domain.ids import format_id, parse_id, partition_of_job, ulid
from app.log import codec
from app.log.producer import LogProducer
from app.log.topics import COMMANDS
from tests.integration.api.client import Client
from tests.integration.api.installation import PARTITIONS, executor_token

TIME = "2026-11-24T07:00:00.000Z"


def new_id() -> str:
    return format_id(ulid(time.time_ns() // 1_000_000, secrets.randbits(80)))


class Executor:
    """One instance of a cluster, by hand."""

    def __init__(self, url: str, cluster: str = "c0") -> None:
        self._cluster = cluster
        headers = {"authorization": f"Bearer {executor_token(cluster)}"}
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
        body = {
            "cluster": self._cluster,
            "instance": self.instance,
            "sequence": self._sequences[lane],
            "time": TIME,
            **fields,
        }
        answer = await self._http.post("/executor/v1/sync", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


class Leader:
    """Leads by hand: epochs and leases straight into the log. cluster: where it places jobs."""

    def __init__(self, producer: LogProducer) -> None:
        self.cluster = "c0"
        self._producer = producer
        self._epoch = time.time_ns()

    async def begin(self) -> None:
        for partition in range(PARTITIONS):
            await self._send(partition, BeginEpoch(epoch=self._epoch, leader="test"))

    async def lease(self, job_id: str) -> str:
        """Leases a job to node n0 of the cluster; the run's id."""
        return (await self.lease_all([job_id]))[0]

    async def lease_all(
        self, job_ids: Sequence[str], *, attempt: int = 0, displaced: tuple[RunPosition, ...] = ()
    ) -> list[str]:
        """Leases jobs of one partition to node n0 of the cluster by one command; the runs' ids."""
        runs = [new_id() for _ in job_ids]
        leases = tuple(
            Lease(
                job_id=parse_id(job_id),
                run_id=parse_id(run),
                attempt=attempt,
                cluster=self.cluster,
                node="n0",
                pool="default",
                scheduled_at_priority=1000,
                displaced=displaced,
            )
            for job_id, run in zip(job_ids, runs, strict=True)
        )
        command = LeaseJobs(epoch=self._epoch, round_id=bytes(16), leases=leases)
        await self._send(partition_of_job(parse_id(job_ids[0])), command)
        return runs

    async def preempt(self, job_id: str, run_id: str, by_job: str) -> None:
        """For urgency, by another job."""
        item = Preemption(
            job_id=parse_id(job_id),
            run_id=parse_id(run_id),
            attempt=0,
            reason=PreemptReason.URGENCY,
            by_job=parse_id(by_job),
            message="an urgent job took its room",
        )
        await self._send(partition_of_job(item.job_id), PreemptRuns(epoch=self._epoch, preemptions=(item,)))

    async def reject(self, job_id: str, reason: str) -> None:
        """A queued job of attempt 0."""
        item = Rejection(job_id=parse_id(job_id), attempt=0, reason_code="FitsNowhere", reason=reason)
        await self._send(partition_of_job(item.job_id), RejectJobs(epoch=self._epoch, rejections=(item,)))

    async def _send(self, partition: int, command: BeginEpoch | LeaseJobs | PreemptRuns | RejectJobs) -> None:
        await self._producer.send(COMMANDS, partition, codec.encode(command))


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
