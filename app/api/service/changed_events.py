"""Which jobs the events between two places name: out of the tail's buffer, or of the log for who begins before it.

Inputs: tail, places. Output: `Window`s of bounded size, cut between records. Raises FellBehind when the buffer has lost
the place of somebody who was in it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from app.api.coordinates import WHOLE_COMMAND, Place, Reached
from app.api.errors import ApiError
from app.api.tail.buffer import Held, PartitionBuffer
from app.api.tail.tail import POLL_RECORDS_MAX, POLL_TIMEOUT_MS, Tail
from app.db.queries.job_filter import JobFilter, TextFilter
from app.domain.errors import ErrorCode

Places = tuple[Place, ...]
"""by partition"""
Backlog = Mapping[int, list[Held]]
"""partition -> records before the tail's buffer"""

WINDOW_JOBS_MAX = 1_000
"""a window ends with the record that reaches it; a record names at most 10,000"""
BACKLOG_BYTES_MAX = 16 << 20
"""of one subscriber: whoever is farther behind reads the list anew"""
BACKLOG_READERS_MAX = 4

_readers = asyncio.Semaphore(BACKLOG_READERS_MAX)


class FellBehind(Exception):
    """The tail's buffer does not reach back to where the subscriber stands."""


class Named(NamedTuple):
    """The job set of a job that changed."""

    queue: str
    job_set: str


class Window:
    """Jobs that events behind a place name. places: behind the last of them. is_last: nothing more is shown yet."""

    def __init__(self, jobs: dict[bytes, Named], places: Places, *, is_last: bool) -> None:
        self.places = places
        self.is_last = is_last
        self._jobs = jobs

    def of_interest(self, wanted: JobFilter) -> list[bytes]:
        """The jobs that a filter may take, as far as their events say; the history says the rest."""
        ids, queues = frozenset(wanted.ids), frozenset(wanted.queues)
        return [
            job_id
            for job_id, (queue, job_set) in self._jobs.items()
            if (not ids or job_id in ids)
            and (not queues or queue in queues)
            and (wanted.job_set is None or _may_be(wanted.job_set, job_set))
        ]


def _may_be(wanted: TextFilter, name: str) -> bool:
    return (
        (wanted.any_of is None or name in wanted.any_of)
        and (wanted.starts_with is None or name.startswith(wanted.starts_with))
        and (wanted.contains is None or wanted.contains in name)
    )


def window_of(tail: Tail, at: Places, frontier: tuple[int, ...], backlog: Backlog) -> Window:
    """The next jobs after `at` up to the whole commands `frontier`. Raises FellBehind."""
    jobs: dict[bytes, Named] = {}
    places = list(at)
    for partition, place in enumerate(at):
        limit = Reached(frontier[partition], WHOLE_COMMAND)
        if limit <= place.reached:
            continue
        for held in _records(tail.buffers[partition], place.reached, backlog.get(partition, [])):
            if held.reached > limit:
                break
            if len(jobs) >= WINDOW_JOBS_MAX:
                return Window(jobs, tuple(places), is_last=False)
            for block in held.blocks:
                named = Named(block.queue, block.job_set)
                for event in tail.decode_events(block.body):
                    jobs[event.job_id] = named
            places[partition] = Place(held.reached, held.source_offset)
    return Window(jobs, tuple(places), is_last=True)


def _records(buffer: PartitionBuffer, reached: Reached, backlog: list[Held]) -> Iterator[Held]:
    for held in backlog:
        if held.reached > reached:
            yield held
            reached = held.reached
    if not buffer.covers(reached):
        raise FellBehind
    yield from buffer.after(reached)


async def read_backlog(tail: Tail, at: Places) -> Backlog:
    """What the log holds between `at` and the tail's buffer. Raises ApiError CURSOR_EXPIRED, UNAVAILABLE."""
    missing = {
        buffer.partition: at[buffer.partition].source_offset + 1
        for buffer in tail.buffers
        if buffer.complete_from is not None and not buffer.covers(at[buffer.partition].reached)
    }
    if not missing:
        return {}
    async with _readers:
        bounds = await tail.topic.bounds()
        start = {partition: max(offset, bounds[partition][0]) for partition, offset in missing.items()}
        followed = {partition: _Followed(partition, at[partition].reached) for partition in missing}
        size = 0
        source = await tail.topic.open(start)
        try:
            while not all(tail.buffers[partition].covers(each.reached) for partition, each in followed.items()):
                for raw in await source.poll(POLL_RECORDS_MAX, POLL_TIMEOUT_MS):
                    if raw.value is not None:
                        size += followed[raw.partition].add(tail, raw.value, raw.offset)
                if size > BACKLOG_BYTES_MAX:
                    raise _expired("too much has changed since this cursor")
        finally:
            await source.stop()
    return {partition: each.records for partition, each in followed.items()}


class _Followed:
    """Records of one partition that follow a place without a hole."""

    def __init__(self, partition: int, reached: Reached) -> None:
        self.records: list[Held] = []
        self.reached = reached
        self._partition = partition

    def add(self, tail: Tail, value: bytes, source_offset: int) -> int:
        """Its size; 0 when it was there already. Raises ApiError CURSOR_EXPIRED."""
        record = tail.decode_record(value)
        if (record.offset, record.first_ordinal) > self.reached.next:
            raise _expired("events after this cursor are not kept any more")
        held = PartitionBuffer(self._partition, 0).add(record, source_offset)
        if held.reached <= self.reached:
            return 0
        self.reached = held.reached
        self.records.append(held)
        return held.size


def _expired(message: str) -> ApiError:
    return ApiError(ErrorCode.CURSOR_EXPIRED, f"{message}; read the list again", path="after")
