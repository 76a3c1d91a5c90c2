"""HealthServer: /healthz, /readyz and /metrics of one process, inside its own event loop.

Inputs: an address, a function that says why the process is not ready, a Prometheus registry. Outputs: plain
HTTP/1.1, one request a connection. Without authentication: loopback, or a network that only probes reach. It has no
framework, because every component starts it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import parse_qsl

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

log = logging.getLogger(__name__)

REQUEST_BYTES_MAX = 16 << 10
REQUEST_TIMEOUT_S = 5.0
PAGE_TIMEOUT_S = 300.0
TEXT = "text/plain; charset=utf-8"


class Page(NamedTuple):
    """An answer. status such as "200 OK"."""

    status: str
    body: bytes
    kind: str = TEXT


MakePage = Callable[[Mapping[str, str]], Awaitable[Page]]
"""The parameters of a request -> the answer."""


class HealthServer:
    """ready() gives one line per reason why the process is not ready; nothing = ready. port 0 = any free one, see
    `port`. `pages`: further paths, answered to callers on this machine only."""

    def __init__(
        self,
        host: str,
        port: int,
        ready: Callable[[], Sequence[str]],
        registry: CollectorRegistry,
        pages: Mapping[str, MakePage] | None = None,
    ) -> None:
        self.host, self.port = host, port
        self._pages = pages or {}
        self._ready, self._registry = ready, registry
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError when the address is taken."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=REQUEST_BYTES_MAX)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("health and metrics at http://%s:%d", self.host, self.port)

    async def stop(self) -> None:
        """Requests in flight are cut off."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
            line = request.split(b"\r\n", 1)[0]
            make, parameters = self._page_of(line) if _is_local(writer) else (None, {})
            async with asyncio.timeout(REQUEST_TIMEOUT_S if make is None else PAGE_TIMEOUT_S):
                if make is None:
                    writer.write(self._answer(line))
                else:
                    page = await make(parameters)
                    writer.write(_response(page.status, page.body, page.kind))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            # Not a request, or nobody waits for the answer: there is nothing to say.
            pass
        finally:
            writer.close()

    def _page_of(self, request_line: bytes) -> tuple[MakePage | None, Mapping[str, str]]:
        method, _, rest = request_line.partition(b" ")
        path, _, query = rest.split(b" ")[0].decode(errors="replace").partition("?")
        return (self._pages.get(path) if method == b"GET" else None), dict(parse_qsl(query))

    def _answer(self, request_line: bytes) -> bytes:
        method, _, rest = request_line.partition(b" ")
        path = rest.split(b" ")[0].split(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", "only GET and HEAD\n")
        if path == b"/healthz":
            status, body, kind = "200 OK", "ok\n", TEXT
        elif path == b"/readyz":
            reasons = self._ready()
            status = "503 Service Unavailable" if reasons else "200 OK"
            body, kind = "".join(f"{reason}\n" for reason in reasons) or "ready\n", TEXT
        elif path == b"/metrics":
            status, body, kind = "200 OK", generate_latest(self._registry).decode(), CONTENT_TYPE_LATEST
        else:
            status, body, kind = "404 Not Found", "there are /healthz, /readyz and /metrics\n", TEXT
        return _response(status, body, kind, with_body=method == b"GET")


def _is_local(writer: asyncio.StreamWriter) -> bool:
    peer = writer.get_extra_info("peername")
    return bool(peer) and ip_address(peer[0]).is_loopback


def _response(status: str, body: str | bytes, kind: str = TEXT, *, with_body: bool = True) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (content if with_body else b"")
