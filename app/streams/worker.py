"""The process of the queue agent: checks the installation, finds agents by name, runs Faust until a signal comes.

Inputs: settings, or plain options. Outputs: an exit code (app.streams.exits). Health and metrics are served from the
first moment on, so that a long restore can be watched.
"""

import gc
import importlib
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from faust.worker import Worker
from mode import Service
from prometheus_client import CollectorRegistry

from app.health import HealthServer
from app.log.admin import topic_id
from app.log.errors import LogUnavailable, TopicMismatch, TopicsFileInvalid
from app.log.topics import CLIENT_IDS, COMMANDS, STATE, check_topics, load_topics
from app.streams.app import App
from app.streams.exits import Exit, leave
from app.streams.metrics import StreamMetrics
from app.streams.step import StepLimits

if TYPE_CHECKING:
    from app.settings.tree import Settings

log = logging.getLogger(__name__)

GROUP = "argosy-queue"
QUEUE_AGENT = "agents.queue"
GC_THRESHOLD = 100_000
QUIET_LOGGERS = ("faust", "mode", "aiokafka")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAgentOptions:
    """What a queue agent needs to know. agent: dotted name of a module with `attach(app)`; health_port 0 = any free
    one."""

    bootstrap: str
    partitions: int
    directory: Path
    instance: str
    agent: str = QUEUE_AGENT
    health_host: str = "127.0.0.1"
    health_port: int = 0
    session_timeout_s: float = 10.0
    restore_pause_s: float = 0.0
    step_limits: StepLimits = field(default_factory=StepLimits)


def run_queue_agent(settings: "Settings") -> NoReturn:
    """Runs until SIGTERM or SIGINT; see `run`."""
    mine = settings.queue_agent
    run(
        QueueAgentOptions(
            bootstrap=settings.kafka.bootstrap,
            partitions=settings.kafka.partitions,
            directory=mine.data_dir,
            instance=mine.instance,
            health_host=settings.health.host,
            health_port=settings.health.port,
            session_timeout_s=mine.session_timeout_s,
            restore_pause_s=mine.restore_pause_s,
            step_limits=StepLimits(records=mine.step_records_max, bytes=mine.step_bytes_max),
        )
    )


def run(options: QueueAgentOptions) -> NoReturn:
    """Never returns: exits with 0 after SIGTERM or SIGINT, else with a code of app.streams.exits."""
    for name in QUIET_LOGGERS:
        # They tell of every step of a start and of a rebalance, and tenures say what came of it.
        logging.getLogger(name).setLevel(logging.WARNING)
    app = make_app(options)
    # A step makes and drops ten thousands of objects without cycles: looking for cycles that often costs 15 %.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)
    worker = Worker(
        app,
        HealthService(app, options),
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
        workdir=Path.cwd(),
        loglevel="INFO",
    )
    worker.spinner = None
    worker.execute_from_commandline()
    sys.exit(0)


def make_app(options: QueueAgentOptions) -> App:
    """The application with its agent attached. Leaves the process when the installation is not as it must be."""
    try:
        check_topics(options.bootstrap, load_topics(), options.partitions)
        ids = {topic: topic_id(options.bootstrap, topic) for topic in (COMMANDS, STATE, CLIENT_IDS)}
    except (TopicMismatch, TopicsFileInvalid) as error:
        leave(Exit.REFUSED, str(error))
    except LogUnavailable as error:
        leave(Exit.FAILED, str(error))
    app = App(
        GROUP,
        bootstrap=options.bootstrap,
        directory=options.directory,
        instance=options.instance,
        partitions=options.partitions,
        topic_ids=ids,
        metrics=StreamMetrics(CollectorRegistry()),
        session_timeout_s=options.session_timeout_s,
        step_limits=options.step_limits,
        restore_pause_s=options.restore_pause_s,
    )
    attach(app, options.agent)
    return app


def attach(app: App, name: str) -> None:
    """Lets the agent with this dotted name add itself. Strict: what does not import or attach stops the process."""
    try:
        importlib.import_module(name).attach(app)
    except Exception as error:
        leave(Exit.REFUSED, f"agent {name} cannot be attached: {type(error).__name__}: {error}", error)


class HealthService(Service):  # type: ignore[misc]  # mode has no types
    """Serves health and metrics inside the application's event loop."""

    def __init__(self, app: App, options: QueueAgentOptions, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        assert app.metrics is not None
        self._server = HealthServer(options.health_host, options.health_port, app.troubles, app.metrics.registry)

    async def on_start(self) -> None:
        await self._server.start()

    async def on_stop(self) -> None:
        await self._server.stop()
