"""A partition of argosy.events in memory with a view of it that lags, for tests of streams."""

import itertools
from dataclasses import dataclass, field

from app.api.coordinates import Coordinates
from app.api.service.stream import StreamService
from app.api.tail.channels import ChannelKey
from app.api.tail.tail import Tail
from app.db.queries.job_set_events import EventsBlock, EventsPage
from app.db.queries.queues import QueueRecord
from app.db.queries.reached import Reached
from app.domain.commands import Principal, QueueSpec
from app.domain.events import Block, Event, EventsRecord
from app.domain.lifecycle import EventKind, JobState
from app.domain.positions import Position
from app.domain.routing import partition_of_name
from app.log import codec
from app.log.topics import EVENTS
from tests.unit.api.memory_log import PARTITIONS, MemoryLog

QUEUE = "q"
INCARNATION = 0
WATCHED = "watched"
PARTITION = partition_of_name(QUEUE, PARTITIONS)
COORDINATES = Coordinates("installation-of-tests")
EVERYBODY = Principal(user="anybody", verbs=("watch_all_events",))


def event(ordinal: int, kind: EventKind = EventKind.RUNNING, job: int = 0) -> Event:
    """An event of one of a few jobs."""
    return Event(
        ordinal=ordinal,
        kind=kind,
        job_id=job.to_bytes(16, "big"),
        before=JobState.PENDING,
        after=JobState.RUNNING,
        attempt=0,
    )


@dataclass
class Partition:
    """Writes commands' events to the log, and is the view history of them up to `shown` records."""

    log: MemoryLog
    written: list[tuple[int, EventsRecord]] = field(default_factory=list)
    shown: int = 0
    first_offset: int = 0
    queries: int = 0
    _offsets: "itertools.count[int]" = field(default_factory=itertools.count)

    def write(self, counts: list[int], job_set: str = WATCHED, kind: EventKind = EventKind.RUNNING) -> None:
        """One command with so many events in each of its records."""
        offset, ordinal = next(self._offsets), 0
        for number, count in enumerate(counts):
            events = [event(ordinal + at, kind, at) for at in range(count)]
            block = Block(
                queue=QUEUE,
                incarnation=INCARNATION,
                job_set=job_set,
                count=count,
                body=codec.encode_events(events),
            )
            record = EventsRecord(
                offset=offset,
                first_ordinal=ordinal,
                count=count,
                last=number == len(counts) - 1,
                log_time_ms=1_700_000_000_000 + offset,
                command="ReportRuns",
                blocks=(block,) if count else (),
            )
            ordinal += count
            at = self.log.append(EVENTS, PARTITION, codec.encode(record), gap=int(record.last))
            self.written.append((at, record))

    def positions(self, kind: EventKind | None = None) -> list[tuple[int, int]]:
        """(offset, ordinal) of every event of the watched job set."""
        return [
            (record.offset, each.ordinal)
            for _, record in self.written
            for block in record.blocks
            if block.job_set == WATCHED
            for each in codec.decode_events(block.body)
            if kind is None or each.kind is kind
        ]

    async def page(self, key: ChannelKey, partition: int, after: Position | None, limit: int) -> EventsPage:
        """As app.db.queries.job_set_events does it."""
        self.queries += 1
        start = after.offset if after is not None else 0
        found = [
            EventsBlock(
                offset=record.offset,
                first_ordinal=record.first_ordinal,
                count=block.count,
                log_time_ms=record.log_time_ms,
                body=block.body,
            )
            for _, record in self.written[: self.shown]
            for block in record.blocks
            if block.job_set == key.job_set and record.offset >= max(start, self.first_offset)
        ]
        return EventsPage(blocks=tuple(found[:limit]), more=len(found) > limit, reached=self._reached())

    def _reached(self) -> Reached | None:
        if not self.shown:
            return None
        source_offset, last = self.written[self.shown - 1]
        return Reached(
            partition=PARTITION,
            position=last.offset if last.last else last.offset - 1,
            next_ordinal=0 if last.last else last.first_ordinal + last.count,
            source_offset=source_offset,
            first_offset=self.first_offset,
            log_time_ms=last.log_time_ms,
        )

    async def watched(self, name: str, principal: Principal, *, incarnation: int = -1) -> QueueRecord:
        """Everybody may watch the one queue that there is."""
        spec = QueueSpec(name=name)
        return QueueRecord(name=name, partition=PARTITION, incarnation=INCARNATION, created_ms=0, spec=spec)


def make_tail(log: MemoryLog, *, buffer_bytes_max: int = 64 << 20) -> Tail:
    return Tail(
        log,
        PARTITIONS,
        decode_record=lambda value: codec.decode_as(EventsRecord, value),
        decode_events=codec.decode_events,
        buffer_bytes_max=buffer_bytes_max,
    )


def make_service(
    partition: Partition, tail: Tail, *, streams_max: int = 100, heartbeat_interval_s: float = 15.0
) -> StreamService:
    return StreamService(
        partition,
        partition,
        tail,
        COORDINATES,
        streams_max=streams_max,
        heartbeat_interval_s=heartbeat_interval_s,
    )
