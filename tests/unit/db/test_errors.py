"""Errors of the driver as errors of ours: who is at fault decides what is done."""

import asyncpg
import pytest

from app.db.errors import DatabaseError, DataRefused, NotInstalled, QueryTimeout, Unavailable, translated
from app.domain.errors import ErrorCode


@pytest.mark.parametrize(
    ("raised", "want", "code", "retryable"),
    [
        (ConnectionRefusedError("refused"), Unavailable, ErrorCode.UNAVAILABLE, True),
        (TimeoutError(), Unavailable, ErrorCode.UNAVAILABLE, True),
        (asyncpg.ConnectionDoesNotExistError("closed in the middle"), Unavailable, ErrorCode.UNAVAILABLE, True),
        (asyncpg.AdminShutdownError("terminating"), Unavailable, ErrorCode.UNAVAILABLE, True),
        (asyncpg.DeadlockDetectedError("deadlock"), Unavailable, ErrorCode.UNAVAILABLE, True),
        (asyncpg.InterfaceError("connection is closed"), Unavailable, ErrorCode.UNAVAILABLE, True),
        (asyncpg.InternalClientError("unknown state"), Unavailable, ErrorCode.UNAVAILABLE, True),
        (asyncpg.UndefinedTableError('relation "queues" does not exist'), NotInstalled, ErrorCode.UNAVAILABLE, True),
        (asyncpg.QueryCanceledError("statement timeout"), QueryTimeout, ErrorCode.TIMEOUT, True),
        (asyncpg.CheckViolationError("refused"), DataRefused, ErrorCode.INTERNAL, False),
        (asyncpg.UntranslatableCharacterError("\\u0000"), DataRefused, ErrorCode.INTERNAL, False),
        (asyncpg.InterfaceError("invalid input for query argument $1"), DataRefused, ErrorCode.INTERNAL, False),
        (asyncpg.SyntaxOrAccessError("syntax"), DatabaseError, ErrorCode.INTERNAL, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_of_the_driver_becomes_one_of_ours(
    raised: Exception, want: type[DatabaseError], code: ErrorCode, retryable: bool
) -> None:
    with pytest.raises(want) as caught, translated():
        raise raised
    assert type(caught.value) is want
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_a_message_is_one_short_line() -> None:
    with pytest.raises(Unavailable) as caught, translated():
        raise OSError("first\nsecond " + "x" * 1_000)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("ours")
