"""The rounds of one pool under one leader: prepare, decide off the event loop, send, record.

Input: the world, the leader's assumptions, what is closed. Output: leases, preemptions and round records through the
publisher. Where a full round takes long, cheap rounds stand between full ones: those offer only what came or may go
since the round before (backlog.py) and do not balance, so a job that has room need not wait for a full round.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from app.domain.rounds import QueueShare
from app.scheduler.assumptions import Assumptions
from app.scheduler.backlog import Backlog, backlog_of
from app.scheduler.buckets import Bucket, QueueBuckets
from app.scheduler.job_columns import QUEUED
from app.scheduler.last_rounds import LastTokens
from app.scheduler.metrics import SchedulerMetrics
from app.scheduler.pool_rules import PoolRules
from app.scheduler.publisher import Publisher
from app.scheduler.room import Slots
from app.scheduler.round_commands import RoundCommands, commands_of, inconsistent_gangs
from app.scheduler.round_input import Free, Moment, PoolInput, PreparedRound, World
from app.scheduler.round_record import RoundHeader, queue_shares, record_of
from app.scheduling.decisions import Decisions
from app.scheduling.memory import Memory
from app.scheduling.resources import Int64
from app.scheduling.round import Round
from app.scheduling.schedule import schedule

KIND_FULL = "full"
KIND_CHEAP = "cheap"
ALTERNATE_ABOVE_S = 0.1
"""a pool whose full rounds take longer has cheap ones between them"""
UNCOMPILED_MAX = 5_000
"""jobs that a round offers before the compiler is done"""


class Restrictions(NamedTuple):
    """Who gets nothing new: silent clusters, partitions that do not answer."""

    idle: frozenset[str]
    closed: frozenset[int]


class Leading(NamedTuple):
    """What the rounds of one epoch share. new_id: ULIDs; executor: where rounds are decided; is_compiled: whether the
    compiler is done; inconsistent: takes members (id, attempt, reason) of gangs that contradict themselves, and
    when."""

    epoch: int
    assumptions: Assumptions
    publisher: Publisher
    metrics: SchedulerMetrics
    new_id: Callable[[], bytes]
    executor: Executor
    is_compiled: Callable[[], bool]
    inconsistent: Callable[[list[tuple[bytes, int, str]], float], None]


class _Decided(NamedTuple):
    decisions: Decisions
    backlog: Backlog | None
    seconds: float


class PoolLoop:
    """One pool. `run_round` is called again and again."""

    def __init__(self, pool: str, rules: PoolRules, world: World, leading: Leading) -> None:
        self.pool = pool
        self._rules, self._world, self._leading = rules, world, leading
        self._input = PoolInput(pool, rules, world)
        limiter = rules.settings.limiter
        self._bucket = None if limiter is None else Bucket.full(limiter, time.monotonic())
        self._queue_buckets = QueueBuckets(rules.settings.queue_limiter)
        self._shares: tuple[QueueShare, ...] | None = None
        self._was_empty = False
        self._turn = 0
        self._backlog: Backlog | None = None
        self._memories = {False: Memory(), True: Memory()}
        self._watch = world.state.jobs.watch()
        self._changed = True
        self._full_due_s = 0.0

    @property
    def limited(self) -> bool:
        """Whether time alone may let a job go that waited."""
        return self._bucket is not None or self._rules.settings.queue_limiter is not None

    def close(self) -> None:
        """No more rounds."""
        self._world.state.jobs.unwatch(self._watch)

    def restore_tokens(self, last: LastTokens, age_s: float) -> None:
        """What the leader before had left, so long ago."""
        at_s = time.monotonic() - max(0.0, age_s)
        if self._bucket is not None and last.pool is not None:
            self._bucket.tokens, self._bucket.at_s = last.pool, at_s
        self._queue_buckets.restore(last.queues, at_s)

    def changed(self) -> None:
        """Something came that a full round could decide otherwise for."""
        self._changed = True

    def full_due_in_s(self) -> float | None:
        """When a full round should begin though nothing more changes; None = never."""
        if self._backlog is None or not self._changed:
            return None
        return max(0.0, self._full_due_s - time.monotonic())

    def round_now(self, restrictions: Restrictions) -> Round:
        """A full round as of now, to look at: nothing is decided."""
        return self._input.prepare(self._moment(restrictions, time.monotonic())).round

    async def run_round(self, restrictions: Restrictions) -> float:
        """One round, if there is anything to decide; returns the seconds to pause before the next of any pool. Raises
        errors of the log."""
        started_s = time.monotonic()
        backlog = self._backlog
        if len(self._world.state.jobs) > UNCOMPILED_MAX and not self._leading.is_compiled():
            return await self._early_round(restrictions, started_s)
        if backlog is None or (self._changed and started_s >= self._full_due_s):
            return await self._full_round(restrictions, started_s)
        return await self._cheap_round(backlog, restrictions, started_s)

    async def _early_round(self, restrictions: Restrictions, started_s: float) -> float:
        """A cheap round of the oldest jobs only, while the compiler still works."""
        header, jobs = self._header(KIND_CHEAP), self._world.state.jobs
        self._watch.forget()

        def choose(_free: Free, _needs: Int64, _columns: tuple[str, ...]) -> Slots:
            waiting = np.flatnonzero(jobs.live[: jobs.count] & (jobs.state[: jobs.count] == QUEUED))
            if len(waiting) > UNCOMPILED_MAX:
                oldest = np.argpartition(jobs.submitted_ms[waiting], UNCOMPILED_MAX)[:UNCOMPILED_MAX]
                waiting = np.sort(waiting[oldest])
            return waiting

        prepared = self._input.prepare_cheap(self._moment(restrictions, started_s), choose)
        prepared_s = time.monotonic() - started_s
        if prepared is None:
            return prepared_s * self._rules.fractions.pause_always
        decided = await self._decide(prepared, prepared_s)
        computed_s = await self._finish(header, prepared, decided, started_s, prepared_s)
        return computed_s * self._rules.fractions.pause_always

    async def _full_round(self, restrictions: Restrictions, started_s: float) -> float:
        header = self._header(KIND_FULL)
        self._changed = False
        self._watch.forget()
        prepared = self._input.prepare(self._moment(restrictions, started_s))
        prepared_s = time.monotonic() - started_s
        self._count_input(prepared, prepared_s)
        fractions = self._rules.fractions
        if not prepared.queued and self._was_empty and not prepared.overdrawn:
            self._backlog = None
            return prepared_s * fractions.pause_always
        self._was_empty = not prepared.queued
        decided = await self._decide(prepared, prepared_s)
        self._backlog = decided.backlog
        computed_s = await self._finish(header, prepared, decided, started_s, prepared_s)
        if decided.backlog is None:
            return computed_s * fractions.pause_always
        self._full_due_s = started_s + computed_s / fractions.full
        return 0.0

    async def _cheap_round(self, backlog: Backlog, restrictions: Restrictions, started_s: float) -> float:
        header = self._header(KIND_CHEAP)
        changed = self._watch.take()

        def choose(free: Free, needs: Int64, columns: tuple[str, ...]) -> Slots:
            return (
                backlog.offer(changed, free, needs, self._world.state.jobs)
                if columns == backlog.columns
                else changed[:0]
            )

        prepared = self._input.prepare_cheap(self._moment(restrictions, started_s), choose)
        prepared_s = time.monotonic() - started_s
        if prepared is None:
            if self._input.nodes().resources.names != backlog.columns:
                # What was free is said in other columns now.
                self._changed, self._full_due_s = True, 0.0
            return prepared_s * self._rules.fractions.pause_cheap
        decided = await self._decide(prepared, prepared_s)
        backlog.after(prepared, decided.decisions, self._world.state.jobs)
        computed_s = await self._finish(header, prepared, decided, started_s, prepared_s)
        return computed_s * self._rules.fractions.pause_cheap

    async def _decide(self, prepared: PreparedRound, prepared_s: float) -> _Decided:
        def work() -> _Decided:
            began_s = time.monotonic()
            decisions = schedule(prepared.round, memory=self._memories[prepared.cheap])
            seconds = time.monotonic() - began_s
            backlog = None
            alternates = prepared_s + seconds > ALTERNATE_ABOVE_S and not prepared.round.config.prefer_large_jobs
            if alternates and not prepared.cheap:
                backlog = backlog_of(prepared, decisions)
            return _Decided(decisions, backlog, seconds)

        return await asyncio.get_running_loop().run_in_executor(self._leading.executor, work)

    async def _finish(
        self, header: RoundHeader, prepared: PreparedRound, decided: _Decided, started_s: float, prepared_s: float
    ) -> float:
        """Sends and records what was decided; returns the seconds of computing that the round took."""
        leading, state, decisions = self._leading, self._world.state, decided.decisions
        self._remember_tokens(prepared, decisions)
        commands = commands_of(prepared, decisions, state, leading.new_id)
        decided_s = time.monotonic()
        leading.inconsistent(inconsistent_gangs(prepared, decisions), decided_s)
        await leading.publisher.leases(header.round_id, commands.leases)
        await leading.publisher.preemptions(commands.preemptions)
        sent_s = time.monotonic()
        timings = {"prepare": prepared_s, "schedule": decided.seconds, "send": sent_s - decided_s}
        header = header.with_timings({name: int(seconds * 1_000_000) for name, seconds in timings.items()})
        waiting = None if self._backlog is None else self._backlog.waiting + len(decisions.scheduled)
        shares = self._shares if prepared.cheap else queue_shares(prepared.round, decisions)
        tell = shares if shares != self._shares else ()
        record = await asyncio.get_running_loop().run_in_executor(
            leading.executor, record_of, header, prepared, decisions, commands, tell or (), waiting, self._turn
        )
        self._turn += 1
        recorded_s = time.monotonic()
        await leading.publisher.round(record)
        self._shares = shares
        self._count_round(header.kind, commands, decided.seconds, sent_s - decided_s)
        return decided_s - started_s + recorded_s - sent_s

    def _header(self, kind: str) -> RoundHeader:
        state, leading = self._world.state, self._leading
        return RoundHeader(
            round_id=leading.new_id(),
            epoch=leading.epoch,
            kind=kind,
            started_ms=int(time.time() * 1000),
            inputs={partition: state.position(partition).offset for partition in range(state.partitions)},
            undecided=leading.assumptions.undecided(),
            config_hash=self._rules.config_hash,
            timings_us={},
        )

    def _moment(self, restrictions: Restrictions, now_s: float) -> Moment:
        return Moment(
            assumptions=self._leading.assumptions,
            idle=restrictions.idle,
            closed=restrictions.closed,
            limiter=None if self._bucket is None else self._bucket.limiter(now_s),
            queue_limiters=self._queue_buckets.limiters(list(self._world.state.queues), now_s),
        )

    def _remember_tokens(self, prepared: PreparedRound, decisions: Decisions) -> None:
        if self._bucket is not None and decisions.tokens is not None:
            self._bucket.left(decisions.tokens)
        if self._rules.settings.queue_limiter is not None:
            for queue, tokens in zip(prepared.round.queues, decisions.shares.tokens.tolist(), strict=True):
                self._queue_buckets.left(queue.name, tokens)

    def _count_input(self, prepared: PreparedRound, seconds: float) -> None:
        metrics = self._leading.metrics
        metrics.prepare_seconds.labels(self.pool).observe(seconds)
        metrics.queued.labels(self.pool).set(prepared.queued)
        metrics.running.labels(self.pool).set(prepared.running)
        metrics.nodes.labels(self.pool).set(len(prepared.round.nodes))
        metrics.parked.labels(self.pool).set(sum(prepared.parked.values()))

    def _count_round(self, kind: str, commands: RoundCommands, deciding_s: float, sending_s: float) -> None:
        metrics = self._leading.metrics
        metrics.rounds.labels(self.pool).inc()
        metrics.kinds.labels(self.pool, kind).inc()
        metrics.round_seconds.labels(self.pool).observe(deciding_s)
        metrics.send_seconds.observe(sending_s)
        metrics.placed.labels(self.pool).inc(sum(map(len, commands.leases.values())))
        metrics.preempted.labels(self.pool).inc(len(commands.preempted))
