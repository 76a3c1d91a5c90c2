"""Errors that a caller is told, as one exception and one value. Neither carries a stack trace or a secret.

`ApiError` ends a request (GraphQL: `errors[].extensions.code`); `Fault` is an expected outcome inside a payload and
names its field.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.errors import ErrorCode

RETRYABLE = frozenset({ErrorCode.UNAVAILABLE, ErrorCode.TIMEOUT, ErrorCode.RATE_LIMITED, ErrorCode.CONSUMER_TOO_SLOW})


class ApiError(Exception):
    """A request cannot be served. `path` names the argument or field at fault ("" = none); details go into the
    extensions."""

    def __init__(
        self, code: ErrorCode, message: str, *, path: str = "", details: Mapping[str, str | int] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.details = dict(details or {})

    @property
    def retryable(self) -> bool:
        """The same request may succeed later."""
        return self.code in RETRYABLE

    @property
    def extensions(self) -> dict[str, str | int | bool]:
        """What stands beside the message in a GraphQL error."""
        named: dict[str, str | int | bool] = {"field": self.path} if self.path else {}
        return {"code": self.code.value, "retryable": self.retryable, **named, **self.details}


class InvalidArgument(ApiError):
    """An argument is not what it must be."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(ErrorCode.INVALID, f"{path}: {message}", path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a call or an item of it. index: the item in the call; rule: the rule's name
    (app.pods)."""

    code: ErrorCode
    path: str
    message: str
    rule: str | None = None
    index: int | None = None


def invalid(path: str, message: str, *, index: int | None = None, rule: str | None = None) -> Fault:
    """The usual fault: the caller's input."""
    return Fault(code=ErrorCode.INVALID, path=path, message=message, index=index, rule=rule)
