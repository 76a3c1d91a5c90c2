"""Puts an API process together: which object gets which. No network is touched here.

Inputs: settings, the log (`LogAccess`), the database. Output: `Api`: the web application and what has to run beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from app.api.auth import Authenticator, authenticators
from app.api.command_log import CommandLog
from app.api.coordinates import Coordinates
from app.api.executor_api.cluster_feed import ClusterFeed, ClustersTopic
from app.api.executor_api.instances import CommandsTopic, Instances
from app.api.executor_api.lease_answers import LeaseAnswers
from app.api.executor_api.openapi import OPENAPI_PATH, openapi
from app.api.executor_api.sync import SYNC_PATH, ReportCollector, SyncEndpoint, UpdateCollector
from app.api.graphql.context import GraphQLServices
from app.api.graphql.schema import make_schema
from app.api.graphql.view import GraphQLView
from app.api.job_policy import job_policy
from app.api.log_ports import LettersTopic, LogWriter
from app.api.service.cancel import CancelService
from app.api.service.change_queues import ChangeQueuesService
from app.api.service.changes_history import DatabaseChanges
from app.api.service.create_queues import CreateQueuesService
from app.api.service.insight import InsightService
from app.api.service.job_changes import JobChangesService
from app.api.service.job_commands import JobCommands
from app.api.service.matching import MatchingService
from app.api.service.pod_cache import PodCache
from app.api.service.preempt import PreemptService
from app.api.service.queue_access import QueueAccess
from app.api.service.queue_commands import QueueCommands
from app.api.service.read import ReadService
from app.api.service.reprioritize import ReprioritizeService
from app.api.service.stream import StreamService
from app.api.service.stream_history import DatabaseHistory
from app.api.service.submit import SubmitService
from app.api.service.waiting import Waiting
from app.api.tail.tail import EventsTopic, Tail
from app.api.web import make_web
from app.api.web_ui import ui_routes
from app.db.database import Database
from app.db.positions import Positions
from app.domain.events import EventsRecord
from app.log import codec
from app.settings import Settings


class LogTopics(EventsTopic, ClustersTopic, CommandsTopic, LettersTopic, Protocol):
    """How the process reads the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAccess:
    """The log of an installation. installation: topic id of argosy.commands; events_topic_id: of argosy.events."""

    installation: str
    events_topic_id: str
    partitions: int
    cluster_partitions: int
    writer: LogWriter
    topics: LogTopics
    reports: ReportCollector
    updates: UpdateCollector

    @property
    def name(self) -> str:
        """The name of the log in executors' cursors."""
        return f"{self.installation}.{self.events_topic_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A process: `web` is served, `tail.run` and `feed.run` run beside it. Ready when both are at the end."""

    web: ASGIApp
    tail: Tail
    feed: ClusterFeed
    services: GraphQLServices
    lease_answers: LeaseAnswers
    sync: SyncEndpoint

    @property
    def is_ready(self) -> bool:
        return self.tail.ready and self.feed.ready


def make_api(settings: Settings, log: LogAccess, database: Database, positions: Positions) -> Api:
    """Raises ValueError for settings that contradict each other."""
    tail = Tail(log.topics, log.partitions, decode_record=_decode_record, decode_events=codec.decode_events)
    feed = ClusterFeed(log.topics)
    command_log = CommandLog(log.writer, log.partitions, command_bytes_max=settings.jobs.command_bytes_max)
    users, executors = authenticators(settings)
    services = _graphql_services(settings, log, command_log, tail, database, positions, users)
    lease_answers = LeaseAnswers(
        database, positions, tail.cluster_signals, log=log.name, events_topic_id=log.events_topic_id
    )
    sync = SyncEndpoint(
        authenticator=executors,
        instances=Instances(command_log, feed, log.topics),
        feed=feed,
        answers=lease_answers,
        reports=log.reports,
        updates=log.updates,
        partitions=log.partitions,
        cluster_partitions=log.cluster_partitions,
    )
    web = make_web(
        GraphQLView(make_schema(), services),
        [*_executor_routes(sync), *ui_routes()],
        body_bytes_max=settings.api.body_bytes_max,
        loopback_only=settings.api.anonymous,
    )
    return Api(web=web, tail=tail, feed=feed, services=services, lease_answers=lease_answers, sync=sync)


def _graphql_services(
    settings: Settings,
    log: LogAccess,
    command_log: CommandLog,
    tail: Tail,
    database: Database,
    positions: Positions,
    users: Authenticator,
) -> GraphQLServices:
    policy = job_policy(settings)
    coordinates = Coordinates(log.installation)
    waiting = Waiting(tail.outcomes, positions, timeout_s=settings.api.wait_timeout_ms / 1_000)
    access = QueueAccess(database, positions, tail)
    jobs, queues = JobCommands(command_log, waiting), QueueCommands(command_log, waiting)
    return GraphQLServices(
        authenticator=users,
        coordinates=coordinates,
        submit=SubmitService(command_log, waiting, PodCache(policy), policy),
        cancel=CancelService(jobs),
        reprioritize=ReprioritizeService(jobs),
        preempt=PreemptService(jobs),
        matching=MatchingService(database, access, jobs),
        create_queues=CreateQueuesService(queues, policy.limits.priority_classes),
        change_queues=ChangeQueuesService(queues, database, policy.limits.priority_classes),
        read=ReadService(database, positions, coordinates),
        insight=InsightService(database, tail, log.topics),
        stream=StreamService(
            DatabaseHistory(database), access, tail, coordinates, streams_max=settings.api.subscriptions_max
        ),
        changes=JobChangesService(
            DatabaseChanges(database), positions, tail, coordinates, streams_max=settings.api.subscriptions_max
        ),
    )


def _executor_routes(sync: SyncEndpoint) -> Sequence[BaseRoute]:
    async def endpoint(request: Request) -> Response:
        return await sync(request)

    async def document(_request: Request) -> Response:
        return Response(openapi(), media_type="application/json")

    return [Route(SYNC_PATH, endpoint, methods=["POST"]), Route(OPENAPI_PATH, document, methods=["GET"])]


def _decode_record(value: bytes) -> EventsRecord:
    return codec.decode_as(EventsRecord, value)
