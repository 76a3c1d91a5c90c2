"""The reader on a real broker: committed records only, ends behind markers, deleted offsets, latency, silence."""

import asyncio
import time

import pytest
from confluent_kafka import TopicPartition

from app.log.admin import admin_client, answer
from app.log.errors import LogUnavailable, OffsetsGone, TopicMismatch
from app.log.producer import LogProducer
from app.log.reader import LogReader, Record
from tests.integration.log.places import DEADLINE_S, new_topic, open_transaction, read_to_end, transaction
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack


async def test_committed_records_are_read_and_aborted_ones_are_not(kafka: str) -> None:
    topic = new_topic(kafka)
    transaction(kafka, topic, 0, [b"a", b"b"], commit=True)
    transaction(kafka, topic, 0, [b"never"], commit=False)
    transaction(kafka, topic, 0, [b"c"], commit=True)
    reader = LogReader(kafka, topic, [0])
    await reader.start()
    records = await read_to_end(reader)
    assert [record.value for record in records] == [b"a", b"b", b"c"]
    # a b marker never marker c marker
    assert [record.offset for record in records] == [0, 1, 5]
    assert reader.positions() == {0: 7} == await reader.end_offsets()
    await reader.stop()


async def test_a_reader_of_everything_sees_aborted_and_open_records_too(kafka: str) -> None:
    topic = new_topic(kafka)
    transaction(kafka, topic, 0, [b"aborted"], commit=False)
    writer = open_transaction(kafka, topic, 0, [b"open"])
    reader = LogReader(kafka, topic, [0], read_committed=False)
    await reader.start()
    assert [record.value for record in await read_to_end(reader)] == [b"aborted", b"open"]
    await reader.stop()
    writer.abort_transaction()


async def test_an_open_transaction_is_the_end_until_it_is_committed(kafka: str) -> None:
    topic = new_topic(kafka)
    transaction(kafka, topic, 0, [b"a"], commit=True)
    writer = open_transaction(kafka, topic, 0, [b"b"])
    reader = LogReader(kafka, topic, [0])
    await reader.start()
    assert [record.value for record in await read_to_end(reader)] == [b"a"]
    assert await reader.poll(timeout_ms=300) == []
    writer.commit_transaction()
    assert [record.value for record in await reader.poll(timeout_ms=5_000)] == [b"b"]
    await reader.stop()


async def test_empty_partitions_and_a_start_at_the_end_are_at_the_end_at_once(kafka: str) -> None:
    topic = new_topic(kafka, 3)
    transaction(kafka, topic, 1, [b"a"], commit=True)
    reader = LogReader(kafka, topic, start={0: 0, 1: 2, 2: 0})
    await reader.start()
    assert not reader.at_end
    assert await read_to_end(reader) == []
    assert reader.positions() == {0: 0, 1: 2, 2: 0}
    await reader.stop()


async def test_reading_goes_on_where_another_reader_stopped(kafka: str) -> None:
    topic = new_topic(kafka, 2)
    for partition in range(2):
        transaction(kafka, topic, partition, [b"%d" % number for number in range(50)], commit=True)
    reader = LogReader(kafka, topic, range(2))
    await reader.start()
    first = await reader.poll(30, 5_000)
    while len(first) < 30:
        first += await reader.poll(30 - len(first), 5_000)
    positions = reader.positions()
    await reader.stop()
    reader = LogReader(kafka, topic, start=positions)
    await reader.start()
    rest = await read_to_end(reader)
    await reader.stop()
    assert len(first) == 30
    both = sorted((record.partition, record.offset) for record in first + rest)
    assert both == [(partition, offset) for partition in range(2) for offset in range(50)]


async def test_a_poll_that_is_cancelled_loses_nothing(kafka: str) -> None:
    topic = new_topic(kafka)
    reader = LogReader(kafka, topic, [0])
    await reader.start()
    await read_to_end(reader)
    poll = asyncio.create_task(reader.poll(10, 10_000))
    await asyncio.sleep(0)
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    transaction(kafka, topic, 0, [b"%d" % number for number in range(5)], commit=True)
    records: list[Record] = []
    while len(records) < 5:
        # Smaller than what the poll that was cancelled may have taken.
        records += await reader.poll(2, 5_000)
        assert reader.positions() == {0: records[-1].offset + 1} or len(records) == 5
    assert [record.value for record in records] == [b"0", b"1", b"2", b"3", b"4"]
    await reader.stop()


