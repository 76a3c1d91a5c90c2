"""Submits a workload through GraphQL, follows it, cancels parts of it and kills everything meanwhile.

Inputs: a running stack, a workload, a seed. Outputs: what the clients were told (`Told`), what was killed and with how
much in flight. The order of kills and their moments come from the seed; work is let in with the kills, so that each
of them finds some in flight.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.acceptance.workload import Cancel, PlannedCall, PlannedJob, PlannedSet, Workload
from tests.stack.graphql_client import RETRY_S, GraphqlClient, Subscriber
from tests.stack.whole_stack import WholeStack

CREATE_QUEUES = """mutation ($queues: [QueueInput!]!) {
  createQueues(queues: $queues, waitFor: VISIBLE) { queues { name } errors { code path message } } }"""
SUBMIT = """mutation ($input: SubmitJobsInput!) {
  submitJobs(input: $input) {
    results { index jobId duplicate error { code path message } } errors { code rule index path message } } }"""
CANCEL = """mutation ($ids: [ID!]!, $reason: String) {
  cancelJobs(jobIds: $ids, reason: $reason) {
    affected notAffected { id code message } errors { code path message } } }"""
CANCEL_SET = """mutation ($queue: String!, $jobSet: String!, $reason: String) {
  cancelJobSet(queue: $queue, jobSet: $jobSet, reason: $reason) { affectedCount errors { code path message } } }"""
REASON_BY_ID, REASON_WITH_SET = "not needed", "the whole set is not needed"

IN_FLIGHT_MIN = 40
KILL_PAUSE_S = (0.5, 2.5)
TARGET_READY_S = 90.0
DRAIN_S = 200.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One SIGKILL. in_flight: jobs that were accepted and had not ended; at_s: since the begin; time_ms: Unix time."""

    name: str
    pid: int
    in_flight: int
    at_s: float
    time_ms: int


@dataclass(slots=True)
class Told:
    """What clients were told. cancelled, not_cancelled: job ids by the answers to cancelJobs; changed_answers: repeated
    calls that did not get the first answer."""

    retries: int = 0
    repeated: int = 0
    changed_answers: list[str] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    not_cancelled: set[str] = field(default_factory=set)
    refusals: list[Any] = field(default_factory=list)


