"""The history as streams of changed jobs need it: rows by id under a filter, and where it stands."""

from collections.abc import Sequence
from typing import Protocol

from app.api.service.database_errors import database_errors
from app.db.database import Database
from app.db.queries.job_changes import ChangedJobs, changed_jobs, history_stands
from app.db.queries.job_filter import JobFilter
from app.db.queries.reached import Reached


class ChangesHistory(Protocol):
    """Where the rows of changed jobs come from."""

    async def changed(self, wanted: JobFilter, ids: Sequence[bytes]) -> ChangedJobs:
        """The rows of these jobs, by whether the filter takes them."""

    async def stands(self) -> dict[int, Reached]:
        """How far it has come in each partition."""


class DatabaseChanges:
    """View history in Postgres. Both methods raise ApiError UNAVAILABLE, TIMEOUT, INVALID."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def changed(self, wanted: JobFilter, ids: Sequence[bytes]) -> ChangedJobs:
        with database_errors():
            return await changed_jobs(self._database, wanted, ids)

    async def stands(self) -> dict[int, Reached]:
        with database_errors():
            return await history_stands(self._database)
