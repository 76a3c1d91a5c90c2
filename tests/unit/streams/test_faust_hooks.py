"""One contract per private hook into Faust (app.streams.faust_hooks): what we rely on still holds in the installed
version."""

import inspect
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import pytest
from aiokafka.errors import IllegalStateError
from faust.types import TP

from app.streams import faust_hooks
from app.streams.app import App
from app.streams.claims import Source
from app.streams.faust_hooks import Consumer, ConsumerThread, TableManager, Transport
from app.streams.store import Changelog
from tests.unit.streams.plain_claim import Plain

TOPIC = "commands"
FAUST = Path(faust.__file__).parent


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., App]:
    def make(**options: Any) -> App:
        return App(
            "hooks",
            bootstrap="127.0.0.1:1",
            directory=tmp_path,
            instance="A",
            partitions=2,
            topic_ids={TOPIC: "id"},
            **options,
        )

    return make


def places(call: str) -> set[str]:
    """Which files of Faust contain this text (outside of comments), and how often: "file:count"."""
    found = set()
    for path in sorted(FAUST.rglob("*.py")):
        lines = [line for line in path.read_text().splitlines() if not line.strip().startswith("#")]
        count = sum(line.count(call) for line in lines)
        if count:
            found.add(f"{path.relative_to(FAUST)}:{count}")
    return found


def a_record(offset: int) -> SimpleNamespace:
    return SimpleNamespace(
        topic=TOPIC,
        partition=0,
        offset=offset,
        timestamp=1_700_000_000_123,
        timestamp_type=1,
        headers=(),
        key=b"k",
        value=b"v",
        checksum=None,
        serialized_key_size=1,
        serialized_value_size=1,
    )


