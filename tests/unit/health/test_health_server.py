"""The health server speaks plain HTTP, says why a process is not ready, and is not hurt by what is no request."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from app.health import HealthServer, Page


class Running:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.registry = CollectorRegistry()
        pages = {"/echo": self.echo}
        self.server = HealthServer("127.0.0.1", 0, lambda: self.reasons, self.registry, pages)

    async def echo(self, parameters: Mapping[str, str]) -> Page:
        """A page of the component itself."""
        return Page("200 OK", repr(sorted(parameters.items())).encode())

    async def get(self, path: str, method: str = "GET") -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.server.port}") as client:
            return await client.request(method, path)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    made = Running()
    await made.server.start()
    yield made
    await made.server.stop()


async def test_a_process_is_healthy_while_it_answers(running: Running) -> None:
    running.reasons = ["still restoring"]
    answer = await running.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_it_is_ready_when_nothing_speaks_against_it(running: Running) -> None:
    running.reasons = ["partition 3 is being restored", "partition 4 is quarantined"]
    answer = await running.get("/readyz?verbose=1")
    assert (answer.status_code, answer.text) == (503, "partition 3 is being restored\npartition 4 is quarantined\n")
    running.reasons = []
    answer = await running.get("/readyz")
    assert (answer.status_code, answer.text) == (200, "ready\n")


async def test_metrics_are_those_of_the_registry(running: Running) -> None:
    Counter("argosy_things", "Things.", registry=running.registry).inc(3)
    answer = await running.get("/metrics")
    assert "argosy_things_total 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")


async def test_a_component_may_have_pages_of_its_own(running: Running) -> None:
    answer = await running.get("/echo?pool=a%20b&x=1")
    assert (answer.status_code, answer.text) == (200, "[('pool', 'a b'), ('x', '1')]")
    assert (await running.get("/echo", "POST")).status_code == 405


async def test_other_paths_and_methods_are_refused(running: Running) -> None:
    assert (await running.get("/")).status_code == 404
    assert (await running.get("/healthz", "POST")).status_code == 405
    head = await running.get("/healthz", "HEAD")
    assert (head.status_code, head.text) == (200, "")


async def test_what_is_no_request_is_dropped(running: Running) -> None:
    for junk in (b"", b"GET /healthz", b"x" * 40_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
        writer.write(junk)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    assert (await running.get("/healthz")).status_code == 200
