"""What `make demo` does once the stack is up: says where things are, keeps a mix of jobs coming and prints live
figures.

Inputs: the settings and where the stack can be reached. It speaks GraphQL over HTTP as any client does, and ends
with the process; a call that finds the API away is repeated under the same request id.
"""

import asyncio
import json
import time
from collections import Counter
from random import Random
from typing import Any

import httpx

from app.admin.demo_workload import Call, Workload
from app.admin.endpoints import Endpoints
from app.settings import Settings

CANCEL_AFTER_S = 6.0
RETRY_S = 1.0
TICK_S = 1.0

CREATE_QUEUES = """mutation ($queues: [QueueInput!]!) {
  createQueues(queues: $queues, waitFor: APPLIED) { errors { code path message } } }"""
SUBMIT = """mutation ($input: SubmitJobsInput!) {
  submitJobs(input: $input) { results { index jobId error { code path message } } errors { code path message } } }"""
CANCEL = """mutation ($ids: [ID!]!) {
  cancelJobs(jobIds: $ids, reason: "changed my mind", waitFor: LOGGED) { affectedCount } }"""
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "PREEMPTED", "REJECTED")
STATES = ("QUEUED", "LEASED", "PENDING", "RUNNING", *ENDED)


def run_demo(settings: Settings, endpoints: Endpoints) -> None:
    """Submits and reports until interrupted."""
    asyncio.run(Demo(settings, endpoints).run())


class Demo:
    """The demo's driver: one HTTP client, one seeded workload."""

    def __init__(self, settings: Settings, endpoints: Endpoints) -> None:
        self._demo, self._endpoints = settings.demo, endpoints
        self._queues = tuple(settings.demo.queues)
        self._workload = Workload(settings.demo.seed, self._queues)
        self._random = Random(settings.demo.seed)
        self._job_set = time.strftime("demo-%Y-%m-%d-%H%M%S")
        self._client = httpx.AsyncClient(timeout=30.0)
        self._sent = 0
        self._refused: Counter[str] = Counter()
        self._cancelling: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        self._say_where()
        async with self._client:
            await self._create_queues()
            figures = asyncio.create_task(self._print_figures())
            try:
                await self._submit(self._workload.impossible(self._job_set))
                for call in self._workload.calls(self._demo.jobs_at_once, self._job_set):
                    await self._submit(call)
                await self._keep_submitting()
            finally:
                figures.cancel()

    async def _keep_submitting(self) -> None:
        owed = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            owed += self._demo.jobs_per_s * TICK_S
            for call in self._workload.calls(int(owed), self._job_set):
                await self._submit(call)
            owed -= int(owed)

    async def _create_queues(self) -> None:
        queues = [{"name": name, "priorityFactor": factor} for name, factor in self._demo.queues.items()]
        payload = (await self._call(CREATE_QUEUES, {"queues": queues}))["createQueues"]
        for error in payload["errors"]:
            if error["code"] != "CONFLICT":
                raise SystemExit(f"the demo's queues could not be created: {error['message']}")

    async def _submit(self, call: Call) -> None:
        request_id = f"{self._job_set}-{self._random.getrandbits(64):016x}"
        payload = (await self._call(SUBMIT, {"input": {**call.input, "requestId": request_id}}))["submitJobs"]
        ids = {each["index"]: each["jobId"] for each in payload["results"] if each["jobId"] and not each["error"]}
        self._sent += len(ids)
        for error in payload["errors"]:
            self._refused[f"{error['path']}: {error['message']}"] += 1
        cancelled = [ids[index] for index in call.cancel if index in ids]
        if cancelled:
            task = asyncio.create_task(self._cancel(cancelled))
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)

    async def _cancel(self, ids: list[str]) -> None:
        await asyncio.sleep(CANCEL_AFTER_S)
        await self._call(CANCEL, {"ids": ids})

    async def _print_figures(self) -> None:
        before, at = 0, time.monotonic()
        while True:
            await asyncio.sleep(self._demo.status_interval_s)
            counts = await self._counts()
            ended, now = sum(counts[state] for state in ENDED), time.monotonic()
            rate = (ended - before) / (now - at)
            before, at = ended, now
            states = "  ".join(f"{state.lower()} {counts[state]:>5}" for state in STATES)
            refused = f"  refused {sum(self._refused.values())} ({next(iter(self._refused))})" if self._refused else ""
            print(
                f"{time.strftime('%H:%M:%S')}  submitted {self._sent:>6}  {states}  ended/s {rate:5.1f}{refused}",
                flush=True,
            )

    async def _counts(self) -> Counter[str]:
        """Jobs of this demo by state, over its queues."""
        parts = " ".join(
            f"q{number}: jobSet(queue: $q{number}, name: $set) {{ stateCounts {{ state count }} }}"
            for number in range(len(self._queues))
        )
        variables = {f"q{number}": queue for number, queue in enumerate(self._queues)} | {"set": self._job_set}
        types = ", ".join(f"$q{number}: String!" for number in range(len(self._queues)))
        data = await self._call(f"query ({types}, $set: String!) {{ {parts} }}", variables)
        counts: Counter[str] = Counter()
        for job_set in filter(None, data.values()):
            counts.update({item["state"]: item["count"] for item in job_set["stateCounts"]})
        return counts

    async def _call(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of an answer; repeats while the API or what it stands on is away."""
        said = False
        while True:
            trouble = ""
            try:
                response = await self._client.post(
                    self._endpoints.graphql_url, json={"query": query, "variables": variables}
                )
                answer = response.json()
                errors = answer.get("errors") or []
                if not errors and answer.get("data"):
                    data: dict[str, Any] = answer["data"]
                    return data
                trouble = errors[0]["message"] if errors else f"answered {response.status_code}"
            except (httpx.HTTPError, ValueError) as error:
                trouble = f"{type(error).__name__} {error}".strip()
            if not said:
                print(f"waiting for the API: {trouble}", flush=True)
                said = True
            await asyncio.sleep(RETRY_S)

    def _say_where(self) -> None:
        url, queue = self._endpoints.graphql_url, self._queues[0]
        watch = f'subscription {{ jobSetEvents(queue: "{queue}", jobSet: "{self._job_set}", after: "BEGIN") '
        body = json.dumps({"query": f"{watch}{{ events {{ kind jobId node reason }} cursor }} }}"})
        lines = f"""
Argosy is up.   Web UI: {self._endpoints.api_url}/    GraphQL: {url}
Kafka: {self._endpoints.bootstrap}    logs: {self._endpoints.state_dir}/logs
This demo's jobs are in queues {", ".join(self._queues)}, job set {self._job_set}.

Try next, in another terminal:
  watch a job set     curl -N {url} -H "content-type: application/json" -H "accept: text/event-stream" \\
                        -d '{body}'
  submit your own     .venv/bin/python examples/submit.py --url {url} --queue mine --create-queue examples/jobs/*.yaml
  what runs           .venv/bin/argosy-admin dev status
  kill something      kill -9 the pid of any component in `dev status`: it comes back, and nothing is lost
Ctrl-C stops everything and keeps the data; `argosy-admin dev reset` deletes it.
"""
        print(lines, flush=True)
