"""Errors of app.db as errors of the API: their codes are the same, their text carries no secret."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.api.errors import ApiError
from app.db.errors import DatabaseError


@contextmanager
def database_errors() -> Iterator[None]:
    """Raises ApiError for a DatabaseError that leaves the block."""
    try:
        yield
    except DatabaseError as error:
        raise ApiError(error.code, str(error)) from error
