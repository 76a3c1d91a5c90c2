"""A round of the live leader as a file: it says what the leader would decide, and the health server hands it out."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from app.admin.live_round import NotLeading, RoundRefused, fetch_from_leader, fetch_round
from app.admin.round import decide
from app.domain.commands import CancelJobs
from app.domain.ids import format_id
from app.health import HealthServer
from app.scheduler.leader import Leader
from app.scheduler.pool_loop import Restrictions
from app.scheduler.round_dump import PATH, RoundDump
from app.scheduling.errors import RoundError
from app.scheduling.round import Round
from app.scheduling.round_file import parse_round
from app.scheduling.round_print import print_round
from app.scheduling.schedule import schedule
from tests.unit.scheduler.partition import CHIEF, begin, lease, leases, queues, run_id
from tests.unit.scheduler.world import SmallWorld, node, shape


class Leads:
    """Hands out the rounds of a small world."""

    def __init__(self, world: SmallWorld) -> None:
        pool = SimpleNamespace(round_now=lambda _: world.prepare().round)
        self.pools = {"default": pool}

    def restrict(self) -> Restrictions:
        return Restrictions(frozenset(), frozenset())


@pytest.fixture
def world() -> SmallWorld:
    made = SmallWorld()
    made.step(0, queues("a", "b"), begin(1))
    made.nodes("c0", node("n0", cpu="4", foreign={"cpu": "500m"}), node("n1", cpu="2"))
    big = shape(3000)
    made.add_shape(big)
    ids = made.submit(0, "a", 6)
    made.step(0, leases(1, *(lease(job, run_id(n + 1)) for n, job in enumerate(ids[:2]))))
    made.step(0, CancelJobs(principal=CHIEF, job_ids=(ids[1],)))
    made.submit(0, "b", 2, shape=big)
    made.submit(0, "b", 2, gang=("g", 2))
    return made


def test_the_file_of_a_round_decides_as_the_round_does(world: SmallWorld) -> None:
    made = world.prepare().round
    read = parse_round(print_round(made))
    assert placements(made)
    assert placements(made) == placements(read)


def placements(round_: Round) -> set[tuple[str, str]]:
    """(job, node) of what is scheduled."""
    placed = schedule(round_).scheduled
    return {
        (round_.jobs.name(job), round_.nodes.names[at])
        for job, at in zip(placed.job.tolist(), placed.node.tolist(), strict=True)
    }


async def test_who_does_not_lead_and_pools_that_are_not_known_are_said(world: SmallWorld) -> None:
    assert (await RoundDump(lambda: None).page({"pool": "default"})).status.startswith("503")
    dump = RoundDump(lambda: cast(Leader, Leads(world)))
    page = await dump.page({"pool": "gpu"})
    assert page.status.startswith("404")
    assert b"pools: default" in page.body
    page = await dump.page({"pool": "default", "form": "xml"})
    assert page == ("400 Bad Request", b"no form 'xml'; forms: json, binary\n", "text/plain; charset=utf-8")


class Server:
    """A health server in a thread of its own, as another process would have it."""

    def __init__(self, dump: RoundDump) -> None:
        self._loop = asyncio.new_event_loop()
        self._server = HealthServer("127.0.0.1", 0, list, CollectorRegistry(), {PATH: dump.page})
        self._loop.run_until_complete(self._server.start())
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.port}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def server(world: SmallWorld) -> Iterator[Server]:
    made = Server(RoundDump(lambda: cast(Leader, Leads(world))))
    yield made
    made.close()


def test_the_command_gets_the_round_from_the_health_server(server: Server, world: SmallWorld) -> None:
    document = fetch_round(server.url, "default")
    assert parse_round(document).pool == "default"
    assert format_id(world.state.jobs.job_id(0)).encode() in document
    assert b'"format":"argosy-decisions/1"' in decide(document)
    with pytest.raises(OSError, match=r"^no pool 'gpu'; pools: default$"):
        fetch_round(server.url, "gpu")


def test_both_forms_decide_the_same(server: Server) -> None:
    document, packed = fetch_round(server.url, "default"), fetch_round(server.url, "default", "binary")
    assert len(packed) < len(document)
    assert decide(document) == decide(packed)
    with pytest.raises(RoundError, match="is no packed round"):
        decide(packed[:-1])


def test_of_several_schedulers_the_leader_is_asked(server: Server) -> None:
    standby = Server(RoundDump(lambda: None))
    try:
        assert parse_round(fetch_from_leader([standby.url, server.url], "default")).pool == "default"
        with pytest.raises(NotLeading, match=r"^this scheduler does not lead$"):
            fetch_round(standby.url, "default")
        with pytest.raises(OSError, match=f"^{standby.url} does not lead; http://127.0.0.1:1: Connection refused$"):
            fetch_from_leader([standby.url, "http://127.0.0.1:1"], "default")
        with pytest.raises(RoundRefused, match=r"^no pool 'gpu'; pools: default$"):
            fetch_from_leader([standby.url, server.url], "gpu")
    finally:
        standby.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "this is no health server: BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "the answer ended after 4 of 100 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "the round has 9999999999 bytes, more than"),
        (b"HTTP/1.1 500 Oh\r\n\r\n", "HTTP Error 500: Oh"),
    ],
)
def test_an_answer_that_is_no_whole_round_is_said_in_one_line(answer: bytes, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(OSError, match=f"^{said}"):
            fetch_round(f"http://127.0.0.1:{listener.getsockname()[1]}", "default")
        thread.join()


def test_what_is_no_health_server_is_said_in_one_line() -> None:
    with pytest.raises(OSError, match="Connection refused"):
        fetch_round("http://127.0.0.1:1", "default")
    with pytest.raises(OSError, match="plain http"):
        fetch_round("https://127.0.0.1:1", "default")