async def test_offsets_that_retention_has_deleted_are_gone(kafka: str) -> None:
    topic = new_topic(kafka)
    transaction(kafka, topic, 0, [b"a", b"b", b"c"], commit=True)
    client = admin_client(kafka)
    for future in client.delete_records([TopicPartition(topic, 0, 2)]).values():
        answer(future)
    with pytest.raises(OffsetsGone) as caught:
        await LogReader(kafka, topic, [0]).start()
    assert (caught.value.wanted, caught.value.earliest, caught.value.end) == (0, 2, 4)
    reader = LogReader(kafka, topic, start={0: 2})
    await reader.start()
    assert [record.value for record in await read_to_end(reader)] == [b"c"]
    await reader.stop()


async def test_a_start_behind_the_end_means_that_the_log_is_another_one(kafka: str) -> None:
    topic = new_topic(kafka)
    transaction(kafka, topic, 0, [b"a"], commit=True)
    with pytest.raises(OffsetsGone, match="offset 3 is not kept, it holds 0 to 1"):
        await LogReader(kafka, topic, start={0: 3}).start()


async def test_records_deleted_under_a_reader_are_gone_and_not_skipped(kafka: str) -> None:
    topic = new_topic(kafka)
    reader = LogReader(kafka, topic, [0])
    await reader.start()
    await read_to_end(reader)
    # Behind an open transaction nothing is handed out; what is deleted there was never seen.
    writer = open_transaction(kafka, topic, 0, [b"held"])
    transaction(kafka, topic, 0, [b"unseen"] * 5, commit=True)
    writer.commit_transaction()
    await reader.stop()
    client = admin_client(kafka)
    for future in client.delete_records([TopicPartition(topic, 0, 4)]).values():
        answer(future)
    late = LogReader(kafka, topic, start={0: 1})
    with pytest.raises(OffsetsGone):
        await late.start()


async def test_a_topic_or_partition_that_is_not_there_is_named(kafka: str) -> None:
    topic = new_topic(kafka)
    with pytest.raises(TopicMismatch, match="no-such-topic"):
        await LogReader(kafka, "no-such-topic", [0]).start()
    with pytest.raises(TopicMismatch, match=topic):
        await LogReader(kafka, topic, [0, 7]).start()


async def test_no_broker_is_unavailable() -> None:
    with pytest.raises(LogUnavailable):
        await LogReader("127.0.0.1:1", "t", [0], silence_max_s=1).start()


async def test_a_record_is_read_soon_after_it_is_acknowledged(kafka: str) -> None:
    topic = new_topic(kafka, 12)
    producer = LogProducer(kafka, "test")
    await producer.start()
    reader = LogReader(kafka, topic, range(12))
    await reader.start()
    await read_to_end(reader)
    delays = []
    for number in range(100):
        poll = asyncio.create_task(reader.poll(100, 5_000))
        await producer.send(topic, number % 12, b"x")
        acknowledged = time.perf_counter()
        while not await poll:
            poll = asyncio.create_task(reader.poll(100, 5_000))
        delays.append(time.perf_counter() - acknowledged)
    await reader.stop()
    await producer.stop()
    # Usually below 1 ms. The bound leaves room for a busy machine and is far below the 100 ms of an idle fetch.
    assert sorted(delays)[len(delays) // 2] < 0.02


async def test_a_reader_survives_a_restart_of_the_broker(fresh_kafka: KafkaBroker) -> None:
    topic = new_topic(fresh_kafka.bootstrap)
    transaction(fresh_kafka.bootstrap, topic, 0, [b"a"], commit=True)
    reader = LogReader(fresh_kafka.bootstrap, topic, [0])
    await reader.start()
    assert [record.value for record in await read_to_end(reader)] == [b"a"]
    await asyncio.to_thread(fresh_kafka.restart)
    await asyncio.to_thread(transaction, fresh_kafka.bootstrap, topic, 0, [b"b"], commit=True)
    assert [record.value for record in await next_records(reader)] == [b"b"]
    heard = reader.heard_at_s
    async with asyncio.timeout(DEADLINE_S):
        while reader.heard_at_s == heard:
            await reader.poll(timeout_ms=500)
    await reader.stop()


async def test_a_broker_that_is_silent_for_too_long_ends_the_reader(fresh_kafka: KafkaBroker) -> None:
    topic = new_topic(fresh_kafka.bootstrap)
    reader = LogReader(fresh_kafka.bootstrap, topic, [0], silence_max_s=2)
    await reader.start()
    await read_to_end(reader)
    fresh_kafka.pause()
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(poll_for_ever(reader), DEADLINE_S)
    fresh_kafka.resume()
    await reader.stop()


async def poll_for_ever(reader: LogReader) -> None:
    while True:
        await reader.poll(timeout_ms=200)


async def next_records(reader: LogReader) -> list[Record]:
    async with asyncio.timeout(DEADLINE_S):
        while not (records := await reader.poll(timeout_ms=500)):
            pass
        return records
