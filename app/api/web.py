"""The HTTP application: routes, and the limits that hold for every request before anybody looks at it.

Limits: the size of a body (413), the time in which it must arrive (408), the time in which a part of an answer must be
taken, the Host header while anonymous access is open (a page of another site must not reach it through a name that it
controls). Errors are JSON; a stack trace never leaves the process.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import ApiError
from app.api.http_errors import error_response
from app.domain.errors import ErrorCode

BODY_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 20.0
"""A client that takes nothing for so long is gone; sockets of GraphQL have their pings for that."""
GRAPHQL_PATH = "/graphql"
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})

logger = logging.getLogger(__name__)


class _BodyTooLarge(Exception):
    """Raised where the body is read."""


class _BodyTooSlow(Exception):
    """Raised where the body is read."""


class _ReaderTooSlow(Exception):
    """Raised where the answer is written."""


class RequestLimits:
    """ASGI middleware. body_bytes_max: of every request; loopback_only: refuse a Host that is not this machine's."""

    def __init__(self, app: ASGIApp, *, body_bytes_max: int, loopback_only: bool) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self._loopback_only and not _is_loopback_host(headers.get(b"host", "")):
            await _refuse_host(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif _declared_length(headers.get(b"content-length")) > self._body_bytes_max:
            await _too_large(self._body_bytes_max)(scope, receive, send)
        else:
            await self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0
        is_complete = False
        deadline_s = asyncio.get_running_loop().time() + BODY_TIMEOUT_S

        async def bounded_receive() -> Message:
            nonlocal received, is_complete
            if is_complete:
                return await receive()  # waits for the disconnect, as long as the answer takes
            try:
                async with asyncio.timeout_at(deadline_s):
                    message = await receive()
            except TimeoutError:
                raise _BodyTooSlow from None
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                is_complete = not message.get("more_body", False)
                if received > self._body_bytes_max:
                    raise _BodyTooLarge(self._body_bytes_max)
            return message

        async def timed_send(message: Message) -> None:
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await send(message)
            except TimeoutError:
                raise _ReaderTooSlow from None

        try:
            await self._app(scope, bounded_receive, timed_send)
        except _ReaderTooSlow:
            # The answer has begun: ending it unfinished closes the connection.
            logger.info("a client of %s takes nothing any more", scope["path"])


def make_web(
    graphql: ASGIApp, routes: Sequence[BaseRoute], *, body_bytes_max: int, loopback_only: bool, **options: Any
) -> ASGIApp:
    """The application of the process. routes: those beside /graphql."""
    web = Starlette(
        routes=[
            Route(GRAPHQL_PATH, graphql, methods=["POST"]),
            WebSocketRoute(GRAPHQL_PATH, graphql),
            *routes,
        ],
        exception_handlers={
            ApiError: _on_api_error,
            _BodyTooLarge: _on_too_large,
            _BodyTooSlow: _on_too_slow,
            Exception: _on_other_error,
        },
        **options,
    )
    return RequestLimits(web, body_bytes_max=body_bytes_max, loopback_only=loopback_only)


async def _on_api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError), "the handler is registered for it"
    return error_response(error)


async def _on_too_large(_request: Request, error: Exception) -> Response:
    return _too_large(error.args[0])


async def _on_too_slow(_request: Request, _error: Exception) -> Response:
    return error_response(ApiError(ErrorCode.TIMEOUT, f"the body did not arrive within {BODY_TIMEOUT_S:g} s"), 408)


def _too_large(bytes_max: int) -> Response:
    return error_response(
        ApiError(ErrorCode.INVALID, f"a body may have at most {bytes_max:,} bytes: split the call"), 413
    )


async def _on_other_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, _ReaderTooSlow):
        logger.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
    return error_response(ApiError(ErrorCode.INTERNAL, "something went wrong here; the log of the API names it"))


async def _refuse_host(scope: Scope, receive: Receive, send: Send) -> None:
    error = ApiError(ErrorCode.FORBIDDEN, "this Host is not served here while anonymous access is open")
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.message})
        return
    await error_response(error, 421)(scope, receive, send)


def _declared_length(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0


def _is_loopback_host(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if host.count(":") == 1 or (host.startswith("[") and "]:" in host) else host
    return name.lower() in _LOOPBACK_HOSTS
