"""Becoming the leader: a new epoch, announced to every partition, and what earlier leaders left undecided.

Input: a started producer, the loaded world. Output: `Epoch`: its number and the assumptions to begin with. The
epoch is the offset of a record in argosy.leadership; `BeginEpoch` goes to every partition of argosy.commands and is
acknowledged before anything else is sent. Between a partition's position and its BeginEpoch stand exactly the
commands of earlier leaders that are not decided yet.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import NamedTuple

from app.domain.clusters import LeadershipRecord
from app.domain.commands import BeginEpoch, ExpireRuns, LeaseJobs, PreemptRuns, RejectJobs, Settings
from app.log.admin import topic_bounds
from app.log.codec import decode, encode
from app.log.errors import LogUnavailable, Undecodable, UnknownSchema
from app.log.producer import LogProducer
from app.log.reader import LogReader, Record
from app.log.topics import COMMANDS, LEADERSHIP
from app.scheduler.assumptions import Assumptions, assumed_of
from app.scheduler.state import State

log = logging.getLogger(__name__)

READ_RECORDS = 1_000
POLL_MS = 100
READ_MAX_S = 60.0


class EpochTooLow(RuntimeError):
    """argosy.leadership was created anew: its offsets start below epochs that partitions have seen"""


class Epoch(NamedTuple):
    """A leadership. begins: partition -> offset of its BeginEpoch."""

    number: int
    begins: Mapping[int, int]
    assumptions: Assumptions
    undecided_leases: int


async def take_over(producer: LogProducer, state: State, bootstrap: str, candidate: str) -> Epoch:
    """Begins an epoch. Raises EpochTooLow, LogUnavailable and other errors of the log."""
    claim = LeadershipRecord(candidate=candidate, time_ms=int(time.time() * 1000))
    number = (await producer.send(LEADERSHIP, 0, encode(claim))).offset
    highest = state.highest_epoch
    if number <= highest:
        raise EpochTooLow(
            f"argosy.leadership gave epoch {number}, but partitions have seen epoch {highest}: the topic was created "
            f"anew, and commands of this epoch would be refused. Repair: write records to argosy.leadership until its "
            f"end is above {highest} (every start of a scheduler writes one), or restore the topic; jobs and runs are "
            f"not affected, only nothing new is placed meanwhile"
        )
    command = encode(BeginEpoch(epoch=number, leader=candidate))
    sent = await asyncio.gather(
        *(producer.send(COMMANDS, partition, command, b"epoch") for partition in range(state.partitions))
    )
    begins = {partition: each.offset for partition, each in enumerate(sent)}
    assumptions = Assumptions()
    leases = await _assume_undecided(state, bootstrap, begins, assumptions)
    now_s = time.monotonic()
    for partition, offset in begins.items():
        assumptions.acknowledged(assumptions.command(partition, now_s), offset)
        assumptions.advanced(partition, state.position(partition).offset, now_s)
    return Epoch(number, begins, assumptions, leases)


async def _assume_undecided(state: State, bootstrap: str, begins: Mapping[int, int], assumptions: Assumptions) -> int:
    """Reads what is not decided of every partition up to its BeginEpoch; returns the number of leases found."""
    start = await asyncio.to_thread(_undecided_from, bootstrap, state, begins)
    if not start:
        return 0
    reader = LogReader(bootstrap, COMMANDS, start=start, read_committed=False, client_id="argosy-scheduler-takeover")
    await reader.start()
    try:
        return await _read(reader, state, {partition: begins[partition] for partition in start}, assumptions)
    finally:
        await reader.stop()


def _undecided_from(bootstrap: str, state: State, begins: Mapping[int, int]) -> dict[int, int]:
    """partition -> the first command that is not decided, where there is one before BeginEpoch."""
    start = {partition: state.position(partition).offset + 1 for partition in begins}
    missing = {partition: offset for partition, offset in start.items() if offset < begins[partition]}
    if not missing:
        return {}
    bounds = topic_bounds(bootstrap, COMMANDS, read_committed=False)
    for partition, offset in missing.items():
        if offset < bounds[partition].earliest:
            # The queue agent stops there, too, and says what to do.
            log.error("partition %d: undecided commands below %d are deleted", partition, bounds[partition].earliest)
    return {partition: max(offset, bounds[partition].earliest) for partition, offset in missing.items()}


async def _read(reader: LogReader, state: State, ends: Mapping[int, int], assumptions: Assumptions) -> int:
    """Assumes the leader's commands of every partition up to `ends`."""
    found, until_s = 0, time.monotonic() + READ_MAX_S
    open_partitions = set(ends)
    while open_partitions:
        if time.monotonic() > until_s:
            raise LogUnavailable(f"{COMMANDS} could not be read up to {dict(ends)} within {READ_MAX_S:.0f} s")
        for record in await reader.poll(READ_RECORDS, POLL_MS):
            if record.offset >= ends[record.partition]:
                open_partitions.discard(record.partition)
            elif record.value is not None and record.value.startswith(_FRAMES):
                found += _assume(record, state, assumptions)
    return found


def _assume(record: Record, state: State, assumptions: Assumptions) -> int:
    """Assumes one command of a leader; returns its leases."""
    assert record.value is not None
    try:
        command = decode(record.value)
    except (Undecodable, UnknownSchema):
        return 0
    now_s, partition = time.monotonic(), record.partition
    if isinstance(command, LeaseJobs):
        leases = assumed_of(command.leases, state.jobs)
        assumptions.acknowledged(assumptions.lease(partition, leases, now_s), record.offset)
        return len(leases)
    ended: list[bytes] | None = None
    if isinstance(command, ExpireRuns):
        ended = [each.run_id or each.job_id for each in command.expiries]
    elif isinstance(command, PreemptRuns):
        ended = [each.run_id for each in command.preemptions]
    elif isinstance(command, RejectJobs):
        ended = [each.job_id for each in command.rejections]
    if ended is not None:
        assumptions.acknowledged(assumptions.end(partition, ended, now_s), record.offset)
    elif isinstance(command, Settings):
        assumptions.acknowledged(assumptions.command(partition, now_s), record.offset)
    return 0


_FRAMES = (
    encode(LeaseJobs(epoch=0, round_id=bytes(16), leases=()))[:5],
    encode(ExpireRuns(epoch=0, expiries=()))[:5],
    encode(PreemptRuns(epoch=0, preemptions=()))[:5],
    encode(RejectJobs(epoch=0, rejections=()))[:5],
    encode(Settings(epoch=0, version=0, max_attempts=1, client_id_retention_ms=0))[:5],
)
"""how the records begin that are looked for: submissions are not decoded"""