class Driver:
    """Stands where the driver's thread stands: says what was asked and gives what it has."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.seeks: list[dict[Any, int]] = []
        self.asked: list[set[Any]] = []
        self.gives: dict[Any, list[SimpleNamespace]] = {}
        self.fails: Exception | None = None
        self.during: Callable[[], None] = lambda: None

    async def seek_wait(self, places: dict[Any, int]) -> None:
        self.seeks.append(dict(places))

    async def getmany(self, active: set[Any], timeout: float) -> dict[Any, list[SimpleNamespace]]:
        self.asked.append(set(active))
        self.during()
        if self.fails is not None:
            raise self.fails
        return self.gives


@pytest.fixture
async def rig(make_app: Callable[..., App]) -> SimpleNamespace:
    """A consumer on a driver of ours, with one claimed partition that may begin at 5."""
    app = make_app()
    consumer = app.consumer
    consumer._thread = driver = Driver(consumer)

    class FromFive(Plain):
        @property
        def next_offset(self) -> int:
            return 5

    app.claims.make_with(TOPIC, FromFive)
    await app.claims.on_assigned([(TOPIC, 0)])
    source = TP(TOPIC, 0)
    claim = app.claims[Source(TOPIC, 0)]
    claim.ready = True
    return SimpleNamespace(app=app, consumer=consumer, driver=driver, source=source, claim=claim)


def test_the_versions_are_the_pinned_ones() -> None:
    pinned = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0", "mode-streaming": "0.7.1"}
    assert {name: version(name) for name in pinned} == pinned
    assert all(number in (faust_hooks.__doc__ or "") for number in pinned.values())


async def test_app_new_transport_alone_decides_the_consumer_class(make_app: Callable[..., App]) -> None:
    app = make_app()
    assert places("self._new_transport()") == {"app/base.py:1"}
    assert isinstance(app.transport, Transport)
    assert type(app.consumer) is Consumer
    assert isinstance(app.consumer._thread, ConsumerThread)


def test_app_on_agent_error_is_given_to_every_agent_before_its_supervisor_acts() -> None:
    assert places("on_error=self._on_agent_error") == {"app/base.py:1"}
    _, _, source = inspect.getsource(faust.Agent._execute_actor).partition("except Exception as exc:")
    assert source.index("await self._on_error(self, exc)") < source.index("self.supervisor.wakeup()")


async def test_consumer_getmany_is_called_by_one_task_that_gave_out_all_before_it_asks_again() -> None:
    assert places("await self._getmany(") == {"transport/consumer.py:1"}
    assert places("await self._wait_next_records(") == {"transport/consumer.py:1"}
    assert places("._drain_messages(") == {"transport/consumer.py:1"}
    drain = inspect.getsource(faust.transport.consumer.Consumer._drain_messages)
    assert drain.index("getmany(timeout=1.0)") < drain.index("async for tp, message in ait:")
    assert "create_task" not in drain


async def test_consumer_wait_next_records_looks_for_partitions_without_faust_s_pause_of_a_second(
    rig: SimpleNamespace,
) -> None:
    waits = inspect.getsource(faust.transport.consumer.Consumer._wait_next_records)
    assert waits.index("self._get_active_partitions()") < waits.index("await self.sleep(1)")
    consumer = rig.consumer
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    consumer.sleep = sleep
    consumer.resume_flow()
    consumer._get_active_partitions = set
    assert await consumer._wait_next_records(1.0) == ({}, set())
    consumer._get_active_partitions = lambda: {rig.source}
    rig.driver.gives = {rig.source: [a_record(5)]}
    records, active = await consumer._wait_next_records(1.0)
    assert ([record.offset for record in records[rig.source]], active) == ([5], {rig.source})
    assert slept == []


async def test_consumer_getmany_seeks_a_ready_claim_once_and_asks_for_hungry_ones_only(rig: SimpleNamespace) -> None:
    rig.driver.gives = {rig.source: [a_record(5), a_record(6)]}
    records = await rig.consumer._getmany({rig.source, TP("other", 0)}, 1.0)
    assert [record.offset for record in records[rig.source]] == [5, 6]
    assert rig.driver.seeks == [{rig.source: 5}]
    assert rig.claim.given_offset == 6
    rig.driver.gives = {}
    assert await rig.consumer._getmany({rig.source}, 1.0) == {}
    assert rig.driver.seeks == [{rig.source: 5}]
    rig.claim.quarantine("test")
    assert await rig.consumer._getmany({rig.source}, 1.0) == {}
    # Asked for no partition at all, the driver would give every one.
    assert rig.driver.asked == [{rig.source}, {rig.source}]


async def test_consumer_getmany_drops_what_was_fetched_for_a_claim_that_ended_meanwhile(rig: SimpleNamespace) -> None:
    rig.driver.gives = {rig.source: [a_record(5)]}

    def rebalance() -> None:
        rig.app.claims._claims[rig.source] = Plain(Source(TOPIC, 0))

    rig.driver.during = rebalance
    assert await rig.consumer._getmany({rig.source}, 1.0) == {}
    assert rig.claim.in_hand_records == 0


async def test_consumer_getmany_gives_out_only_what_its_claim_has_a_use_for(
    rig: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.claim, "sift", lambda records: [record for record in records if record.offset > 6])
    rig.driver.gives = {rig.source: [a_record(5), a_record(6), a_record(7)]}
    records = await rig.consumer._getmany({rig.source}, 1.0)
    assert [record.offset for record in records[rig.source]] == [7]
    assert rig.claim.in_hand_records == 1
    rig.driver.gives = {rig.source: [a_record(3)]}
    assert await rig.consumer._getmany({rig.source}, 1.0) == {}


async def test_consumer_getmany_takes_a_changed_assignment_for_nothing_to_fetch(rig: SimpleNamespace) -> None:
    rig.driver.fails = IllegalStateError("no assignment")
    assert await rig.consumer._getmany({rig.source}, 1.0) == {}


async def test_consumer_perform_seek_is_the_only_seek_to_group_offsets_and_does_nothing(rig: SimpleNamespace) -> None:
    assert places("perform_seek()") == {"tables/recovery.py:2", "transport/consumer.py:1"}
    assert places("seek_to_committed()") == {"transport/consumer.py:2"}
    await rig.consumer.perform_seek()
    assert rig.driver.seeks == []


async def test_consumer_to_message_marks_each_record_with_its_claim(rig: SimpleNamespace) -> None:
    rig.driver.gives = {rig.source: [a_record(5)]}
    await rig.consumer._getmany({rig.source}, 1.0)
    message = rig.consumer._to_message(rig.source, a_record(5))
    assert message.claim is rig.claim
    assert (message.offset, message.timestamp, message.timestamp_type) == (5, 1_700_000_000.123, 1)


async def test_consumer_to_message_makes_one_message_of_a_bundle_that_stands_at_its_last_record(
    rig: SimpleNamespace,
) -> None:
    rig.claim.bundled = True
    rig.driver.gives = {rig.source: [a_record(5), a_record(6), a_record(7)]}
    [bundle] = (await rig.consumer._getmany({rig.source}, 1.0))[rig.source]
    message = rig.consumer._to_message(rig.source, bundle)
    assert message.offset == 7
    assert [record.offset for record in message.records] == [5, 6, 7]
    assert rig.claim.in_hand_records == 3
    rig.claim.bundled = False
    rig.driver.gives = {rig.source: [a_record(8)]}
    [record] = (await rig.consumer._getmany({rig.source}, 1.0))[rig.source]
    assert [one.offset for one in rig.consumer._to_message(rig.source, record).records] == [8]
    assert places("to_message(tp, record)") == {"transport/consumer.py:1"}


async def test_consumer_new_offset_commits_behind_the_last_acknowledged_record_and_gaps_do_not_matter(
    rig: SimpleNamespace,
) -> None:
    assert places("self._acked[tp]") == {"transport/consumer.py:2"}
    assert places("self._acked_index[tp]") == {"transport/consumer.py:2"}
    assert places("self._new_offset(tp)") == {"transport/consumer.py:1"}
    assert places("await self._add_gap(") == {"transport/consumer.py:1"}
    rig.app.topics._acking_topics.add(TOPIC)
    rig.driver.gives = {rig.source: [a_record(5)]}
    await rig.consumer._getmany({rig.source}, 1.0)
    assert rig.consumer._committed_offset[rig.source] == 5
    for offset in (20, 33):
        await rig.consumer._add_gap(rig.source, offset - 10, offset)
        assert rig.consumer.ack(rig.consumer._to_message(rig.source, a_record(offset)))
    assert list(rig.consumer._filter_tps_with_pending_acks()) == [rig.source]
    assert rig.consumer._new_offset(rig.source) == 34
    assert rig.consumer._new_offset(rig.source) is None
    assert not rig.consumer.ack(rig.consumer._to_message(rig.source, a_record(4)))


def test_consumer_seek_wait_sets_the_read_offset() -> None:
    source = inspect.getsource(faust.transport.drivers.aiokafka.AIOKafkaConsumerThread._seek_wait)
    assert "self.consumer._read_offset[tp] = offset" in source


async def test_consumer_thread_create_worker_consumer_sets_the_isolation_level(make_app: Callable[..., App]) -> None:
    for read_committed, level in ((True, "read_committed"), (False, "read_uncommitted")):
        app = make_app(read_committed=read_committed)
        thread = app.consumer._thread
        made = thread._create_worker_consumer(app.transport)
        assert made._isolation_level == level
    assert "isolation_level=self._isolation_level" in inspect.getsource(aiokafka.AIOKafkaConsumer.start)


def test_table_manager_on_start_does_what_ours_does_after_a_pause() -> None:
    lines = inspect.getsource(faust.tables.manager.TableManager.on_start).splitlines()
    assert [line.strip() for line in lines if line.strip()[:1] not in ("", '"')] == [
        "async def on_start(self) -> None:",
        "await self.sleep(1.0)",
        "if not self.should_stop:",
        "await self._update_channels()",
        "await self.recovery.start()",
    ]


async def test_table_manager_update_channels_registers_tables_and_subscribes_to_none(
    make_app: Callable[..., App],
) -> None:
    app = make_app()
    table = app.TransactionalTable("state", source=TOPIC, changelog=Changelog(topic="argosy.state", prefix=b"s"))
    assert type(app.tables) is TableManager
    assert places("clone_using_queue(") == {
        "channels.py:1",
        "tables/manager.py:1",
        "types/channels.py:1",
    }
    await app.tables._update_channels()
    assert app.tables._tables_registered.is_set()
    assert app.tables._tables_finalized.is_set()
    assert table.started
    assert list(app.topics) == []
    await table.stop()


async def test_collection_hooks_open_no_store_and_take_no_part_in_recovery(make_app: Callable[..., App]) -> None:
    table = make_app().TransactionalTable("state", source=TOPIC, changelog=Changelog(topic="argosy.state", prefix=b"s"))
    await table.on_rebalance({TP(TOPIC, 0)}, set(), {TP(TOPIC, 0)}, 1)
    await table.on_recovery_completed(set(), set())
    assert table._data is None
    with pytest.raises(NotImplementedError, match=r"step\.commit"):
        table[b"x"] = b"y"
    with pytest.raises(NotImplementedError, match=r"step\.commit"):
        del table[b"x"]


async def test_signals_of_a_rebalance_begin_and_end_claims(make_app: Callable[..., App]) -> None:
    app = make_app()
    app.claims.make_with(TOPIC, Plain)
    await app.on_partitions_assigned.send({TP(TOPIC, 0), TP(TOPIC, 1)})
    claims = list(app.claims.values())
    assert len(claims) == 2
    await app.on_partitions_revoked.send(set())
    assert all(claim.ended for claim in claims)
    assert len(app.claims) == 0
