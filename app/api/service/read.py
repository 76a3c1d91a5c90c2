"""Reading: the typed queries of app.db with read-your-writes waits, and their errors in the words of the API.

Inputs: filters, pages, a position to wait for. Outputs: records of app.db.queries. Raises ApiError NOT_FOUND never:
null is an answer.
"""

import time
from collections.abc import Sequence

from app.api.coordinates import Coordinates
from app.api.service.database_errors import database_errors
from app.api.service.waiting import HISTORY_VIEW, QUEUES_VIEW
from app.db.database import Database
from app.db.positions import Positions
from app.db.queries import job_count, job_sets, jobs, nodes, queues, rounds
from app.db.queries.job_filter import JobFilter
from app.db.queries.job_order import JobOrder, PageRequest
from app.domain.lifecycle import JobState

WAIT_S = 10.0
RATE_MS = 60_000
RATE_MIN_S = 5.0
"""a set that is younger is reckoned as if it were that old"""


class ReadService:
    """One per process."""

    def __init__(self, database: Database, positions: Positions, coordinates: Coordinates) -> None:
        self._database = database
        self._positions = positions
        self._coordinates = coordinates

    async def wait_for(self, at_least: str | None, view: str) -> None:
        """Returns when the view includes the position. Raises ApiError INVALID, TIMEOUT, UNAVAILABLE."""
        if at_least is None:
            return
        vector = self._coordinates.parse_position(at_least, path="atLeast")
        with database_errors():
            await self._positions.wait_until(view, vector, WAIT_S)

    def as_of(self, view: str) -> str:
        """How far a view has come, as the text of a position."""
        return self._coordinates.position({p: at for p, at in self._positions.vector(view).items() if at >= 0})

    async def job(self, job_id: bytes, at_least: str | None = None) -> jobs.JobDetail | None:
        await self.wait_for(at_least, HISTORY_VIEW)
        with database_errors():
            return await jobs.job_by_id(self._database, job_id)

    async def jobs(
        self, wanted: JobFilter, order: JobOrder, page: PageRequest, at_least: str | None = None
    ) -> jobs.JobPage:
        await self.wait_for(at_least, HISTORY_VIEW)
        with database_errors():
            return await jobs.jobs_page(self._database, wanted, order, page)

    async def count_estimate(self, wanted: JobFilter) -> int | None:
        with database_errors():
            return await job_count.count_estimate(self._database, wanted)

    async def count_up_to(self, wanted: JobFilter, limit: int) -> int:
        with database_errors():
            return await job_count.count_up_to(self._database, wanted, limit)

    async def job_set(self, queue: str, name: str, at_least: str | None = None) -> job_sets.JobSetRecord | None:
        await self.wait_for(at_least, HISTORY_VIEW)
        with database_errors():
            return await job_sets.job_set(self._database, queue, name)

    async def end_rate(self, found: job_sets.JobSetRecord) -> float:
        """Jobs of a set that end a second, over the last minute or since its first job if that is less."""
        now_ms = int(time.time() * 1_000)
        since_ms = max(now_ms - RATE_MS, found.first_submitted_ms or 0)
        with database_errors():
            ends = await job_sets.recent_ends(self._database, found.job_set_id, since_ms)
        return ends / max(RATE_MIN_S, (now_ms - since_ms) / 1_000)

    async def queue_counts(self, names: Sequence[str]) -> dict[str, dict[JobState, int]]:
        with database_errors():
            return await job_sets.queue_counts(self._database, list(names))

    async def queue(self, name: str, at_least: str | None = None) -> queues.QueueRecord | None:
        await self.wait_for(at_least, QUEUES_VIEW)
        with database_errors():
            return await queues.queue(self._database, name)

    async def queues(self, *, limit: int, after: str | None, at_least: str | None = None) -> queues.QueuePage:
        await self.wait_for(at_least, QUEUES_VIEW)
        with database_errors():
            return await queues.queues_page(self._database, limit=limit, name=after)

    async def clusters(self) -> tuple[nodes.ClusterRecord, ...]:
        with database_errors():
            return await nodes.clusters(self._database)

    async def nodes(self, *, cluster: str | None, pool: str | None, limit: int, key: tuple[str, str]) -> nodes.NodePage:
        with database_errors():
            return await nodes.nodes_page(self._database, cluster=cluster, pool=pool, limit=limit, key=key)

    async def rounds(self, pool: str, *, limit: int, key: rounds.RoundKey | None) -> rounds.RoundPage:
        with database_errors():
            return await rounds.rounds_page(self._database, pool, limit=limit, key=key)