class Chaos:
    """`run` returns when every job has ended, as its subscriber says."""

    def __init__(self, stack: WholeStack, workload: Workload, seed: int, targets: Sequence[str]) -> None:
        self.kills: list[Kill] = []
        self.told = Told()
        self.subscribers: dict[str, Subscriber] = {}
        self._stack, self._workload = stack, workload
        self._random = Random(seed)
        self._targets = self._order(targets)
        self._calls_total = sum(len(job_set.calls) for job_set in workload.job_sets)
        self._calls_allowed = self._calls_begun = 0
        self._accepted = 0
        self._begun_at = time.monotonic()

    def _order(self, targets: Sequence[str]) -> list[str]:
        """Each twice, and not twice in a row."""
        first, second = list(targets), list(targets)
        self._random.shuffle(first)
        self._random.shuffle(second)
        if second[0] == first[-1]:
            second.append(second.pop(0))
        return first + second

    async def run(self) -> None:
        """Raises AssertionError when it does not get on."""
        async with GraphqlClient(self._stack.graphql_url) as client, GraphqlClient(self._stack.graphql_url) as watching:
            await self._create_queues(client)
            for number, job_set in enumerate(self._workload.job_sets):
                over = "sse" if number % 2 else "ws"
                self.subscribers[job_set.name] = Subscriber(watching, job_set.queue, job_set.name, over=over)
            followers = [asyncio.create_task(each.follow()) for each in self.subscribers.values()]
            work = [asyncio.create_task(self._submit_all(client, job_set)) for job_set in self._workload.job_sets]
            killing = asyncio.create_task(self._kill_all())
            try:
                await self._until_done([killing, *work], followers, within_s=400.0)
                await self._until(self._all_ended, "every job has ended", DRAIN_S, followers)
            finally:
                for task in (killing, *work, *followers):
                    task.cancel()
                await asyncio.gather(killing, *work, *followers, return_exceptions=True)
            self.told.retries = client.retries

    def elapsed_s(self) -> float:
        """Since the begin."""
        return time.monotonic() - self._begun_at

    def in_flight(self) -> int:
        """Jobs that were accepted and of whose end nobody has heard."""
        return self._accepted - self._ended()

    def _ended(self) -> int:
        return sum(each.ended for each in self.subscribers.values())

    def _all_ended(self) -> bool:
        return self._ended() >= sum(len(job_set.jobs) for job_set in self._workload.job_sets)

    async def _create_queues(self, client: GraphqlClient) -> None:
        names = sorted({job_set.queue for job_set in self._workload.job_sets})
        queues = [{"name": name, "priorityFactor": 1 + at} for at, name in enumerate(names)]
        payload = (await client.call(CREATE_QUEUES, {"queues": queues}))["createQueues"]
        assert payload["errors"] == [], payload["errors"]

    # Work

    async def _submit_all(self, client: GraphqlClient, job_set: PlannedSet) -> None:
        cancels: list[asyncio.Task[None]] = []
        for number, call in enumerate(job_set.calls):
            if number == job_set.cancelled_after_call:
                await self._cancel_set(client, job_set)
            await self._allowed()
            ids = await self._submit(client, job_set, call)
            self._accepted += len(ids)
            for job, job_id in zip(call.jobs, ids, strict=True):
                job.job_id = job_id
                if job.cancel is Cancel.BY_ID:
                    cancels.append(asyncio.create_task(self._cancel(client, job)))
            if call.repeat:
                self.told.repeated += 1
                if await self._submit(client, job_set, call) != ids:
                    self.told.changed_answers.append(call.request_id)
        await asyncio.gather(*cancels)

    async def _allowed(self) -> None:
        while self._calls_begun >= self._calls_allowed:
            await asyncio.sleep(POLL_S)
        self._calls_begun += 1

    async def _submit(self, client: GraphqlClient, job_set: PlannedSet, call: PlannedCall) -> list[str]:
        """The ids of the call's jobs, however often it must be sent."""
        variables = {
            "input": {
                "queue": job_set.queue,
                "jobSet": job_set.name,
                "requestId": call.request_id,
                "podSpecs": call.pod_specs,
                "jobs": [job.input for job in call.jobs],
            }
        }
        payload = await self._applied(client, SUBMIT, variables, "submitJobs")
        self.told.refusals += payload["errors"] + [result for result in payload["results"] if result["error"]]
        return [result["jobId"] for result in payload["results"]]

    async def _cancel(self, client: GraphqlClient, job: PlannedJob) -> None:
        await asyncio.sleep(job.cancel_after_s)
        variables = {"ids": [job.job_id], "reason": REASON_BY_ID}
        payload = await self._applied(client, CANCEL, variables, "cancelJobs")
        self.told.cancelled |= set(payload["affected"])
        self.told.not_cancelled |= {item["id"] for item in payload["notAffected"]}

    async def _cancel_set(self, client: GraphqlClient, job_set: PlannedSet) -> None:
        variables = {"queue": job_set.queue, "jobSet": job_set.name, "reason": REASON_WITH_SET}
        payload = await self._applied(client, CANCEL_SET, variables, "cancelJobSet")
        self.told.refusals += payload["errors"]

    async def _applied(self, client: GraphqlClient, query: str, variables: dict[str, Any], name: str) -> Any:
        """The payload of a mutation that was applied; what is only logged is asked for again."""
        while True:
            payload = (await client.call(query, variables))[name]
            if not any(error["code"] in ("TIMEOUT", "UNAVAILABLE") for error in payload["errors"]):
                return payload
            client.retries += 1
            await asyncio.sleep(RETRY_S)

    # Kills

    async def _kill_all(self) -> None:
        for number, name in enumerate(self._targets):
            self._calls_allowed = -(-self._calls_total * (number + 1) // len(self._targets))
            await self._until(
                lambda name=name: self.in_flight() >= IN_FLIGHT_MIN and self._stack.is_ready(name),  # type: ignore[misc]
                f"work in flight ({self.in_flight()}) and {name} ready",
                TARGET_READY_S,
            )
            await asyncio.sleep(self._random.uniform(*KILL_PAUSE_S))
            if self._random.random() < 0.5:
                self._random.choice(list(self.subscribers.values())).drop()
            in_flight, at_s, time_ms = self.in_flight(), self.elapsed_s(), int(time.time() * 1000)
            pid = self._stack.kill(name)
            self.kills.append(Kill(name=name, pid=pid, in_flight=in_flight, at_s=at_s, time_ms=time_ms))

    async def _until(
        self,
        condition: Callable[[], bool],
        what: str,
        within_s: float,
        others: Sequence[asyncio.Task[None]] = (),
    ) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            for task in others:
                if task.done():
                    task.result()
            assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}; {self._where()}"
            await asyncio.sleep(POLL_S)

    async def _until_done(
        self, tasks: Sequence[asyncio.Task[None]], others: Sequence[asyncio.Task[None]], *, within_s: float
    ) -> None:
        """All tasks have ended well. One that raises ends the waiting."""
        everything = [*tasks, *others]
        deadline = time.monotonic() + within_s
        while not all(task.done() for task in tasks):
            await asyncio.wait(everything, timeout=1.0, return_when=asyncio.FIRST_EXCEPTION)
            for task in everything:
                if task.done():
                    task.result()
            assert time.monotonic() < deadline, f"not submitted within {within_s:.0f} s; {self._where()}"

    def _where(self) -> str:
        return f"{self._accepted} accepted, {self._ended()} ended, {len(self.kills)} kills"
