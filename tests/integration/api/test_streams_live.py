"""jobSetEvents on the real stack: history and tail over both transports, and clients that vanish."""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.integration.api.client import CANCEL, Client, GraphQLFailed, subscribe
from tests.integration.api.installation import Installation, eventually

pytestmark = pytest.mark.stack

JOB_SET = """query JobSet($queue: String!, $atLeast: Position) {
  jobSet(queue: $queue, name: "s", atLeast: $atLeast) { stateCounts { state count } cursor }
}"""
VANISHING, VANISHING_SSE = 200, 20


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    async with Client(installation.url) as made:
        yield made


async def take(batches: AsyncIterator[dict[str, Any]], count: int) -> tuple[list[dict[str, Any]], str]:
    """The next `count` events and the cursor behind them."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        async for batch in batches:
            found += batch["events"]
            if len(found) >= count:
                return found, batch["cursor"]
    raise AssertionError(f"the stream ended after {len(found)} events")


def kinds_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_history_and_live_events_come_once_and_in_order(client: Client, transport: str) -> None:
    queue = await client.create_queue()
    first = await client.submit(queue, 3)
    variables = {"queue": queue, "jobSet": "s", "after": "BEGIN"}
    async with aclosing(getattr(client, transport)(variables)) as batches:
        events, _ = await take(batches, 6)
        assert kinds_of(events) == ["SUBMITTED", "QUEUED"] * 3
        ids = [result["jobId"] for result in first["results"]]
        assert [event["jobId"] for event in events[::2]] == ids
        await client.execute(CANCEL, {"ids": ids[:2]})
        more, cursor = await take(batches, 2)
        assert kinds_of(more) == ["CANCELLED"] * 2
        assert [event["terminal"] for event in more] == [True, True]
    together = [event["id"] for event in [*events, *more]]
    assert len(set(together)) == 8
    async with aclosing(client.sse({**variables, "live": False})) as batches:  # type: ignore[type-var]
        assert [event["id"] async for batch in batches for event in batch["events"]] == together
    async with aclosing(client.sse({**variables, "after": cursor, "live": False})) as batches:  # type: ignore[type-var]
        rest = [batch async for batch in batches]
    assert [batch["events"] for batch in rest] == [[]]
    assert rest[-1]["caughtUp"] is True


async def test_subscribing_after_the_cursor_of_a_job_set_gives_what_its_counts_lack(client: Client) -> None:
    queue = await client.create_queue()
    payload = await client.submit(queue, 2)
    counted = (await client.execute(JOB_SET, {"queue": queue, "atLeast": payload["position"]}))["jobSet"]
    await client.submit(queue, 1)
    variables = {"queue": queue, "jobSet": "s", "after": counted["cursor"]}
    async with aclosing(client.sse(variables)) as batches:  # type: ignore[type-var]
        events, _ = await take(batches, 2)
    assert kinds_of(events) == ["SUBMITTED", "QUEUED"]
    assert {each["state"]: each["count"] for each in counted["stateCounts"] if each["count"]} == {"QUEUED": 2}


async def test_a_queue_that_was_just_created_can_be_watched_at_once(client: Client) -> None:
    for _ in range(5):
        queue = await client.create_queue()
        async with aclosing(client.sse({"queue": queue, "jobSet": "s"})) as batches:  # type: ignore[type-var]
            first = await anext(batches)
            assert (first["events"], first["caughtUp"]) == ([], True)


async def test_an_unknown_queue_is_not_found(client: Client) -> None:
    for transport in (client.sse, client.ws):
        with pytest.raises(GraphQLFailed) as failed:
            await anext(transport({"queue": "never made", "jobSet": "s"}))
        assert failed.value.code == "NOT_FOUND"


async def test_a_foreign_cursor_is_invalid(client: Client) -> None:
    queue, other = await client.create_queue(), await client.create_queue()
    async with aclosing(client.sse({"queue": other, "jobSet": "s"})) as batches:  # type: ignore[type-var]
        cursor = (await anext(batches))["cursor"]
    for wrong in (cursor, "nonsense"):
        with pytest.raises(GraphQLFailed) as failed:
            await anext(client.ws({"queue": queue, "jobSet": "s", "after": wrong}))
        assert failed.value.code == "INVALID"


async def test_kinds_are_filtered(client: Client) -> None:
    queue = await client.create_queue()
    payload = await client.submit(queue, 2)
    await client.execute(CANCEL, {"ids": [payload["results"][0]["jobId"]]})
    variables = {"queue": queue, "jobSet": "s", "after": "BEGIN", "kinds": ["CANCELLED"], "live": False}
    async with aclosing(client.sse(variables)) as batches:  # type: ignore[type-var]
        assert [event["kind"] async for batch in batches for event in batch["events"]] == ["CANCELLED"]


async def test_subscribers_that_vanish_leave_nothing_behind(installation: Installation, client: Client) -> None:
    queue = await client.create_queue()
    await client.submit(queue, 1)
    variables = {"queue": queue, "jobSet": "s", "after": "BEGIN"}
    async with AsyncExitStack() as stack:
        per_socket = 10
        opened = [await stack.enter_async_context(client.socket()) for _ in range(VANISHING // per_socket)]
        for each in opened:
            for number in range(per_socket):
                await subscribe(each, str(number), variables)
        over_http = [client.sse(variables) for _ in range(VANISHING_SSE)]
        for stream in over_http:
            await anext(stream)
        count = VANISHING + VANISHING_SSE
        await eventually(lambda: installation.api.metric("argosy_api_live_streams") >= count, "all are live")
        for stream in over_http:
            await stream.aclose()  # type: ignore[attr-defined]
        for each in opened:
            raw = each.transport.get_extra_info("socket")
            # A reset, as when a machine is switched off behind a firewall that answers for it.
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            each.transport.abort()
        await eventually(lambda: installation.api.metric("argosy_api_streams") == 0, "no generator is left")
        assert installation.api.metric("argosy_api_live_streams") == 0


async def test_a_socket_must_say_who_it_is_in_the_protocol_that_is_spoken_here(client: Client) -> None:
    url = client.url.replace("http", "ws", 1) + "/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-ws")]) as legacy:
        with pytest.raises(ConnectionClosed) as closed:
            await legacy.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4406
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as early:
        await subscribe(early, "1", {"queue": "q", "jobSet": "s"})
        with pytest.raises(ConnectionClosed) as closed:
            await early.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
