"""One leadership, from the epoch that was begun to its end: rounds without a pause, and the duties of each second.

Input: the feed, an epoch, the settings. Output: commands and round records. Ends by an exception: `SteppedDown`
when somebody else leads, errors of the log when a record could not be produced.
"""

import asyncio
import logging
import time
from concurrent.futures import Executor
from contextlib import suppress

from app.domain.rows import SettingsRow
from app.log.admin import partition_count
from app.log.producer import LogProducer
from app.log.topics import ROUNDS
from app.scheduler.assumptions import Outstanding
from app.scheduler.compiling import Compiling
from app.scheduler.displacing import due_preemptions
from app.scheduler.expiry import ExpiryRules, clusters_with_runs, due_expiries
from app.scheduler.feed import Feed
from app.scheduler.last_rounds import last_tokens
from app.scheduler.metrics import SchedulerMetrics
from app.scheduler.options import SchedulerOptions
from app.scheduler.pool_loop import Leading, PoolLoop, Restrictions
from app.scheduler.pool_rules import pool_rules
from app.scheduler.publisher import FaultSwitches, Publisher
from app.scheduler.round_input import PoolInput
from app.scheduler.run_ids import RunIds
from app.scheduler.settings_duty import settings_due
from app.scheduler.silence import Silence
from app.scheduler.submit_check import SubmitChecks, answers_of
from app.scheduler.takeover import Epoch

DUTY_INTERVAL_S = 1.0
SECOND_STEP_INTERVAL_S = 0.05

log = logging.getLogger(__name__)


class SteppedDown(RuntimeError):
    """another scheduler leads, or may"""


