"""`POST /executor/v1/sync`: one request of a lane of an executor.

In order: the token says which cluster; the body is what the protocol says, or nothing of it is logged; the instance has
begun; reports and node data are in the log; then the answer, at once on the reports lane, when there is news on the
lane for leases.
"""

import asyncio
import gzip
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from app.api.auth import ExecutorAuthenticator
from app.api.errors import ApiError
from app.api.executor_api import reports
from app.api.executor_api.cluster_feed import ClusterFeed
from app.api.executor_api.errors import SyncRefused, unavailable
from app.api.executor_api.instances import Instances
from app.api.executor_api.lease_answers import LeaseAnswers
from app.api.http_errors import error_headers
from app.api.log_ports import SentRecord
from app.domain.clusters import ClusterUpdate
from app.domain.commands import Report
from app.domain.ids import parse_id
from app.domain.routing import partition_of_name
from app.executor import protocol
from app.executor.protocol import ProtocolError
from app.log.errors import LogUnavailable, RecordTooLarge

SYNC_PATH = "/executor/v1/sync"
REQUESTS_MAX = 2_000
"""at once in one process; most of them wait for leases"""
FEED_WAIT_S = 2.0
GZIP_FROM_BYTES = 1_024
GZIP_LEVEL = 1
"""JSON of pod specs shrinks to a tenth at this level; a higher one costs more than the network"""


class ReportCollector(Protocol):
    """Collects reports of all requests into one record a partition and 20 ms."""

    async def add(self, partition: int, items: list[Report]) -> SentRecord: ...


class UpdateCollector(Protocol):
    """Collects updates of clusters into one record a partition of argosy.clusters and 20 ms."""

    async def add(self, partition: int, items: list[ClusterUpdate]) -> SentRecord: ...


class SyncEndpoint:
    """One per process. partitions, cluster_partitions: of argosy.commands and of argosy.clusters."""

    def __init__(
        self,
        *,
        authenticator: ExecutorAuthenticator,
        instances: Instances,
        feed: ClusterFeed,
        answers: LeaseAnswers,
        reports: ReportCollector,
        updates: UpdateCollector,
        partitions: int,
        cluster_partitions: int,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._authenticator = authenticator
        self._instances = instances
        self._feed = feed
        self._answers = answers
        self._reports = reports
        self._updates = updates
        self._partitions = partitions
        self._cluster_partitions = cluster_partitions
        self._now_ms = now_ms
        self.open_requests = 0

    async def __call__(self, request: Request) -> Response:
        """The Starlette endpoint."""
        if self.open_requests >= REQUESTS_MAX:
            return _refused(SyncRefused(429, [("", "too many requests are open here, come again")]))
        self.open_requests += 1
        try:
            answer = await self._answer(request)
        except SyncRefused as refusal:
            return _refused(refusal)
        except ProtocolError as error:
            return _refused(SyncRefused(400, error.errors))
        finally:
            self.open_requests -= 1
        return _response(200, protocol.encode_answer(answer), request)

    async def _answer(self, request: Request) -> protocol.SyncAnswer:
        cluster = self._authenticated(request)
        body = await request.body()
        if request.headers.get("content-encoding", "").lower() == "gzip":
            body = protocol.decompress(body)
        sync = protocol.decode_request(body)
        if sync.cluster != cluster:
            raise SyncRefused(403, [("cluster", f"this token speaks for another cluster than {sync.cluster!r}")])
        if not self._feed.ready:
            raise unavailable("the API has just begun and does not know the clusters yet")
        if sync.wait_ms == 0:
            return await self._reports_lane(sync)
        begins = await self._instances.begins(sync.cluster, parse_id(sync.instance))
        wait_s = sync.wait_ms / 1_000
        return await self._answers.newer(
            sync.sequence, sync.cluster, sync.lease_cursor, begins, wait_s=wait_s, ask_nodes=False
        )

    async def _reports_lane(self, sync: protocol.SyncRequest) -> protocol.SyncAnswer:
        """Everything is looked at before anything is logged."""
        reports.check_texts(sync)
        by_partition = reports.log_reports(sync, self._partitions)
        state = self._feed.clusters.get(sync.cluster)
        is_same = state is not None and state.instance == parse_id(sync.instance)
        generation = state.generation if state is not None and is_same else 0
        update = reports.cluster_update(sync, received_ms=self._now_ms(), generation=generation)
        begins = await self._instances.begins(sync.cluster, parse_id(sync.instance))
        await self._log(by_partition, update, has_nodes=sync.nodes is not None)
        state = self._feed.clusters.get(sync.cluster)
        ask_nodes = state is not None and state.needs_nodes
        if sync.runs is not None:
            return await self._answers.full(sync.sequence, sync.cluster, begins, ask_nodes=ask_nodes)
        if sync.lease_cursor is None:
            return protocol.SyncAnswer(sequence=sync.sequence, ask_nodes=ask_nodes)
        return await self._answers.newer(
            sync.sequence, sync.cluster, sync.lease_cursor, begins, wait_s=0.0, ask_nodes=ask_nodes
        )

    async def _log(self, by_partition: Mapping[int, list[Report]], update: ClusterUpdate, *, has_nodes: bool) -> None:
        """Returns when everything is acknowledged, and node data have come back through the feed."""
        at = partition_of_name(update.cluster, self._cluster_partitions)
        sent_update = self._updates.add(at, [update])
        sent_reports = [self._reports.add(partition, items) for partition, items in by_partition.items()]
        results = await asyncio.gather(sent_update, *sent_reports, return_exceptions=True)
        last_offset = -1
        for result in reversed(results):
            if isinstance(result, LogUnavailable):
                raise unavailable(f"the log cannot be written now: {result}")
            if isinstance(result, RecordTooLarge):
                raise SyncRefused(413, [("", "the request is too large for one record of the log: send less at once")])
            if isinstance(result, BaseException):
                raise result
            last_offset = result.offset
        if has_nodes:
            await self._feed.passed(at, last_offset, timeout_s=FEED_WAIT_S)

    def _authenticated(self, request: Request) -> str:
        try:
            return self._authenticator.cluster(request.headers.get("authorization"))
        except ApiError as error:
            raise SyncRefused(401, [("", error.message)]) from None


def _refused(refusal: SyncRefused) -> Response:
    return _response(refusal.status, protocol.encode_answer(refusal.answer), None)


def _response(status: int, body: bytes, request: Request | None) -> Response:
    headers = error_headers(status)
    if request is not None and len(body) >= GZIP_FROM_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, GZIP_LEVEL)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers, media_type="application/json")
