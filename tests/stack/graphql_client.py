"""A GraphQL client as one would write it against the documentation: calls that are repeated while the API is away, and
streams of a job set that are taken up again behind their cursor.

Knows nothing of the server but its names (api.graphql). Streams speak graphql-transport-ws or SSE.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

RETRY_S = 0.4
CALL_TIMEOUT_S = 20.0
SILENCE_MAX_S = 40.0
"""A heartbeat comes every 15 s; a stream that says nothing for longer is taken up again."""
WS_BYTES_MAX = 64 << 20

EVENTS = """subscription ($queue: String!, $jobSet: String!, $after: Cursor, $live: Boolean) {
  jobSetEvents(queue: $queue, jobSet: $jobSet, after: $after, live: $live) {
    events { id kind terminal time jobId runId attempt cluster node reason reasonCode exitCode requestor }
    cursor caughtUp heartbeat
  }
}"""


class AnswerError(Exception):
    """A GraphQL answer with errors. retryable: all of them may go away by themselves."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(f"{error_code(error)} {error['message']}" for error in errors))
        self.errors = errors
        self.retryable = all(error.get("extensions", {}).get("retryable") for error in errors)

    @property
    def code(self) -> str:
        return error_code(self.errors[0])


def error_code(error: Mapping[str, Any]) -> str:
    """The code of a GraphQL error."""
    return str(error.get("extensions", {}).get("code", ""))


class GraphqlClient:
    """An asynchronous client of one endpoint. `retries` counts calls that were sent again."""

    def __init__(self, url: str, *, connections_max: int = 50) -> None:
        self.url = url
        limits = httpx.Limits(max_connections=connections_max, max_keepalive_connections=connections_max)
        self.http = httpx.AsyncClient(timeout=CALL_TIMEOUT_S, limits=limits)
        self.retries = 0

    async def __aenter__(self) -> "GraphqlClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def once(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The data of an answer. Raises AnswerError, httpx.HTTPError."""
        response = await self.http.post(self.url, json={"query": query, "variables": dict(variables or {})})
        answer = response.json()
        if answer.get("errors"):
            raise AnswerError(answer["errors"])
        data: dict[str, Any] = answer["data"]
        return data

    async def call(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The same, again and again while the API or what it stands on is away. Raises AnswerError."""
        while True:
            try:
                return await self.once(query, variables)
            except AnswerError as error:
                if not error.retryable:
                    raise
            except (httpx.HTTPError, json.JSONDecodeError):
                pass
            self.retries += 1
            await asyncio.sleep(RETRY_S)


class StreamLost(Exception):
    """the connection of a stream ended, or said nothing for too long"""


async def sse_stream(
    client: httpx.AsyncClient, url: str, variables: Mapping[str, Any], query: str = EVENTS
) -> AsyncGenerator[Any, None]:
    """Batches of jobSetEvents over SSE until the server completes. Raises StreamLost, AnswerError."""
    body = {"query": query, "variables": dict(variables)}
    headers = {"accept": "text/event-stream"}
    timeout = httpx.Timeout(CALL_TIMEOUT_S, read=SILENCE_MAX_S)
    try:
        async with client.stream("POST", url, json=body, headers=headers, timeout=timeout) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                answer = json.loads(await response.aread())
                raise AnswerError(answer["errors"])
            kind = ""
            async for line in response.aiter_lines():
                if line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:") and kind == "next":
                    yield _batch(json.loads(line[5:]))
                if kind == "complete" and not line:
                    return
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        raise StreamLost(f"{type(error).__name__} {error}") from None
    raise StreamLost("the answer ended")


async def ws_stream(url: str, variables: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
    """Batches of jobSetEvents over graphql-transport-ws until the server completes. Raises StreamLost, AnswerError."""
    address = url.replace("http", "ws", 1)
    try:
        protocol: Any = "graphql-transport-ws"
        async with connect(address, subprotocols=[protocol], max_size=WS_BYTES_MAX, open_timeout=5) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            async with asyncio.timeout(10):
                acknowledged = json.loads(await socket.recv())
            assert acknowledged["type"] == "connection_ack"
            payload = {"query": EVENTS, "variables": dict(variables)}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            while True:
                async with asyncio.timeout(SILENCE_MAX_S):
                    message = json.loads(await socket.recv())
                if message["type"] == "next":
                    yield _batch(message["payload"])
                elif message["type"] == "error":
                    raise AnswerError(message["payload"])
                elif message["type"] == "complete":
                    return
                elif message["type"] == "ping":
                    await socket.send(json.dumps({"type": "pong"}))
    except (WebSocketException, OSError, EOFError, TimeoutError) as error:
        raise StreamLost(f"{type(error).__name__} {error}") from None


def _batch(result: dict[str, Any]) -> Any:
    if result.get("errors"):
        raise AnswerError(result["errors"])
    return result["data"]["jobSetEvents"]


class Subscriber:
    """One follower of a job set: every event that it was given, and where it stands. over: "sse" or "ws"."""

    def __init__(self, client: GraphqlClient, queue: str, job_set: str, *, over: str) -> None:
        self.queue, self.job_set, self.over = queue, job_set, over
        self.events: list[dict[str, Any]] = []
        self.ended = 0
        """terminal events among them"""
        self.cursor = "BEGIN"
        self.caught_up = False
        self.connects = 0
        self.resumed_for: list[str] = []
        """why it had to go on behind its cursor"""
        self._client = client
        self._drop = asyncio.Event()
        self.changed = asyncio.Event()

    def drop(self) -> None:
        """Makes it break its connection and go on behind its cursor."""
        self._drop.set()

    async def follow(self, *, live: bool = True) -> None:
        """Until it is cancelled, or (live False) has caught up."""
        while True:
            variables = {"queue": self.queue, "jobSet": self.job_set, "after": self.cursor, "live": live}
            try:
                self.connects += 1
                await self._take_all(variables)
                if not live:
                    return
                why = "completed"
            except StreamLost as error:
                why = str(error)
            except AnswerError as error:
                if not error.retryable:
                    raise
                why = error.code
                self.cursor = error.errors[0].get("extensions", {}).get("cursor", self.cursor)
            self.resumed_for.append(why)
            self.caught_up = False
            await asyncio.sleep(RETRY_S)

    async def _take_all(self, variables: dict[str, Any]) -> None:
        if self.over == "sse":
            source = sse_stream(self._client.http, self._client.url, variables)
        else:
            source = ws_stream(self._client.url, variables)
        self._drop.clear()
        async with aclosing(source) as batches:
            async for batch in batches:
                self.events.extend(batch["events"])
                self.ended += sum(event["terminal"] for event in batch["events"])
                self.cursor = batch["cursor"]
                self.caught_up = batch["caughtUp"]
                self.changed.set()
                if self._drop.is_set():
                    raise StreamLost("dropped by ourselves")