class Leader:
    """Made by `Leader.begin`; `run` goes on until the leadership ends."""

    def __init__(
        self,
        options: SchedulerOptions,
        feed: Feed,
        epoch: Epoch,
        leading: Leading,
        compiling: Compiling,
    ) -> None:
        self._options, self._feed, self._epoch, self._leading = options, feed, epoch, leading
        self._compiling = compiling
        settings = options.scheduler
        rules_of = pool_rules(settings)
        inputs = {pool: PoolInput(pool, rules, feed.world) for pool, rules in rules_of.items()}
        self._checks = SubmitChecks(feed.world, inputs, settings.submit_check)
        leading = leading._replace(inconsistent=self._checks.inconsistent)
        self.pools = {pool: PoolLoop(pool, rules, feed.world, leading) for pool, rules in rules_of.items()}
        self._silence = Silence(feed.world.clusters, feed.cluster_partitions, time.monotonic())
        self._rules = ExpiryRules(
            silent_s=settings.cluster_silent_expire_s,
            unreported_s=settings.run_unreported_s,
            age_max_s=settings.job_age_max_s,
        )
        self._restrictions = Restrictions(frozenset(), frozenset())
        self._settings_sent: list[Outstanding] = []
        self._stepped = asyncio.Event()
        self._stepped.set()
        feed.on_position = self._position_came

    @classmethod
    async def begin(
        cls,
        options: SchedulerOptions,
        feed: Feed,
        epoch: Epoch,
        producer: LogProducer,
        metrics: SchedulerMetrics,
        executor: Executor,
        faults: FaultSwitches,
        compiling: Compiling,
    ) -> "Leader":
        """Prepares the first round. Raises errors of the log."""
        partitions = await asyncio.to_thread(partition_count, options.bootstrap, ROUNDS)
        publisher = Publisher(producer, epoch.number, epoch.assumptions, feed.world.state.jobs, partitions, faults)
        leading = Leading(
            epoch=epoch.number,
            assumptions=epoch.assumptions,
            publisher=publisher,
            metrics=metrics,
            new_id=RunIds(),
            executor=executor,
            is_compiled=lambda: not compiling.running,
            inconsistent=lambda members, now_s: None,
        )
        leader = cls(options, feed, epoch, leading, compiling)
        # The feed went on while the epoch began.
        for partition in range(options.partitions):
            leader._position_came(partition, feed.world.state.position(partition).offset)
        if any(pool.limited for pool in leader.pools.values()):
            now_ms = time.time() * 1000
            for name, last in (await last_tokens(options.bootstrap)).items():
                if name in leader.pools:
                    leader.pools[name].restore_tokens(last, (now_ms - last.started_ms) / 1000)
        return leader

    async def run(self) -> None:
        """Leads. Raises SteppedDown, errors of the log."""
        self._feed.changed.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._rounds(), name="rounds")
                group.create_task(self._second_steps(), name="second steps")
                group.create_task(self._duties(), name="duties")
                group.create_task(self._check_submissions(), name="submit check")
        except BaseExceptionGroup as errors:
            rest = errors.split(SteppedDown)[1]
            if rest is None:
                raise SteppedDown(str(errors.exceptions[0])) from None
            # A produce that failed stands beside it; it weighs more.
            raise
        finally:
            self._feed.on_position = None
            self._checks.close()
            for pool in self.pools.values():
                pool.close()

    def restrict(self) -> Restrictions:
        """Who gets nothing new now."""
        now_s, clusters = time.monotonic(), self._feed.world.clusters.by_name.values()
        idle_s, assumptions = self._options.scheduler.cluster_silent_idle_s, self._leading.assumptions
        self._restrictions = Restrictions(
            idle=frozenset(cluster.name for cluster in clusters if now_s - cluster.heard_s > idle_s),
            closed=frozenset(p for p in range(self._options.partitions) if assumptions.closed(p, now_s)),
        )
        return self._restrictions

    async def _rounds(self) -> None:
        interval_s = self._options.scheduler.round_interval_ms / 1000
        changed, pools = self._feed.changed, self.pools.values()
        while True:
            dues_s = [due_s for pool in pools if (due_s := pool.full_due_in_s()) is not None]
            with suppress(TimeoutError):
                async with asyncio.timeout(min(dues_s, default=None)):
                    await changed.wait()
            if changed.is_set():
                changed.clear()
                for pool in pools:
                    pool.changed()
            started_s, pause_s = time.monotonic(), 0.0
            for pool in pools:
                self._check_leading()
                pause_s += await pool.run_round(self.restrict())
            await asyncio.sleep(max(started_s + interval_s - time.monotonic(), pause_s, 0.0))

    async def _second_steps(self) -> None:
        """Preempts what leases that were applied displace."""
        leading = self._leading
        while True:
            await self._stepped.wait()
            self._stepped.clear()
            due = due_preemptions(self._feed.world.state, leading.assumptions)
            if due:
                self._check_leading()
                await leading.publisher.preemptions(due)
            await asyncio.sleep(SECOND_STEP_INTERVAL_S)

    async def _check_submissions(self) -> None:
        """Rejects what fits nowhere."""
        await self._compiling.wait()
        self._feed.changed.set()
        checks, leading = self._checks, self._leading
        while True:
            if self._feed.at_end:
                asked = checks.ask(time.monotonic())
                if asked is not None:
                    checks.take(asked, await asyncio.to_thread(answers_of, asked), time.monotonic())
                due = checks.due(time.monotonic(), leading.assumptions.ending_runs)
                if due:
                    self._check_leading()
                    await leading.publisher.rejections(due)
                    leading.metrics.rejected.inc(sum(map(len, due.values())))
            await asyncio.sleep(DUTY_INTERVAL_S)

    async def _duties(self) -> None:
        publisher, assumptions = self._leading.publisher, self._leading.assumptions
        while True:
            self._check_leading()
            now_s, state = time.monotonic(), self._feed.world.state
            self._silence.tick(now_s, at_end=self._feed.at_end, relevant=clusters_with_runs(state))
            due = due_expiries(state, self._silence, assumptions, self._rules, now_s)
            if due:
                await publisher.expiries(due)
                for items in due.values():
                    for each in items:
                        self._leading.metrics.expired.labels(each.expiry.kind).inc()
            await self._send_settings()
            before = self._restrictions
            if self.restrict() != before or any(pool.limited for pool in self.pools.values()):
                self._feed.changed.set()
            self._count()
            await asyncio.sleep(DUTY_INTERVAL_S)

    async def _send_settings(self) -> None:
        """Lets every partition decide by this leader's settings."""
        self._settings_sent = [each for each in self._settings_sent if not self._is_decided(each)]
        waiting = {each.partition for each in self._settings_sent}
        settings = self._options.scheduler
        wanted = SettingsRow(
            version=0, max_attempts=settings.max_attempts, client_id_retention_ms=settings.client_id_retention_ms
        )
        due = settings_due(self._feed.world.state, wanted)
        if due and not waiting:
            self._settings_sent += await self._leading.publisher.settings(due)
            log.info("settings of version %d go to partitions %s", next(iter(due.values())).version, sorted(due))

    def _is_decided(self, command: Outstanding) -> bool:
        return 0 <= command.offset <= self._feed.world.state.position(command.partition).offset

    def _check_leading(self) -> None:
        highest = max(self._feed.highest_claim, self._feed.world.state.highest_epoch)
        if highest > self._epoch.number:
            raise SteppedDown(f"epoch {highest} was begun, this leader's is {self._epoch.number}")

    def _position_came(self, partition: int, offset: int) -> None:
        self._stepped.set()
        if self._leading.assumptions.advanced(partition, offset, time.monotonic()):
            self._feed.changed.set()

    def _count(self) -> None:
        metrics = self._leading.metrics
        metrics.undecided.set(len(self._leading.assumptions.undecided()))
        metrics.silent_clusters.set(len(self._restrictions.idle))
        for state, number in self._feed.world.state.counts().items():
            metrics.jobs.labels(state).set(number)
