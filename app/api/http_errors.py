"""Refusals on the level of HTTP: an ApiError as an answer with its status, in the form of a GraphQL error."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from app.api.errors import ApiError
from app.domain.errors import ErrorCode

RETRY_AFTER_S = 1
STATUS_OF_CODE = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.INVALID: 400,
    ErrorCode.CONFLICT: 409,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.TIMEOUT: 504,
}


def error_body(error: ApiError) -> Mapping[str, Any]:
    """The body: `errors[{message, extensions{code, retryable}}]`."""
    return {"errors": [{"message": error.message, "extensions": error.extensions}]}


def status_of(error: ApiError) -> int:
    """The status that says the same as the code."""
    return STATUS_OF_CODE.get(error.code, 500)


def error_headers(status: int) -> dict[str, str]:
    """What a status needs beside it."""
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return headers


def error_response(error: ApiError, status: int | None = None) -> Response:
    """The answer; status: where the code has another one here."""
    number = status if status is not None else status_of(error)
    return Response(msgspec.json.encode(error_body(error)), number, error_headers(number), "application/json")
