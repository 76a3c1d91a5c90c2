"""The scheduler process: feed, standing by, leading.

Input: settings, or plain options. Output: an exit code (app.streams.exits). It stands by with a hot feed as a
member of a consumer group; whoever owns the group's one partition leads. SIGTERM and SIGINT leave the group, so a
standby leads at once.
"""

import asyncio
import gc
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from app.health import HealthServer
from app.log.errors import LogError, TopicMismatch
from app.log.membership import Membership
from app.log.producer import LogProducer
from app.log.topics import LEADERSHIP, check_topics, load_topics
from app.scheduler.compiling import Compiling
from app.scheduler.feed import Feed, FeedTooOld
from app.scheduler.leader import Leader, SteppedDown
from app.scheduler.metrics import SchedulerMetrics
from app.scheduler.options import SchedulerOptions, options_of
from app.scheduler.publisher import FaultSwitch, FaultSwitches
from app.scheduler.round_dump import PATH, RoundDump
from app.scheduler.state import StateUnreadable
from app.scheduler.takeover import EpochTooLow, take_over
from app.settings import Settings
from app.streams.exits import Exit, leave

GROUP = "argosy-scheduler"
OWNER_CHECK_S = 1.0
LOAD_CHECK_S = 0.05
REGAIN_WAIT_S = 10.0

log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT; see `run_scheduler`."""
    await run_scheduler(options_of(settings))


async def run_scheduler(options: SchedulerOptions) -> None:
    """Returns after SIGTERM or SIGINT. Leaves the process with REFUSED when the installation is not as it must be, with
    FAILED on anything else, above all when a record could not be produced."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    process = Scheduler(options)
    scheduler = asyncio.create_task(process.run())
    asked = asyncio.create_task(ending.wait())
    await asyncio.wait([scheduler, asked], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    scheduler.cancel()
    try:
        await scheduler
    except asyncio.CancelledError:
        process.compiling.leave_now()
    except BaseException as error:
        refused = _find(error, (TopicMismatch, EpochTooLow, StateUnreadable))
        if refused is not None:
            leave(Exit.REFUSED, str(refused))
        cause = _find(error, (LogError, FeedTooOld)) or error
        leave(Exit.FAILED, f"{type(cause).__name__}: {cause}", error)


class Scheduler:
    """One process, made inside the event loop. `run` ends by an error or by being cancelled."""

    def __init__(self, options: SchedulerOptions) -> None:
        self._options = options
        self._metrics = SchedulerMetrics(CollectorRegistry())
        self._feed = Feed(options, self._metrics)
        self._faults = FaultSwitches(
            FaultSwitch(options.fault_stop_before_send), FaultSwitch(options.fault_stop_before_preempt)
        )
        self.compiling = Compiling()
        self._beginning = False
        self._leader: Leader | None = None

    def troubles(self) -> list[str]:
        """Why this process is not ready; empty = ready."""
        return self._feed.troubles() + (["the epoch is being begun"] if self._beginning else [])

    async def run(self) -> None:
        """Stands by and leads, again and again."""
        options = self._options
        async with AsyncExitStack() as stack:
            pages = {PATH: RoundDump(lambda: self._leader).page}
            health = HealthServer(
                options.health_host, options.health_port, self.troubles, self._metrics.registry, pages
            )
            await health.start()
            stack.push_async_callback(health.stop)
            await asyncio.to_thread(check_topics, options.bootstrap, load_topics(), options.partitions)
            await self._feed.start()
            stack.push_async_callback(self._feed.stop)
            executor = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="round"))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed.run(), name="feed")
                group.create_task(self._stand_by(executor), name="leadership")

    async def _stand_by(self, executor: ThreadPoolExecutor) -> None:
        # A million rows are kept for good: the collector need not look at them again and again.
        gc.disable()
        while not self._feed.loaded:
            await asyncio.sleep(LOAD_CHECK_S)
        gc.freeze()
        gc.enable()
        scheduler = self._options.scheduler
        membership = Membership(
            self._options.bootstrap,
            GROUP,
            LEADERSHIP,
            client_id=self._options.candidate,
            session_timeout_ms=int(scheduler.leader_session_timeout_s * 1000),
        )
        await membership.start()
        log.info("%s stands by", self._options.candidate)
        try:
            while True:
                while not membership.owner:
                    await membership.changed(OWNER_CHECK_S)
                await self._lead_while_owner(membership, executor)
        finally:
            await membership.stop()

    async def _lead_while_owner(self, membership: Membership, executor: ThreadPoolExecutor) -> None:
        tenure = membership.tenure
        leading = asyncio.create_task(self._lead(executor))
        try:
            while membership.owner and membership.tenure == tenure and not leading.done():
                changed = asyncio.create_task(membership.changed(OWNER_CHECK_S))
                await asyncio.wait([leading, changed], return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
            if not leading.done():
                log.warning("%s no longer owns the leadership", self._options.candidate)
                return
            leading.result()
        except SteppedDown as error:
            log.warning("%s steps down: %s", self._options.candidate, error)
            # The group will say soon who owns the partition now.
            await membership.changed(REGAIN_WAIT_S)
        finally:
            leading.cancel()
            await asyncio.wait([leading])
            self._metrics.leader.set(0)
            self._metrics.epoch.set(-1)
            self._beginning = False

    async def _lead(self, executor: ThreadPoolExecutor) -> None:
        options, feed = self._options, self._feed
        self._beginning = True
        producer = LogProducer(options.bootstrap, options.candidate, deadline_s=options.delivery_timeout_s)
        await producer.start()
        try:
            epoch = await take_over(producer, feed.world.state, options.bootstrap, options.candidate)
            leader = await Leader.begin(
                options, feed, epoch, producer, self._metrics, executor, self._faults, self.compiling
            )
            self._beginning = False
            self._leader = leader
            self._metrics.leader.set(1)
            self._metrics.epoch.set(epoch.number)
            log.info(
                "%s leads with epoch %d; %d leases of earlier leaders are undecided",
                options.candidate,
                epoch.number,
                epoch.undecided_leases,
            )
            await leader.run()
        finally:
            self._leader = None
            await producer.stop()


def _find(error: BaseException, kinds: tuple[type[BaseException], ...]) -> BaseException | None:
    """The first error of one of the kinds, inside of groups too."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := _find(each, kinds)) is not None), None)
    return error if isinstance(error, kinds) else None
