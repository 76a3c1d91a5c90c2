"""Calls to an API server as bytes in and bytes out: one request, or the lines of a watch.

Inputs: method, path, query, JSON. Outputs: `Answer`, lines. Errors: `NotSentError` (it certainly had no effect) and
`NoAnswerError` (it may have had), each one line. Every call is bounded in time and size.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient

from app.executor.kube.access import KubeAccess, Reach, reach

CONNECT_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 30.0
LIST_TIMEOUT_S = 120.0
LINE_BYTES_MAX = 8 << 20
MESSAGE_CHARS_MAX = 2_000
USER_AGENT = "argosy-executor"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"


class CallError(Exception):
    """an API server gave no answer"""


class NotSentError(CallError):
    """the call certainly had no effect: nobody was reached"""


class NoAnswerError(CallError):
    """the call may have been carried out"""


@dataclass(frozen=True, slots=True)
class Answer:
    """status: of HTTP. body: JSON."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status < 400

    @property
    def reason(self) -> str:
        """Kubernetes' machine-readable reason of a failure ("AlreadyExists"), "" = none given."""
        return str(self._status().get("reason") or "")

    @property
    def message(self) -> str:
        """What went wrong, for people."""
        text = str(self._status().get("message") or "") or self.body[:200].decode(errors="replace").strip()
        return (text or f"HTTP {self.status}")[:MESSAGE_CHARS_MAX]

    def _status(self) -> dict[str, Any]:
        try:
            status = json.loads(self.body)
        except ValueError:
            return {}
        return status if isinstance(status, dict) else {}


class Calls:
    """One API server. Nothing is connected before the first call."""

    def __init__(self, access: KubeAccess) -> None:
        self._access = access
        self._reach: Reach | None = None
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Reads the credentials, once. Raises KubeAccessError."""
        if self._client is not None:
            return
        async with self._opening:
            if self._client is None:
                self._reach = await reach(self._access)
                self._client = ApiClient(self._reach.configuration)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Answer:
        """One request, sent once. Raises NotSentError, NoAnswerError."""
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            response = await self._send(method, path, body, query, content_type, timeout)
            return Answer(response.status, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _call_error(error) from None

    async def lines(
        self, path: str, query: Mapping[str, str], *, silence_max_s: float
    ) -> AsyncGenerator[bytes | Answer, None]:
        """The lines of a watch until its end; the refusal instead, when it is refused. Raises CallError."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_read=silence_max_s)
        try:
            response = await self._send("GET", path, None, query, "application/json", timeout)
            async with response.response:
                if response.status >= 400:
                    yield Answer(response.status, await response.read())
                    return
                left = b""
                async for chunk, _ in response.response.content.iter_chunks():
                    *whole, left = (left + chunk).split(b"\n")
                    for line in whole:
                        if line:
                            yield line
                    if len(left) > LINE_BYTES_MAX:
                        raise NoAnswerError(f"an event of {path} is larger than {LINE_BYTES_MAX} bytes")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _call_error(error) from None

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
        content_type: str,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        await self.open()
        assert self._reach is not None, "open"
        await self._reach.renew()
        headers = {"Content-Type": content_type, "Accept": "application/json", "User-Agent": USER_AGENT}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._reach.configuration.host}{path}"
        if query:
            url += f"?{urlencode(query)}"
        return await self._client.call_api(method, url, headers, body, _request_timeout=timeout)


def _call_error(error: BaseException) -> CallError:
    """What was certainly not sent, and what may have been."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return NotSentError(f"the API server's certificate is not signed by the CA that we trust: {_text(error)}")
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return NotSentError(f"no TLS connection to the API server: {_text(error)}")
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return NotSentError(f"the API server cannot be reached: {_text(error)}")
        case TimeoutError() | asyncio.TimeoutError():
            return NoAnswerError("the API server did not answer in time")
        case _:
            return NoAnswerError(f"the connection to the API server broke: {_text(error)}")


def _text(error: BaseException) -> str:
    return " ".join(str(error).split())[:MESSAGE_CHARS_MAX] or type(error).__name__
