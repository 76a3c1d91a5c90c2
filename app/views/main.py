"""The process of a view app: finds its views, checks the installation, reads its topic and writes, until a signal.

Inputs: settings, the app's name. Output: an exit code (app.streams.exits).
"""

from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

from app.log.admin import partition_count, topic_id
from app.log.errors import LogUnavailable, TopicMismatch
from app.log.reader import LogReader, Record
from app.settings import Settings
from app.streams.exits import Exit, leave
from app.streams.view_worker import ViewOptions
from app.streams.view_worker import run as run_worker
from app.views.discovery import ViewsNotFound, views_of
from app.views.garbage import collect_rarely
from app.views.metrics import ViewMetrics
from app.views.runner import ViewRunner

READ_RECORDS_MAX = 10_000
READ_TIMEOUT_MS = 200


def run(settings: Settings, app: str) -> NoReturn:
    """Runs the views of one app; never returns."""
    bootstrap, mine = settings.kafka.bootstrap, settings.views
    try:
        views = views_of(app)
        topic = views[0].topic
        partitions, identity = partition_count(bootstrap, topic), topic_id(bootstrap, topic)
    except (ViewsNotFound, TopicMismatch) as error:
        leave(Exit.REFUSED, str(error))
    except LogUnavailable as error:
        leave(Exit.FAILED, str(error))
    metrics = ViewMetrics(app)
    runner = ViewRunner(
        settings.postgres.url,
        views,
        metrics=metrics,
        topic_id=identity,
        read_all=lambda partition: read_all(bootstrap, topic, partition),
    )
    options = ViewOptions(
        bootstrap=bootstrap,
        partitions=partitions,
        topic_ids={topic: identity},
        directory=mine.data_dir / app,
        instance=f"view-{app}",
        health_host=settings.health.host,
        health_port=settings.health.port,
        session_timeout_s=mine.session_timeout_s,
        events_max=mine.batch_events_max,
        linger_ms=mine.linger_ms,
    )
    collect_rarely()
    run_worker(options, runner, metrics.registry)


async def read_all(bootstrap: str, topic: str, partition: int) -> AsyncIterator[Sequence[Record]]:
    """What a partition holds at this moment, from its beginning to its end, read committed."""
    reader = LogReader(bootstrap, topic, [partition], {partition: 0})
    await reader.start()
    try:
        while True:
            some = await reader.poll(READ_RECORDS_MAX, READ_TIMEOUT_MS)
            if some:
                yield some
            elif reader.at_end:
                return
    finally:
        await reader.stop()
