"""The history of job sets as streams need it: pages of events with the view's position from the same snapshot."""

from typing import Protocol

from app.api.service.database_errors import database_errors
from app.api.tail.channels import ChannelKey
from app.db.database import Database
from app.db.names import job_set_id
from app.db.queries.job_set_events import EventsPage, job_set_events
from app.domain.positions import Position


class StreamHistory(Protocol):
    """Where events before the tail come from."""

    async def page(self, key: ChannelKey, partition: int, after: Position | None, limit: int) -> EventsPage:
        """Up to `limit` blocks that may hold events behind `after` (None: from the beginning)."""


class DatabaseHistory:
    """View history in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, key: ChannelKey, partition: int, after: Position | None, limit: int) -> EventsPage:
        """Raises ApiError UNAVAILABLE, TIMEOUT."""
        with database_errors():
            return await job_set_events(self._database, job_set_id(*key), partition, after, limit)
