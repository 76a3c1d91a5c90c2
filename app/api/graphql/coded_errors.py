"""Every error of an answer gets a code of the closed set and no detail that is not meant for the caller.

Input: GraphQLErrors. Output: those of ours with their code; of GraphQL itself (syntax, validation, variables) as
INVALID; everything else as INTERNAL with a number under which the log has the stack trace.
"""

import logging
import secrets
from typing import Any

from graphql import GraphQLError

from app.api.errors import ApiError
from app.domain.errors import ErrorCode

logger = logging.getLogger(__name__)


def coded(error: GraphQLError) -> GraphQLError:
    """The error as a client may see it."""
    original: BaseException | None = error.original_error
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    if isinstance(original, ApiError):
        return _with(error, original.message, original.extensions)
    if original is None or isinstance(original, GraphQLError):
        if error.extensions and "code" in error.extensions:
            return error
        return _with(error, error.message, {"code": ErrorCode.INVALID.value, "retryable": False})
    number = secrets.token_hex(4)
    logger.error("request failed, number %s, field %s", number, error.path, exc_info=original)
    message = f"something went wrong here; the log of the API names it under {number}"
    return _with(error, message, {"code": ErrorCode.INTERNAL.value, "retryable": False, "number": number})


def _with(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
