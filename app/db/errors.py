"""Errors of Postgres as errors of ours, by who is at fault: the database (retry), the data (poison), another writer
(start again).

Input: exceptions of asyncpg. Output: a `DatabaseError` with a code of the API; none of them carries a password or a
row.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from app.domain.errors import ErrorCode


class DatabaseError(Exception):
    """the database could not do what was asked"""

    code = ErrorCode.INTERNAL
    retryable = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class Unavailable(DatabaseError):
    """Postgres cannot be reached or is starting"""

    code = ErrorCode.UNAVAILABLE
    retryable = True


class NotInstalled(Unavailable):
    """a view is not installed yet: its worker has not run on this database"""


class QueryTimeout(DatabaseError):
    """the query took longer than it may"""

    code = ErrorCode.TIMEOUT
    retryable = True


class DataRefused(DatabaseError):
    """Postgres refused the data themselves; repeating cannot help"""


class TooMuchMatched(DatabaseError):
    """a filter matches more names than can be searched by; a part of them would look like the whole"""

    code = ErrorCode.INVALID


class PositionMoved(DatabaseError):
    """another process has written this view's position: it owns the partition now, or this batch was written before"""

    code = ErrorCode.CONFLICT


class NotMigrated(DatabaseError):
    """the platform's tables are missing or old: run `argosy-admin migrate`"""


_GONE = (
    OSError,
    # The driver lost its place in the protocol: so it happens when a server ends in the middle of an answer.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.OutOfMemoryError,
    asyncpg.DiskFullError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raises errors of ours for errors of asyncpg that leave the block."""
    try:
        yield
    except TimeoutError:
        raise Unavailable("no connection to Postgres became free in time") from None
    except asyncpg.QueryCanceledError as error:
        raise QueryTimeout(str(error)) from error
    except _GONE as error:
        raise Unavailable(f"Postgres: {_line(error)}") from error
    except asyncpg.UndefinedTableError as error:
        raise NotInstalled(f"Postgres: {_line(error)}: its view's worker has not run on this database") from error
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as error:
        raise DataRefused(f"Postgres: {_line(error)}") from error
    except asyncpg.InterfaceError as error:
        # The driver's own: a closed connection, or a value that it cannot encode.
        if isinstance(error, asyncpg.exceptions._base.InterfaceError) and "clos" in str(error):
            raise Unavailable(f"Postgres: {_line(error)}") from error
        raise DataRefused(f"Postgres driver: {_line(error)}") from error
    except asyncpg.PostgresError as error:
        raise DatabaseError(f"Postgres: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
