"""The HTTP side: what goes out, what each answer becomes. Against a real server on loopback."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.executor.protocol import (
    ErrorAnswer,
    FieldError,
    Report,
    ReportState,
    SyncAnswer,
    SyncRequest,
    decode_request,
    encode_answer,
)
from app.executor.sync_client import (
    AddressError,
    AgainError,
    ReplacedError,
    RequestRefusedError,
    SyncClient,
    SyncError,
    TokenRefusedError,
    TooLargeError,
    check_address,
)
from tests.unit.executor.builders import CLUSTER, an_id

TIME = "2026-11-24T07:00:00.000Z"


def a_request(reports: int = 0) -> SyncRequest:
    report = Report(run_id=an_id(1), job_id=an_id(1), attempt=0, state=ReportState.GONE, time=TIME)
    return SyncRequest(cluster=CLUSTER, instance=an_id(9), sequence=4, time=TIME, reports=(report,) * reports)


@dataclass
class Server:
    """Answers each request with `answer`; keeps what came."""

    port: int = 0
    answer: tuple[int, bytes, dict[str, str]] = (200, encode_answer(SyncAnswer(sequence=4)), {})
    silent: bool = False
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
        )
        self.heads.append(head.lower())
        self.bodies.append(await reader.readexactly(length))
        if not self.silent:
            status, body, headers = self.answer
            lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, SyncClient]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening, SyncClient(f"http://127.0.0.1:{server.port}/", "tok") as client:
        yield server, client


async def test_a_request_carries_the_token_and_is_answered() -> None:
    async with serving() as (server, client):
        assert (await client.send(a_request())).sequence == 4
        assert "authorization: bearer tok" in server.heads[0]
        assert server.heads[0].startswith("post /executor/v1/sync ")
        assert decode_request(server.bodies[0]) == a_request()


async def test_large_requests_are_compressed_and_compressed_answers_are_read() -> None:
    async with serving() as (server, client):
        server.answer = (
            200,
            gzip.compress(encode_answer(SyncAnswer(sequence=4, ask_nodes=True))),
            {"content-encoding": "gzip"},
        )
        assert (await client.send(a_request(reports=50))).ask_nodes
        assert "content-encoding: gzip" in server.heads[0]
        assert decode_request(gzip.decompress(server.bodies[0])) == a_request(reports=50)


REFUSAL = encode_answer(ErrorAnswer(errors=(FieldError(path="reports[0].state", message="odd"),)))


@pytest.mark.parametrize(
    ("status", "body", "want"),
    [
        (400, REFUSAL, RequestRefusedError),
        (401, REFUSAL, TokenRefusedError),
        (403, REFUSAL, TokenRefusedError),
        (409, REFUSAL, ReplacedError),
        (413, REFUSAL, TooLargeError),
        (429, REFUSAL, AgainError),
        (500, b"<html>", AgainError),
        (502, b"", AgainError),
        (503, REFUSAL, AgainError),
        (302, b"", AgainError),
        (200, b"<html>", AgainError),
        (200, encode_answer(SyncAnswer(sequence=3)), AgainError),
    ],
)
async def test_every_other_answer_is_a_typed_error(status: int, body: bytes, want: type[SyncError]) -> None:
    async with serving() as (server, client):
        server.answer = (status, body, {})
        with pytest.raises(want) as caught:
            await client.send(a_request())
        if body is REFUSAL:
            assert "odd" in str(caught.value)


async def test_a_refusal_names_the_paths() -> None:
    async with serving() as (server, client):
        server.answer = (400, REFUSAL, {})
        with pytest.raises(RequestRefusedError) as caught:
            await client.send(a_request())
        assert caught.value.errors == (("reports[0].state", "odd"),)


@pytest.mark.parametrize(("header", "want_s"), [("7", 7.0), ("99999", 60.0), ("soon", 0.0), ("-5", 0.0)])
async def test_retry_after_is_kept_within_bounds(header: str, want_s: float) -> None:
    async with serving() as (server, client):
        server.answer = (503, b"", {"retry-after": header})
        with pytest.raises(AgainError) as caught:
            await client.send(a_request())
        assert caught.value.after_s == want_s


async def test_a_connection_that_ends_or_is_refused_is_tried_again() -> None:
    async with serving() as (server, client):
        server.silent = True
        with pytest.raises(AgainError, match="cannot be reached"):
            await client.send(a_request())
    async with SyncClient(f"http://127.0.0.1:{server.port}", "tok") as client:
        with pytest.raises(AgainError, match="cannot be reached"):
            await client.send(a_request())


async def test_unknown_fields_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with serving() as (server, client):
        server.answer = (200, b'{"sequence": 4, "novelty": 1}', {})
        for _ in range(3):
            await client.send(a_request())
    assert [record.getMessage().count("novelty") for record in caplog.records] == [1]


@pytest.mark.parametrize(
    "url", ["https://argosy.example", "http://127.0.0.1:8080/", "http://[::1]:8080", "http://localhost"]
)
def test_addresses_that_keep_the_token_safe_are_taken(url: str) -> None:
    assert check_address(url) == url.rstrip("/")


@pytest.mark.parametrize("url", ["http://argosy.example", "http://10.0.0.1", "ws://127.0.0.1", "", "127.0.0.1:80"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(AddressError):
        check_address(url)
