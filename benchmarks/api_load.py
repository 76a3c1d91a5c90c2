"""The load of the API's benchmark, as cheap as it can be: bodies made beforehand, HTTP and WebSocket without a library.

Outputs: requests per second, latencies, events that subscribers got and how late.
"""

import asyncio
import json
import os
import random
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.events import Block, Event, EventsRecord
from app.domain.lifecycle import EventKind, JobState
from app.log import codec

SUBMIT = """mutation Submit($input: SubmitJobsInput!, $waitFor: WaitFor) {
  submitJobs(input: $input, waitFor: $waitFor) {
    position results { index jobId duplicate error { code path message } } errors { code path message }
  }
}"""
EVENTS = """subscription Events($queue: String!, $jobSet: String!) {
  jobSetEvents(queue: $queue, jobSet: $jobSet) {
    events { id kind terminal time jobId runId attempt cluster node pool reason exitCode priority }
    cursor caughtUp heartbeat
  }
}"""
SPEC_BYTES = 1_500
"""of a spec of one's own, as JSON"""


def spec(number: int, size: int = 0) -> dict[str, Any]:
    """A pod spec of a batch job, different for each number; size: bytes of arguments."""
    arguments = ["--input", f"s3://bucket/part-{number:08d}"]
    while sum(map(len, arguments)) < size:
        arguments.append(f"--option-{len(arguments)}={random.random()}")
    resources = {"cpu": "1", "memory": "1Gi"}
    container = {
        "name": "main",
        "image": "registry.example/batch/worker:2026.11",
        "command": ["/bin/worker"],
        "args": arguments,
        "env": [{"name": "PART", "value": str(number)}],
        "resources": {"requests": resources, "limits": resources},
    }
    return {"containers": [container], "nodeSelector": {"kubernetes.io/arch": "amd64"}}


def submit_body(jobs: int, *, own_specs: bool, number: int, wait_for: str = "LOGGED") -> bytes:
    """The body of one submit call. Shared: two specs; own: one of SPEC_BYTES for each job."""
    first = number * jobs
    given: dict[str, Any] = {"queue": f"queue-{number % 8}", "jobSet": "bench"}
    made = []
    for index in range(jobs):
        job: dict[str, Any] = {
            "clientId": f"{number}-{index}",
            "labels": {"team": "bench", "stage": "one"},
            "annotations": {"example.com/part": str(first + index)},
        }
        if own_specs:
            job["podSpec"] = spec(first + index, SPEC_BYTES - 500)
        else:
            job["podSpecIndex"] = index % 2
        made.append(job)
    if not own_specs:
        given["podSpecs"] = [spec(0, 400), spec(1, 400)]
    variables = {"input": {**given, "jobs": made}, "waitFor": wait_for}
    return json.dumps({"query": SUBMIT, "variables": variables}).encode()


@dataclass(slots=True, kw_only=True)
class Answers:
    """What came back. seconds: from the first request to the last answer."""

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    failed: int = 0

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.seconds


async def post_all(port: int, bodies: Sequence[bytes], *, connections: int) -> Answers:
    """Posts every body to /graphql, each connection one after the other."""
    answers = Answers()
    waiting = iter(bodies)
    began_s = time.perf_counter()
    await asyncio.gather(*(_post(port, waiting, answers) for _ in range(connections)))
    answers.seconds = time.perf_counter() - began_s
    return answers


async def _post(port: int, bodies: Iterator[bytes], answers: Answers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    for body in bodies:
        began_s = time.perf_counter()
        writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
        answer_head = await reader.readuntil(b"\r\n\r\n")
        length = int(answer_head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        answer = await reader.readexactly(length)
        answers.latencies_s.append(time.perf_counter() - began_s)
        answers.failed += b'"errors":[]' not in answer
    writer.close()


class Subscriber(asyncio.Protocol):
    """A WebSocket that subscribes and counts events."""

    def __init__(self, queue: str, job_set: str, sent_at_s: list[float], events_per_record: int) -> None:
        self.events = 0
        self.frames = 0
        self.live = asyncio.get_running_loop().create_future()
        self.late_s: list[float] = []
        self._variables = {"queue": queue, "jobSet": job_set}
        self._sent_at_s = sent_at_s
        self._events_per_record = events_per_record
        self._data = bytearray()
        self._is_open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = b64encode(os.urandom(16)).decode()
        lines = [
            "GET /graphql HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: graphql-transport-ws",
        ]
        transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._is_open:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._data.startswith(b"HTTP/1.1 101"), bytes(self._data[:200])
            del self._data[: end + 4]
            self._is_open = True
            self._send({"type": "connection_init"})
        while (payload := self._frame()) is not None:
            self._take(payload)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take(self, payload: bytes) -> None:
        if b'"connection_ack"' in payload[:60]:
            body = {"query": EVENTS, "variables": self._variables}
            self._send({"type": "subscribe", "id": "1", "payload": body})
            return
        self.frames += 1
        count = payload.count(b'"jobId":')
        if not count:
            if not self.live.done():
                self.live.set_result(None)
            return
        self.events += count
        newest = self.events // self._events_per_record - 1
        self.late_s.append(time.perf_counter() - self._sent_at_s[newest])

    def _frame(self) -> bytes | None:
        """The payload of the next whole text frame of a server (never masked, never cut here)."""
        data = self._data
        if len(data) < 2:
            return None
        length, at = data[1] & 0x7F, 2
        if length == 126:
            length, at = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, at = int.from_bytes(data[2:10], "big"), 10
        if len(data) < at + length:
            return None
        payload = bytes(data[at : at + length])
        is_text = data[0] & 0x0F == 1
        del data[: at + length]
        return payload if is_text else b""

    def _send(self, message: dict[str, Any]) -> None:
        payload = json.dumps(message).encode()
        assert self._transport is not None
        size = len(payload)
        head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0x80 | 126]) + size.to_bytes(2, "big")
        self._transport.write(head + bytes(4) + payload)


def events_record(queue: str, incarnation: int, job_set: str, offset: int, count: int) -> bytes:
    """The events of one command, as the queue agent writes them."""
    events = [
        Event(
            ordinal=number,
            kind=EventKind.RUNNING,
            job_id=os.urandom(16),
            before=JobState.PENDING,
            after=JobState.RUNNING,
            attempt=0,
            run_id=os.urandom(16),
            cluster="cluster-0",
            node=f"node-{number:04d}",
            pool="default",
        )
        for number in range(count)
    ]
    block = Block(queue=queue, incarnation=incarnation, job_set=job_set, count=count, body=codec.encode_events(events))
    record = EventsRecord(
        offset=offset,
        first_ordinal=0,
        count=count,
        last=True,
        log_time_ms=time.time_ns() // 1_000_000,
        command="ReportRuns",
        blocks=(block,),
    )
    return codec.encode(record)
