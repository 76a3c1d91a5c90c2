"""One `POST /executor/v1/sync` over HTTP: a request goes out, an answer or a typed refusal comes back. No retries
here: lanes retry.

Bodies above 1 KiB are compressed. The token goes into the Authorization header and nowhere else.
"""

import gzip
import ipaddress
import logging
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from app.executor.protocol import (
    ProtocolError,
    SyncAnswer,
    SyncRequest,
    decode_answer,
    decode_refusal,
    encode_request,
)

SYNC_PATH = "/executor/v1/sync"
GZIP_FROM_BYTES = 1_024
GZIP_LEVEL = 1
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 15.0
"""beyond the time that the request asks the API to wait"""
RETRY_AFTER_S_MAX = 60.0

log = logging.getLogger(__name__)


class SyncError(Exception):
    """A request was not answered as it should be; the subclass says what follows."""


class AgainError(SyncError):
    """Send the same request again, not before after_s (0 = as the lane pleases). Nobody answered, or 429, 5xx."""

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class TokenRefusedError(SyncError):
    """401 or 403: the token is unknown, or another cluster's."""


class ReplacedError(SyncError):
    """409: another instance speaks for this cluster."""


class RequestRefusedError(SyncError):
    """400: the API does not understand the request. errors: (path, message)."""

    def __init__(self, errors: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{path or 'body'}: {message}" for path, message in errors) or "no reason given")
        self.errors = errors


class TooLargeError(SyncError):
    """413: less at once."""


class AddressError(ValueError):
    """the API's address cannot be used"""


def check_address(api_url: str) -> str:
    """The address without a trailing slash. Raises AddressError: plain HTTP is for loopback only, a token must not
    travel openly."""
    parts = urlsplit(api_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressError(f"{api_url!r} is not an http(s) address")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise AddressError(f"{api_url}: plain http is allowed on loopback only, use https")
    return api_url.rstrip("/")


class SyncClient:
    """One per process; both lanes share it. Raises AddressError."""

    def __init__(self, api_url: str, token: str) -> None:
        self._url = check_address(api_url) + SYNC_PATH
        is_loopback = _is_loopback(urlsplit(api_url).hostname or "")
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=4),
            trust_env=not is_loopback,
            follow_redirects=False,
        )
        self._unknown_fields: set[str] = set()

    async def __aenter__(self) -> "SyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def send(self, request: SyncRequest) -> SyncAnswer:
        """Sends once. Raises a SyncError."""
        body = encode_request(request)
        headers = {}
        if len(body) >= GZIP_FROM_BYTES:
            body = gzip.compress(body, GZIP_LEVEL)
            headers["Content-Encoding"] = "gzip"
        answer_s = request.wait_ms / 1_000 + ANSWER_TIMEOUT_S
        timeout = httpx.Timeout(answer_s, connect=CONNECT_TIMEOUT_S)
        try:
            response = await self._http.post(self._url, content=body, headers=headers, timeout=timeout)
        except httpx.TimeoutException:
            raise AgainError("the API did not answer in time") from None
        except (httpx.HTTPError, OSError) as error:
            raise AgainError(f"the API cannot be reached: {error or type(error).__name__}") from None
        if response.status_code != httpx.codes.OK:
            raise _refusal(response)
        try:
            answer, unknown = decode_answer(response.content)
        except ProtocolError as error:
            raise AgainError(f"the API's answer is not understood: {error}", after_s=5.0) from None
        self._warn_once(unknown)
        if answer.sequence != request.sequence:
            raise AgainError(f"the answer is for request {answer.sequence}, not {request.sequence}")
        return answer

    def _warn_once(self, unknown: tuple[str, ...]) -> None:
        fresh = [name for name in unknown if name not in self._unknown_fields][:100]
        if fresh and len(self._unknown_fields) < 1_000:
            self._unknown_fields.update(fresh)
            log.warning(
                "the API's answers have fields that this executor does not know and ignores: %s", ", ".join(fresh)
            )


def _refusal(response: httpx.Response) -> SyncError:
    status = response.status_code
    refusal = decode_refusal(response.content)
    errors = tuple((error.path, error.message) for error in refusal.errors)
    message = "; ".join(f"{path}: {text}" if path else text for path, text in errors) or f"HTTP {status}"
    if status in (401, 403):
        return TokenRefusedError(message)
    if status == 409:
        return ReplacedError(message)
    if status == 413:
        return TooLargeError(message)
    if status == 400:
        return RequestRefusedError(errors)
    return AgainError(f"HTTP {status}: {message}", after_s=_retry_after_s(response))


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), RETRY_AFTER_S_MAX) if text.isascii() and text.isdigit() else 0.0


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
