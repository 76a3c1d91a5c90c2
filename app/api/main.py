"""The API process: connects to the log and the database, serves until SIGTERM or SIGINT.

Input: settings. Output: an exit code: 0 when told to stop, 1 when something that the process cannot live without ended,
2 when the installation is not as it must be. Ready when the tails of argosy.events and argosy.clusters are at their
ends.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, NoReturn

import uvicorn
import uvloop

from app.api.assembly import Api, LogAccess, make_api
from app.api.executor_api.alive import say_alive
from app.api.kafka_topics import KafkaTopics
from app.api.metrics import ApiMetrics
from app.db.database import Database
from app.db.positions import Positions
from app.domain.clusters import ClusterUpdate, ClusterUpdates
from app.domain.commands import Report, ReportRuns
from app.health import HealthServer
from app.log.admin import partition_count, topic_id
from app.log.collector import Collector
from app.log.errors import LogError, LogUnavailable
from app.log.producer import LogProducer
from app.log.topics import CLUSTERS, COMMANDS, EVENTS, check_topics, load_topics
from app.settings import Settings

EXIT_ENDED = 1
EXIT_REFUSED = 2
GRACEFUL_STOP_S = 3
KEEP_ALIVE_S = 75
"""longer than the 60 s after which most proxies close an idle connection"""
PING_INTERVAL_S = 20.0
LINGER_MS = 5

logger = logging.getLogger(__name__)


def run(settings: Settings) -> NoReturn:
    """Runs until SIGTERM or SIGINT. Never returns: exits."""
    try:
        uvloop.run(serve(settings))
    except LogUnavailable as error:
        logger.error("the log is not there: %s", error)
        sys.exit(EXIT_ENDED)
    except (LogError, ValueError) as error:
        logger.error("refused to start: %s", error)
        sys.exit(EXIT_REFUSED)
    except _Ended:
        sys.exit(EXIT_ENDED)
    sys.exit(0)


class _Ended(Exception):
    """A part of the process ended by itself."""


async def serve(settings: Settings) -> None:
    """The life of the process. Raises LogError when the installation is not as it must be, ValueError for settings."""
    async with contextlib.AsyncExitStack() as stack:
        log = await stack.enter_async_context(_log_access(settings))
        database = await Database.open(
            settings.postgres.url, name="argosy-api", connections_max=settings.postgres.pool_connections_max
        )
        stack.push_async_callback(database.close)
        positions = Positions(settings.postgres.url, name="argosy-api-positions")
        await positions.start()
        stack.push_async_callback(positions.stop)
        api = make_api(settings, log, database, positions)
        metrics = ApiMetrics(api)
        health = HealthServer(settings.health.host, settings.health.port, lambda: troubles(api), metrics.registry)
        await health.start()
        stack.push_async_callback(health.stop)
        await _run_parts(settings, api, log, metrics)


def troubles(api: Api) -> list[str]:
    """Why the process is not ready; empty when it is."""
    found = []
    if not api.tail.ready:
        found.append("argosy.events has not been read to its end")
    if not api.feed.ready:
        found.append("argosy.clusters has not been read to its end")
    return found


async def _run_parts(settings: Settings, api: Api, log: LogAccess, metrics: ApiMetrics) -> None:
    """Runs everything that belongs together; the first part that ends, ends all."""
    process = f"api-{os.uname().nodename[:64]}-{os.getpid()}-{secrets.token_hex(4)}"
    server = _Server(_server_config(settings, api, metrics))
    parts: dict[str, Coroutine[Any, Any, None]] = {
        "tail": api.tail.run(),
        "cluster feed": api.feed.run(),
        "heartbeat": say_alive(log.writer, api.lease_answers, process=process, partitions=log.cluster_partitions),
        "web server": server.serve(),
    }
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
    _stop_on_signal(server, api.lease_answers.stop_waiting)
    logger.info("GraphQL at http://%s:%s/graphql", settings.api.host, settings.api.port)
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    web = tasks[-1]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACEFUL_STOP_S + 2):
            await asyncio.wait([web])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if done != {web} or web.exception() is not None or not server.was_told_to_stop:
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                logger.error("%s ended", task.get_name(), exc_info=task.exception())
        raise _Ended


@contextlib.asynccontextmanager
async def _log_access(settings: Settings) -> AsyncIterator[LogAccess]:
    """The log, checked and connected."""
    bootstrap, partitions = settings.kafka.bootstrap, settings.kafka.partitions
    await asyncio.to_thread(check_topics, bootstrap, load_topics(), partitions)
    producer = LogProducer(
        bootstrap,
        "argosy-api",
        deadline_s=settings.kafka.delivery_timeout_ms / 1_000,
        linger_ms=LINGER_MS,
    )
    await producer.start()
    reports: Collector[Report] = Collector(producer, COMMANDS, lambda items: ReportRuns(reports=items))
    updates: Collector[ClusterUpdate] = Collector(producer, CLUSTERS, lambda items: ClusterUpdates(updates=items))
    try:
        yield LogAccess(
            installation=await asyncio.to_thread(topic_id, bootstrap, COMMANDS),
            events_topic_id=await asyncio.to_thread(topic_id, bootstrap, EVENTS),
            partitions=partitions,
            cluster_partitions=await asyncio.to_thread(partition_count, bootstrap, CLUSTERS),
            writer=producer,
            topics=KafkaTopics(bootstrap, client_id="argosy-api"),
            reports=reports,
            updates=updates,
        )
    finally:
        await reports.stop()
        await updates.stop()
        await producer.stop()


class _Server(uvicorn.Server):
    """Signals are ours: uvicorn's own way raises them again before anything else is closed."""

    was_told_to_stop = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _stop_on_signal(server: _Server, stop_waiting: Callable[[], None]) -> None:
    def stop() -> None:
        server.was_told_to_stop = server.should_exit = True
        stop_waiting()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _server_config(settings: Settings, api: Api, metrics: ApiMetrics) -> uvicorn.Config:
    return uvicorn.Config(
        metrics.observed(api.web),
        host=settings.api.host,
        port=settings.api.port,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=settings.api.body_bytes_max,
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_INTERVAL_S,
        # Compressing each frame would triple its cost.
        ws_per_message_deflate=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
        access_log=False,
        log_config=None,
        server_header=False,
        lifespan="off",
    )
