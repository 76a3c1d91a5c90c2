"""A GraphQL client for tests: HTTP, server-sent events, and graphql-transport-ws."""

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

EVENTS = """subscription Events(
  $queue: String!, $jobSet: String!, $after: Cursor, $live: Boolean, $kinds: [EventKind!]
) {
  jobSetEvents(queue: $queue, jobSet: $jobSet, after: $after, live: $live, kinds: $kinds) {
    events { id position kind terminal time queue jobSet jobId runId attempt cluster node reason requestor }
    cursor caughtUp heartbeat
  }
}"""
SUBMIT = """mutation Submit($input: SubmitJobsInput!, $waitFor: WaitFor) {
  submitJobs(input: $input, waitFor: $waitFor) {
    position results { index jobId duplicate error { code path } } errors { code path message index }
  }
}"""
CREATE = """mutation Create($queues: [QueueInput!]!, $waitFor: WaitFor) {
  createQueues(queues: $queues, waitFor: $waitFor) { position queues { name } errors { code path message } }
}"""
CANCEL = """mutation Cancel($ids: [ID!]!, $waitFor: WaitFor) {
  cancelJobs(jobIds: $ids, waitFor: $waitFor) {
    position affected affectedCount notAffected { id code } errors { code path message }
  }
}"""
POD = {
    "containers": [
        {
            "name": "main",
            "image": "busybox",
            "command": ["sleep", "5"],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        }
    ]
}


class Client:
    """Speaks to one API. Answers with errors outside payloads raise `GraphQLFailed`."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, timeout=timeout_s)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def execute(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        """`data` of the answer."""
        answer = await self.http.post("/graphql", json={"query": query, "variables": variables or {}})
        result = answer.json()
        if result.get("errors"):
            raise GraphQLFailed(result["errors"])
        return result["data"]

    async def create_queue(self, name: str | None = None, **fields: Any) -> str:
        """The name of a new queue."""
        name = name or f"q-{uuid.uuid4().hex[:12]}"
        made = (await self.execute(CREATE, {"queues": [{"name": name, **fields}]}))["createQueues"]
        assert made["errors"] == [], made
        return name

    async def submit(
        self, queue: str, count: int = 1, *, job_set: str = "s", wait_for: str = "APPLIED", **fields: Any
    ) -> dict[str, Any]:
        """The payload of a call with `count` equal jobs (or `jobs`)."""
        jobs = fields.pop("jobs", [{"podSpecIndex": 0}] * count)
        given = {"queue": queue, "jobSet": job_set, "jobs": jobs, "podSpecs": [POD], **fields}
        payload = (await self.execute(SUBMIT, {"input": given, "waitFor": wait_for}))["submitJobs"]
        assert isinstance(payload, dict)
        return payload

    async def sse(self, variables: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Batches of jobSetEvents over server-sent events. Raises GraphQLFailed."""
        async with aclosing(self.subscription(EVENTS, variables)) as yielded:
            async for data in yielded:
                yield data["jobSetEvents"]

    async def subscription(self, query: str, variables: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """What any subscription yields over server-sent events. Raises GraphQLFailed."""
        body = {"query": query, "variables": variables}
        headers = {"accept": "text/event-stream"}
        async with self.http.stream("POST", "/graphql", json=body, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            kind = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: ") and kind == "next":
                    yield _data(json.loads(line.removeprefix("data: ")))
                elif kind == "complete":
                    return

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        """An initialised graphql-transport-ws connection."""
        url = self.url.replace("http", "ws", 1) + "/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], max_size=None) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            yield socket

    async def ws(self, variables: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Batches of jobSetEvents over a WebSocket. Raises GraphQLFailed."""
        async with self.socket() as socket:
            await subscribe(socket, "1", variables)
            async for message in socket:
                frame = json.loads(message)
                if frame["type"] == "next":
                    yield _data(frame["payload"])["jobSetEvents"]
                elif frame["type"] == "error":
                    raise GraphQLFailed(frame["payload"])
                elif frame["type"] == "complete":
                    return


async def subscribe(socket: ClientConnection, number: str, variables: dict[str, Any]) -> None:
    """Begins a subscription on a socket."""
    payload = {"query": EVENTS, "variables": variables}
    await socket.send(json.dumps({"type": "subscribe", "id": number, "payload": payload}))


class GraphQLFailed(Exception):
    """The errors of an answer."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(json.dumps(errors))
        self.errors = errors

    @property
    def code(self) -> str:
        """The code of the first error."""
        return str(self.errors[0]["extensions"]["code"])


def _data(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("errors"):
        raise GraphQLFailed(result["errors"])
    data = result["data"]
    assert isinstance(data, dict)
    return data
