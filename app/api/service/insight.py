"""What pages show beside jobs: groups, time series, shares, nodes, rounds, events of a job, explanations, health.

Inputs: filters and ranges of time. Outputs: records of app.db.queries. Everything comes from views; what many ask for
at the same time is asked of the database once.
"""

import logging
import time
from collections.abc import Sequence

from app.api.errors import ApiError
from app.api.log_ports import LetterRecord, LettersTopic
from app.api.service.database_errors import database_errors
from app.api.tail.tail import Tail
from app.db.database import Database
from app.db.queries import (
    explain,
    job_events,
    job_groups,
    node_usage,
    nodes,
    rounds,
    share_history,
    throughput,
    view_health,
)
from app.db.queries.job_filter import JobFilter
from app.db.queries.jobs import JobDetail
from app.domain.errors import ErrorCode
from app.domain.rounds import QueueShare, RoundRecord
from app.log.errors import LogError
from app.pods.canonical import unpack_spec
from app.pods.shape import encode_shape, shape_hash, shape_of

LETTERS_MAX = 1_000
LETTERS_KEPT_S = 10.0
USAGE_KEPT_S = 2.0
"""A sum over all live runs is at most this old."""


logger = logging.getLogger(__name__)


class InsightService:
    """One per process."""

    def __init__(self, database: Database, tail: Tail, letters: LettersTopic) -> None:
        self._database = database
        self._tail = tail
        self._letters = letters
        self._known_letters: Sequence[LetterRecord] | None = None
        self._letters_at_s = float("-inf")
        self._usage: dict[int, node_usage.NodeUsage] = {}
        self._usage_at_s = float("-inf")

    async def groups(
        self, wanted: JobFilter, by: Sequence[str], *, limit: int, offset: int, active: bool
    ) -> job_groups.GroupPage:
        with database_errors():
            return await job_groups.job_groups(self._database, wanted, by, limit=limit, offset=offset, active=active)

    async def throughput_points(
        self, *, minutes: int, bucket_ms: int, queue: str | None
    ) -> tuple[throughput.Point, ...]:
        end_ms = int(time.time() * 1000)
        with database_errors():
            return await throughput.throughput(
                self._database, begin_ms=end_ms - minutes * 60_000, end_ms=end_ms, bucket_ms=bucket_ms, queue=queue
            )

    async def waits(self, *, minutes: int, queue: str | None) -> tuple[throughput.WaitPoint, ...]:
        with database_errors():
            return await throughput.waits(self._database, begin_ms=_minutes_ago_ms(minutes), queue=queue)

    async def share_points(self, pool: str, *, minutes: int, queue: str | None) -> tuple[share_history.SharePoint, ...]:
        with database_errors():
            return await share_history.share_history(
                self._database, pool, begin_ms=_minutes_ago_ms(minutes), queue=queue
            )

    async def shares(self) -> tuple[tuple[str, QueueShare], ...]:
        with database_errors():
            return await rounds.shares(self._database)

    async def pools(self) -> tuple[nodes.PoolRecord, ...]:
        with database_errors():
            return await nodes.pools(self._database)

    async def node(self, cluster: str, name: str) -> nodes.NodeRecord | None:
        with database_errors():
            return await nodes.node(self._database, cluster, name)

    async def node_cells(self, cluster: str | None, pool: str | None) -> tuple[nodes.NodeRecord, ...]:
        with database_errors():
            return await nodes.all_nodes(self._database, cluster, pool)

    async def usage_of(self, cluster: str, node: str) -> node_usage.NodeUsage | None:
        """Of one node, as it is now."""
        with database_errors():
            found = await node_usage.node_usage(self._database, cluster, node)
        return next(iter(found.values()), None)

    async def usage(self) -> dict[int, node_usage.NodeUsage]:
        """Of every node, at most USAGE_KEPT_S old."""
        if time.monotonic() - self._usage_at_s > USAGE_KEPT_S:
            with database_errors():
                self._usage = await node_usage.node_usage(self._database)
            self._usage_at_s = time.monotonic()
        return self._usage

    async def round(self, round_id: bytes) -> RoundRecord | None:
        with database_errors():
            return await rounds.round_by_id(self._database, round_id)

    async def events(self, job_id: bytes) -> job_events.JobEventsFound | None:
        with database_errors():
            return await job_events.events_of_job(self._database, job_id)

    async def waiting(self, detail: JobDetail, at_ms: int | None) -> explain.WaitingFound:
        """What rounds until a time (None: now) said of jobs like this one."""
        job, shape = detail.job, None
        if detail.spec is not None:
            shape = shape_hash(encode_shape(shape_of(unpack_spec(detail.spec), job.priority_class, job.pools)))
        with database_errors():
            return await explain.waiting(self._database, job, shape, at_ms or int(time.time() * 1000))

    async def views(self) -> tuple[view_health.ViewHealth, ...]:
        with database_errors():
            return await view_health.view_health(self._database)

    async def dead_letters(self) -> Sequence[LetterRecord] | None:
        """The last LETTERS_MAX, oldest first, at most LETTERS_KEPT_S old; None when the log cannot be read now."""
        if time.monotonic() - self._letters_at_s > LETTERS_KEPT_S:
            self._letters_at_s = time.monotonic()
            try:
                self._known_letters = await self._letters.dead_letters(LETTERS_MAX)
            except LogError as error:
                logger.warning("argosy.dead-letters cannot be read now: %s", error)
                self._known_letters = None
        return self._known_letters

    def decided(self) -> dict[int, int]:
        """Partition -> the last command whose events this process has read."""
        return {buffer.partition: buffer.reached.offset for buffer in self._tail.buffers if buffer.reached is not None}

    @property
    def tail_ready(self) -> bool:
        return self._tail.ready


def bucket_of(minutes: int) -> int:
    """The width of buckets for a range: at most some hundred points. Raises ApiError."""
    if not 1 <= minutes <= 60 * 24 * 35:
        raise ApiError(ErrorCode.INVALID, "minutes: must be between 1 and 50,400", path="minutes")
    return 10_000 if minutes <= 60 else 60_000 if minutes <= 900 else 3_600_000


def _minutes_ago_ms(minutes: int) -> int:
    bucket_of(minutes)
    return int(time.time() * 1000) - minutes * 60_000
