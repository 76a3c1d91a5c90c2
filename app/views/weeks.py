"""The weekly partitions of an app's tables, as its process keeps them: created before they are needed, dropped in time.

Inputs: log times. Output: partitions (app.views.install). Owner of nothing else.
"""

import logging
import time
from collections.abc import Set

from app.views.install import WEEKS_AHEAD, create_weeks, drop_weeks
from app.views.view import WEEK_MS, View, week_of

log = logging.getLogger(__name__)


class Weeks:
    """Remembers which weeks there are. All methods raise Unavailable, DatabaseError."""

    def __init__(self, url: str, views: tuple[View, ...], *, indexes: bool) -> None:
        self._url = url
        self._views = views
        self._indexes = indexes
        self._weekly = any(view.weekly for view in views)
        self._known: set[int] = set()

    async def create(self, weeks: Set[int]) -> None:
        """Those of these weeks (Mondays, ms) that are not there."""
        if self._weekly and not weeks <= self._known:
            await create_weeks(self._url, self._views, weeks, indexes=self._indexes)
            self._known |= weeks

    async def create_ahead(self) -> None:
        """This week and the next ones, while nobody waits for them."""
        this_week = week_of(int(time.time() * 1000))
        await self.create(frozenset(this_week + number * WEEK_MS for number in range(WEEKS_AHEAD + 1)))

    async def drop_behind(self, log_time_ms: int) -> None:
        """What is older than it is kept, by log time: a log that stands still loses nothing."""
        if self._weekly and log_time_ms:
            dropped = await drop_weeks(self._url, self._views, log_time_ms)
            if dropped:
                log.info("dropped %s", ", ".join(dropped))
