"""Sends what the leader decided: commands with its epoch, and the records of rounds.

Input: leases, preemptions, rejections and expiries by partition. Output: records of at most 1,000 items in
argosy.commands (all leases of a gang in one, however many), assumed from the moment of deciding; a record per round in
argosy.rounds. Any failure to produce is raised: it ends the leader.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from app.domain.commands import (
    ExpireRuns,
    Lease,
    LeaseJobs,
    Preemption,
    PreemptRuns,
    Rejection,
    RejectJobs,
    Settings,
)
from app.domain.rounds import RoundRecord
from app.domain.routing import partition_of_name
from app.domain.rows import SettingsRow
from app.log.codec import encode
from app.log.producer import LogProducer
from app.log.topics import COMMANDS, ROUNDS
from app.scheduler.assumptions import Assumptions, Outstanding, assumed_of
from app.scheduler.expiry import Due
from app.scheduler.job_columns import JobColumns
from app.scheduler.round_commands import PlacedLease
from app.scheduling.jobs import NO_GANG

ITEMS_PER_COMMAND_MAX = 1_000
KEY = b"scheduler"

T = TypeVar("T")

log = logging.getLogger(__name__)


class FaultSwitch:
    """For fault tests (scheduler.fault_stop_before_send, fault_stop_before_preempt): the process stops itself (SIGSTOP)
    once, when it has decided its first leases (preemptions) and has not sent them. Whoever wakes it (SIGCONT) finds a
    leader that was overtaken and does not know."""

    def __init__(self, armed: bool) -> None:
        self._armed = armed

    def stop_here(self) -> None:
        """Does nothing when it is not armed, or has worked before."""
        if self._armed:
            self._armed = False
            log.warning("fault switch: stopping before sending")
            os.kill(os.getpid(), signal.SIGSTOP)


class FaultSwitches(NamedTuple):
    """Before the first leases, before the first preemptions."""

    leases: FaultSwitch
    preemptions: FaultSwitch


class Publisher:
    """Of one epoch."""

    def __init__(
        self,
        producer: LogProducer,
        epoch: int,
        assumptions: Assumptions,
        jobs: JobColumns,
        rounds_partitions: int,
        faults: FaultSwitches,
    ) -> None:
        self._producer, self._epoch, self._assumptions, self._jobs = producer, epoch, assumptions, jobs
        self._rounds_partitions, self._faults = rounds_partitions, faults

    async def leases(self, round_id: bytes, leases: Mapping[int, Sequence[PlacedLease]]) -> None:
        """Assumes and sends the leases of a round; returns when the broker has them all."""
        now_s = time.monotonic()
        commands: list[tuple[Outstanding, bytes]] = []
        for partition, placed in sorted(leases.items()):
            for some in _lease_chunks(placed):
                outstanding = self._assumptions.lease(partition, assumed_of(some, self._jobs), now_s)
                command = LeaseJobs(epoch=self._epoch, round_id=round_id, leases=tuple(some))
                commands.append((outstanding, encode(command)))
        if commands:
            self._faults.leases.stop_here()
        await self._send(commands)

    async def expiries(self, due: Mapping[int, Sequence[Due]]) -> None:
        """Assumes and sends expiries."""
        now_s = time.monotonic()
        commands: list[tuple[Outstanding, bytes]] = []
        for partition, items in sorted(due.items()):
            for some in _chunks(items):
                outstanding = self._assumptions.end(partition, [each.key for each in some], now_s)
                command = ExpireRuns(epoch=self._epoch, expiries=tuple(each.expiry for each in some))
                commands.append((outstanding, encode(command)))
        await self._send(commands)

    async def preemptions(self, due: Mapping[int, Sequence[Preemption]]) -> None:
        """Assumes and sends preemptions."""
        now_s = time.monotonic()
        commands: list[tuple[Outstanding, bytes]] = []
        for partition, items in sorted(due.items()):
            for some in _chunks(items):
                outstanding = self._assumptions.end(partition, [each.run_id for each in some], now_s)
                commands.append((outstanding, encode(PreemptRuns(epoch=self._epoch, preemptions=tuple(some)))))
        if commands:
            self._faults.preemptions.stop_here()
        await self._send(commands)

    async def rejections(self, due: Mapping[int, Sequence[Rejection]]) -> None:
        """Assumes and sends rejections."""
        now_s = time.monotonic()
        commands: list[tuple[Outstanding, bytes]] = []
        for partition, items in sorted(due.items()):
            for some in _chunks(items):
                outstanding = self._assumptions.end(partition, [each.job_id for each in some], now_s)
                commands.append((outstanding, encode(RejectJobs(epoch=self._epoch, rejections=tuple(some)))))
        await self._send(commands)

    async def settings(self, wanted: Mapping[int, SettingsRow]) -> list[Outstanding]:
        """Sends settings to some partitions."""
        now_s = time.monotonic()
        commands = [
            (
                self._assumptions.command(partition, now_s),
                encode(
                    Settings(
                        epoch=self._epoch,
                        version=row.version,
                        max_attempts=row.max_attempts,
                        client_id_retention_ms=row.client_id_retention_ms,
                    )
                ),
            )
            for partition, row in sorted(wanted.items())
        ]
        await self._send(commands)
        return [outstanding for outstanding, _ in commands]

    async def round(self, record: RoundRecord) -> None:
        """Writes the record of a round."""
        partition = partition_of_name(record.pool, self._rounds_partitions)
        await self._producer.send(ROUNDS, partition, encode(record), record.pool.encode())

    async def _send(self, commands: Sequence[tuple[Outstanding, bytes]]) -> None:
        """In order within each partition; all of them at once."""
        tasks = [await self._producer.enqueue(COMMANDS, each.partition, value, KEY) for each, value in commands]
        for (outstanding, _), sent in zip(commands, await asyncio.gather(*tasks), strict=True):
            self._assumptions.acknowledged(outstanding, sent.offset)


def _lease_chunks(placed: Sequence[PlacedLease]) -> list[list[Lease]]:
    """Cuts leases into records: gangs are never cut; displaced runs count like leases."""
    chunks: list[list[Lease]] = []
    weight = ITEMS_PER_COMMAND_MAX
    for _, unit in groupby(
        enumerate(placed), key=lambda each: (each[1].gang, each[0] if each[1].gang == NO_GANG else 0)
    ):
        leases = [each.lease for _, each in unit]
        of_unit = sum(1 + len(lease.displaced) for lease in leases)
        if weight + of_unit > ITEMS_PER_COMMAND_MAX:
            chunks.append([])
            weight = 0
        chunks[-1].extend(leases)
        weight += of_unit
    return chunks


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[at : at + ITEMS_PER_COMMAND_MAX] for at in range(0, len(items), ITEMS_PER_COMMAND_MAX)]
