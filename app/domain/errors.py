"""The closed set of codes with which a command, or an item of one, is refused, and the refusal as a value."""

from enum import StrEnum

from msgspec import Struct


class ErrorCode(StrEnum):
    """The API's error codes (reference: api.graphql)."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    INVALID = "INVALID"
    CONFLICT = "CONFLICT"
    RATE_LIMITED = "RATE_LIMITED"
    UNAVAILABLE = "UNAVAILABLE"
    TIMEOUT = "TIMEOUT"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    CONSUMER_TOO_SLOW = "CONSUMER_TOO_SLOW"
    INTERNAL = "INTERNAL"


class Refusal(Struct, frozen=True, kw_only=True):
    """Why an item (index >= 0) or a whole command (index -1) was refused. id: the job, run or queue concerned, as
    bytes ("" = none)."""

    index: int
    code: ErrorCode
    path: str
    message: str
    id: bytes = b""
