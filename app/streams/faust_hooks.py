"""Everything private of Faust that this project relies on, in one place.

Pinned: faust-streaming 0.15.3, aiokafka 0.14.0, mode-streaming 0.7.1.

Each hook has a contract test in tests/unit/streams/test_faust_hooks.py; an upgrade begins there. What each relies on:

- App._new_transport: it is the only place that decides the Consumer class.
- App._on_agent_error: it is called for every exception that leaves an agent, before the supervisor restarts it and
  the event counts as done.
- Consumer._getmany: the only way in which records come in, called by one task (Fetcher._fetcher ->
  Consumer._drain_messages -> getmany) that has given out all records of one call before it makes the next, so a seek
  made here cannot race a fetch; aiokafka drops what it fetched before a seek.
- Consumer._wait_next_records: calls _getmany, and sleeps 1 s where _get_active_partitions has nothing.
- Consumer.perform_seek: the only seek to the group's offsets (Recovery.on_recovery_completed,
  Recovery._resume_streams, and getmany while the flow is stopped).
- Consumer._to_message: called between two _getmany, for records of the first, and the only thing that looks into a
  record before; ConsumerMessage takes more attributes.
- Consumer._committed_offset: ack() ignores offsets below it.
- Consumer._acked, ._acked_index: ack() appends to the one and adds to the other, and nothing else looks into them but
  _new_offset, which says up to where a partition is committed, and the revocation, which drops them.
- Consumer._add_gap: called for offsets that did not come, in order to count them as acknowledged.
- Consumer.seek_wait: also sets _read_offset, below which _drain_messages drops records.
- ConsumerThread._create_worker_consumer: makes the AIOKafkaConsumer, which reads ._isolation_level when it starts.
- TableManager._update_channels: the only place that subscribes to changelogs. Not subscribed, they are not assigned,
  and Faust's Recovery finds nothing to do; it only resumes the flow. Needs ._tables_finalized and ._tables_registered.
- Collection.on_start, .on_rebalance, .on_recovery_completed, .data: all that App, TableManager and Recovery ask of a
  table; .on_key_set, .on_key_del: called before an item is written.

Public, but worth knowing: the signals on_partitions_revoked and on_partitions_assigned are awaited inside the
rebalance, while heartbeats go on; while an app stops, neither is sent, so App.on_stop must end what is claimed; asked
for no partition at all, the driver would give all.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import faust
from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager as FaustTableManager
from faust.transport.drivers import aiokafka as driver

from app.streams.claims import Claim

NOTHING_TO_FETCH_S = 0.02
POLL_S = 0.1


class ClaimingApp(Protocol):
    """What the hooks ask of the application."""

    @property
    def claims(self) -> Mapping[Any, Claim]: ...

    @property
    def read_committed(self) -> bool: ...

    @property
    def conf(self) -> Any: ...


class Bundle:
    """Records of one partition that were fetched together. Faust takes 0.2 ms a message whatever is in it, so it
    gets one message for all of them, which stands at the last one; to Faust the others are a gap, like those of
    compaction."""

    __slots__ = ("records",)

    def __init__(self, records: list[Any]) -> None:
        self.records = records


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust has no types
    """Faust has no setting for the isolation level."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        if self.app.read_committed:
            consumer._isolation_level = "read_committed"
        return consumer


class Consumer(driver.Consumer):  # type: ignore[misc]  # Faust has no types
    """Gives out records of claimed partitions only, from where their claims say, and marks each record with its
    claim."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetched_for: dict[Any, Claim] = {}

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Group offsets are a lag metric; the claims say where records begin."""

    async def _wait_next_records(self, timeout: float) -> Any:
        # Without a partition Faust sleeps 1 s, and the partitions that come meanwhile wait for that.
        if self.flow_active and not self._get_active_partitions():
            await asyncio.sleep(NOTHING_TO_FETCH_S)
            return {}, set()
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        claims: Mapping[Any, Claim] = self.app.claims
        wanted: dict[Any, Claim] = {}
        try:
            for source, claim in list(claims.items()):
                if source not in active_partitions:
                    continue
                if claim.ready and not claim.sought and claim.live:
                    begin = claim.next_offset
                    await self.seek_wait({source: begin})
                    self._committed_offset[source] = begin or None
                    claim.sought, claim.given_offset = True, begin - 1
                if claim.hungry:
                    wanted[source] = claim
            self._fetched_for = wanted
            if not wanted:
                await asyncio.sleep(NOTHING_TO_FETCH_S)
                return {}
            fetched = await super()._getmany(set(wanted), min(timeout, POLL_S))
        except (IllegalStateError, KeyError):
            # The assignment changed under us: the rebalance that did it begins new claims.
            return {}
        # A claim may have ended, and another one of the same partition begun, while the fetch was on its way.
        records = {
            source: sifted
            for source, some in fetched.items()
            if claims.get(source) is wanted.get(source) and (sifted := wanted[source].sift(some))
        }
        for source, some in records.items():
            wanted[source].given(some)
        return {source: [Bundle(some)] if wanted[source].bundled else some for source, some in records.items()}

    def _to_message(self, tp: Any, record: Any) -> Any:
        records = record.records if isinstance(record, Bundle) else [record]
        message = super()._to_message(tp, records[-1])
        message.claim, message.records = self._fetched_for[tp], records
        return message

    def _new_offset(self, tp: Any) -> int | None:
        # Records are acknowledged in order, each after all before it stand where they belong.
        acked = self._acked[tp]
        if not acked:
            return None
        offset: int = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return offset

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Offsets in between belong to a bundle, or to what compaction and transactions left out."""


class Transport(driver.Transport):  # type: ignore[misc]  # Faust has no types
    Consumer = Consumer


class TableManager(FaustTableManager):  # type: ignore[misc]  # Faust has no types
    """Registers tables and subscribes to none of their changelogs: each tenure restores its own."""

    async def on_start(self) -> None:
        """Without Faust's pause of 1 s, in which tables may still be added: all are there."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    async def _update_channels(self) -> None:
        self._tables_finalized.set()
        for table in self.values():
            await table.maybe_start()
        self._tables_registered.set()


class HookedApp(faust.App):  # type: ignore[misc]  # Faust has no types
    """A Faust application with the hooks in place. on_fault is called with what escaped from an agent and must not
    return."""

    on_fault: Callable[[str, BaseException], None]

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    async def _on_agent_error(self, agent: Any, error: BaseException) -> None:
        self.on_fault(str(agent), error)


class HookedTable(faust.Table):  # type: ignore[misc]  # Faust has no types
    """A table to Faust by name only: it opens no store, takes part in no recovery and cannot be written by item."""

    async def on_start(self) -> None:
        """No store to open, no topic to declare."""

    async def on_rebalance(self, assigned: Any, revoked: Any, newly_assigned: Any, generation_id: int = 0) -> None:
        """Claims follow the signals of the application."""

    async def on_recovery_completed(self, active_tps: Any, standby_tps: Any) -> None:
        """Each tenure begins to work when its own restore is done."""

    @property
    def data(self) -> Any:
        raise NotImplementedError("read step.view, write with step.commit()")

    def on_key_set(self, key: Any, value: Any) -> None:
        raise NotImplementedError("write with step.commit()")

    def on_key_del(self, key: Any) -> None:
        raise NotImplementedError("write with step.commit()")
