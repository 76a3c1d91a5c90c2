"""The queue agent: commands of a partition in offset order become events and state, exactly once.

Source: argosy.commands. Writes, in one transaction per step: argosy.events, argosy.dead-letters, argosy.client-ids,
argosy.state. Deciding itself is app.domain; what a step, a tenure and a transaction are is app.streams; what the rows
are is tables/. To argosy.commands it sends `Continue`, outside of transactions, when operations are open and nothing
else moves them on.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, get_args

from app.domain.clusters import DeadLetter
from app.domain.commands import (
    CancelJobs,
    Command,
    Continue,
    CreateQueues,
    DeleteQueues,
    ExpireRuns,
    LeaseJobs,
    PreemptJobs,
    PreemptRuns,
    RejectJobs,
    ReportRuns,
    ReprioritizeJobs,
    SubmitJobs,
    UpdateQueues,
)
from app.domain.decide import Decision
from app.domain.decide import decide as decide_command
from app.domain.errors import ErrorCode
from app.domain.events import EventsRecord
from app.domain.keys import keys_read
from app.domain.records import records_of, undecided
from app.domain.rows import POSITION_KEY, PositionRow
from app.domain.state import Overlay
from app.log.codec import Undecodable, UnknownSchema, decode, encode, encode_events
from app.log.errors import LogError
from app.log.producer import LogProducer
from app.log.topics import COMMANDS, DEAD_LETTERS, EVENTS
from app.streams.app import App
from app.streams.producer import KeyValue, Place
from app.streams.step import Record, Step
from app.streams.tenure import Tenure
from tables.client_ids import client_ids_table
from tables.state import PartitionState, state_of, state_table

log = logging.getLogger(__name__)

Decide = Callable[[Overlay, Command, int, int, int], Decision]

COMPONENT = "queue-agent"
BREATHE_S = 0.01
"""so long may deciding keep the event loop from other partitions"""
BREATHS = 6
"""turns of the event loop that it gives them then: an answer of the broker takes some to become the next request"""
CONTINUE_EVERY_S = 1.0
COMMAND_TYPES = get_args(Command)


class UnknownCommandError(RuntimeError):
    """the record holds something that is no command of this version; it waits for an agent that knows it"""


def attach(app: App, decide: Decide = decide_command) -> None:
    """Adds the queue agent. `decide` is replaced by fault tests only."""
    commands = app.bytes_topic(COMMANDS)
    client_ids_table(app, COMMANDS)
    state = state_table(app, COMMANDS)
    continues = Continues(app)

    # Partitions step concurrently, and one actor must be free to receive.
    @app.agent(commands, name="queue", concurrency=app.partitions + 1)  # type: ignore[untyped-decorator]  # Faust's
    async def queue(stream: Any) -> None:
        async for step in state.steps(stream):
            async with step:
                await decide_step(step, decide)
            if step.committed and not step.more_waits:
                continues.send_if_needed(step.tenure)

    @app.timer(CONTINUE_EVERY_S, name="continue")  # type: ignore[untyped-decorator]  # Faust's
    async def move_operations_on() -> None:
        for tenure in state.tenures():
            continues.send_if_needed(tenure)


async def decide_step(step: Step, decide: Decide) -> None:
    """Takes commands until the step is full, decides them one after the other on one overlay and commits."""
    state = state_of(step)
    deciding = Deciding(step.partition, state, decide)
    async with step.turn:
        await _take_and_decide(step, deciding)
        if step.empty:
            return
        position = deciding.position(step.last_offset, step.log_time_ms)
        changes = state.changes(deciding.overlay)
    await step.commit(deciding.outgoing, changes, POSITION_KEY, position)
    state.committed(deciding.overlay, position)
    deciding.count(step)


async def _take_and_decide(step: Step, deciding: "Deciding") -> None:
    breathed = time.monotonic()
    while (record := step.take()) is not None:
        try:
            step.spend(deciding.add(record))
        except (UnknownSchema, UnknownCommandError):
            # What was acknowledged is never dropped: commit what comes before, then stop this partition.
            step.put_back()
            if step.empty:
                raise
            return
        if time.monotonic() - breathed > BREATHE_S:
            for _ in range(BREATHS):
                await asyncio.sleep(0)
            breathed = time.monotonic()


class Deciding:
    """The commands of one step: their events records and dead letters, and the overlay with what they changed."""

    def __init__(self, partition: int, state: PartitionState, decide: Decide) -> None:
        self.overlay = Overlay(state)
        self.outgoing: dict[Place, list[KeyValue]] = {}
        self._partition, self._state, self._decide = partition, state, decide
        self._items = self._events = 0
        self._refused: Counter[ErrorCode] = Counter()
        self._dead: Counter[str] = Counter()

    def add(self, record: Record) -> int:
        """Decides one command; returns its items. Raises UnknownSchema, UnknownCommandError, and what encoding
        raises."""
        try:
            command = decode(record.value)
        except Undecodable as error:
            self._undecided(record, "UNDECODABLE", ErrorCode.INVALID, str(error))
            self._items += 1
            return 1
        if not isinstance(command, COMMAND_TYPES):
            raise UnknownCommandError(f"a {type(command).__name__} is no command")
        items = items_of(command)
        self._items += items
        try:
            self._state.prefetch(*keys_read(command))
            decision = self._decide(self.overlay, command, self._partition, record.offset, record.log_time_ms)
        except Exception as error:
            # A poison command harms itself only.
            log.exception("command %d of partition %d is refused: deciding failed", record.offset, self._partition)
            self.overlay.drop()
            self._undecided(record, "INTERNAL", ErrorCode.INTERNAL, f"{type(error).__name__}: {error}", command)
            return items
        records = records_of(
            decision,
            offset=record.offset,
            log_time_ms=record.log_time_ms,
            command=type(command).__name__,
            encode_events=encode_events,
        )
        self.overlay.keep()
        self._send(records)
        for item, message in decision.failed_items:
            self._dead_letter(record, "INTERNAL", message, item, one_report(command, item))
        return items

    def position(self, offset: int, log_time_ms: int) -> PositionRow:
        """The position row behind the last command of the step."""
        now = self.overlay.row(POSITION_KEY)
        return PositionRow(
            offset=offset,
            epoch=now.epoch if isinstance(now, PositionRow) else -1,
            log_time_ms=log_time_ms,
            settings_version=now.settings_version if isinstance(now, PositionRow) else 0,
        )

    def count(self, step: Step) -> None:
        """The step is committed: what it did becomes figures."""
        metrics, partition = step.tenure.metrics, self._partition
        metrics.items.labels(partition).inc(self._items)
        metrics.decided_events.labels(partition).inc(self._events)
        for code, count in self._refused.items():
            metrics.refused.labels(partition, code).inc(count)
        for reason, count in self._dead.items():
            metrics.dead_letters.labels(partition, reason).inc(count)

    def _undecided(
        self, record: Record, reason: str, code: ErrorCode, message: str, command: Command | None = None
    ) -> None:
        name = "" if command is None else type(command).__name__
        self._send([undecided(record.offset, record.log_time_ms, name, code, message)])
        self._dead_letter(record, reason, message, -1, record.value)

    def _send(self, records: list[EventsRecord]) -> None:
        for part in records:
            key = part.blocks[0].queue.encode() if part.blocks else None
            self.outgoing.setdefault((EVENTS, self._partition), []).append((key, encode(part)))
            self._events += part.count
            if part.outcome is not None:
                self._refused.update(refusal.code for refusal in part.outcome.refusals)

    def _dead_letter(self, record: Record, reason: str, message: str, item: int, body: bytes) -> None:
        self._dead[reason] += 1
        letter = DeadLetter(
            topic=COMMANDS,
            partition=self._partition,
            offset=record.offset,
            item=item,
            component=COMPONENT,
            reason=reason,
            message=message,
            log_time_ms=record.log_time_ms,
            key=record.key,
            body=body,
        )
        origin = f"{COMMANDS}/{self._partition}/{record.offset}".encode()
        self.outgoing.setdefault((DEAD_LETTERS, 0), []).append((origin, encode(letter)))


class Continues:
    """Sends `Continue` to partitions whose operations are open while no command waits, one at a time."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._producer: LogProducer | None = None
        self._sent: dict[int, int] = {}
        """partition -> offset of the last one"""
        self._sending: dict[int, asyncio.Task[None]] = {}
        app.on_before_shutdown.connect(self._stop)

    def send_if_needed(self, tenure: Tenure) -> None:
        """Any command moves operations on, so one is enough, and none while others wait. Does not block."""
        partition = tenure.partition
        on_its_way = partition in self._sending or self._sent.get(partition, -1) > tenure.position.offset
        if tenure.live and state_of(tenure).busy and tenure.in_hand_records == 0 and not on_its_way:
            self._sending[partition] = asyncio.create_task(self._send(tenure))

    async def _send(self, tenure: Tenure) -> None:
        partition = tenure.partition
        try:
            if self._producer is None:
                self._producer = LogProducer(self._app.bootstrap, f"{COMPONENT}-continue")
                await self._producer.start()
            self._sent[partition] = (await self._producer.send(COMMANDS, partition, encode(Continue()))).offset
            tenure.metrics.continues.labels(partition).inc()
        except LogError as error:
            log.warning("operations of partition %d wait: %s", partition, error)
        finally:
            del self._sending[partition]

    async def _stop(self, _app: Any, **_: Any) -> None:
        await asyncio.gather(*self._sending.values())
        if self._producer is not None:
            await self._producer.stop()


def items_of(command: Command) -> int:
    """How many items a command has; at least 1."""
    if isinstance(command, SubmitJobs):
        count = len(command.jobs)
    elif isinstance(command, CancelJobs | ReprioritizeJobs | PreemptJobs):
        count = len(command.job_ids)
    elif isinstance(command, LeaseJobs):
        count = len(command.leases)
    elif isinstance(command, ReportRuns):
        count = len(command.reports)
    elif isinstance(command, ExpireRuns):
        count = len(command.expiries)
    elif isinstance(command, PreemptRuns):
        count = len(command.preemptions)
    elif isinstance(command, RejectJobs):
        count = len(command.rejections)
    elif isinstance(command, CreateQueues | UpdateQueues):
        count = len(command.queues)
    elif isinstance(command, DeleteQueues):
        count = len(command.names)
    else:
        count = 1
    return max(1, count)


def one_report(command: Command, item: int) -> bytes:
    """The item of a command as a command of its own, for the dead letter."""
    assert isinstance(command, ReportRuns), f"items of {type(command).__name__} are not decided one by one"
    return encode(ReportRuns(reports=(command.reports[item],)))
