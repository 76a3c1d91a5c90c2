"""The producer on a real broker: explicit partitions, sizes, order, and what a broker that is away means."""

import asyncio
import os
import random

import confluent_kafka
import pytest

from app.domain.clusters import DeadLetter
from app.domain.limits import COMMAND_BYTES_MAX, RECORD_BYTES_MAX
from app.domain.routing import partition_of_name
from app.log.codec import decode_as, encode
from app.log.errors import LogUnavailable, RecordTooLarge, TopicMismatch
from app.log.producer import ENVELOPE_BYTES, LogProducer
from app.log.reader import LogReader
from app.log.schemas import FRAME_BYTES
from app.log.topics import COMMANDS
from tests.integration.log.places import DEADLINE_S, new_topic, read_to_end
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack


def test_the_partition_of_a_name_is_the_one_that_kafkas_own_partitioner_chooses(kafka: str) -> None:
    chooser = random.Random(4)
    names = ["a", "ab", "abc", "abcd", "team-a", "größe", "队列", "x" * 253]
    names += [
        "".join(chooser.choices("abcdefghijklmnopqrstuvwxyz-0123456789", k=chooser.randint(1, 40))) for _ in range(500)
    ]
    for partitions in (1, 4, 12):
        chosen = choices_of_kafka(kafka, new_topic(kafka, partitions), names)
        assert chosen == {name: partition_of_name(name, partitions) for name in names}


def choices_of_kafka(bootstrap: str, topic: str, names: list[str]) -> dict[str, int]:
    """Which partition librdkafka's murmur2 partitioner, which is that of Java, chooses for each key."""
    writer = confluent_kafka.Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 50}
    )
    chosen: dict[str, int] = {}

    def delivered(_: object, message: confluent_kafka.Message) -> None:
        chosen[message.key().decode()] = message.partition()

    for name in names:
        writer.produce(topic, b"", key=name.encode(), on_delivery=delivered)
    assert writer.flush(DEADLINE_S) == 0
    return chosen


async def test_records_stand_where_they_were_sent_with_the_brokers_time(kafka: str) -> None:
    topic = new_topic(kafka, 3, message_timestamp_type="LogAppendTime")
    producer = LogProducer(kafka, "test")
    await producer.start()
    sent = [await producer.send(topic, 2, b"%d" % number, key=b"k") for number in range(3)]
    await producer.stop()
    assert [place.offset for place in sent] == [0, 1, 2]
    reader = LogReader(kafka, topic, range(3))
    await reader.start()
    records = await read_to_end(reader)
    await reader.stop()
    assert [(record.partition, record.value, record.key) for record in records] == [
        (2, b"%d" % n, b"k") for n in range(3)
    ]
    assert [record.timestamp_ms for record in records] == [place.timestamp_ms for place in sent]


async def test_a_dead_letter_of_a_maximal_command_and_the_largest_record_of_all_go_through(kafka: str) -> None:
    topic = new_topic(kafka)
    body = os.urandom(COMMAND_BYTES_MAX + FRAME_BYTES)
    letter = DeadLetter(
        topic=COMMANDS,
        partition=0,
        offset=1,
        item=-1,
        component="test",
        reason="INTERNAL",
        message="m" * 4_096,
        log_time_ms=1,
        key=b"k" * 253,
        body=body,
    )
    producer = LogProducer(kafka, "test")
    await producer.start()
    await producer.send(topic, 0, encode(letter))
    largest = os.urandom(RECORD_BYTES_MAX - ENVELOPE_BYTES)
    await producer.send(topic, 0, largest, key=b"k" * 4_096)
    with pytest.raises(RecordTooLarge):
        await producer.send(topic, 0, largest + b"x")
    with pytest.raises(RecordTooLarge):
        await producer.send(topic, 0, b"", key=b"k" * 4_097)
    await producer.stop()
    reader = LogReader(kafka, topic, [0])
    await reader.start()
    first, second = await read_to_end(reader)
    await reader.stop()
    assert decode_as(DeadLetter, first.value or b"") == letter
    assert second.value == largest


async def test_what_the_topic_does_not_take_is_too_large_and_later_records_go_through(kafka: str) -> None:
    topic = new_topic(kafka, max_message_bytes="1000")
    producer = LogProducer(kafka, "test")
    await producer.start()
    assert (await producer.send(topic, 0, b"small")).offset == 0
    with pytest.raises(RecordTooLarge):
        await producer.send(topic, 0, os.urandom(2_000))
    assert (await producer.send(topic, 0, b"small again")).offset == 1
    await producer.stop()


async def test_records_of_many_callers_keep_the_order_in_which_each_enqueued_them(kafka: str) -> None:
    topic = new_topic(kafka, 2)
    producer = LogProducer(kafka, "test", linger_ms=5)
    await producer.start()

    async def write(writer: int) -> None:
        acknowledged = [await producer.enqueue(topic, writer % 2, b"%d %d" % (writer, n)) for n in range(200)]
        offsets = [sent.offset for sent in await asyncio.gather(*acknowledged)]
        assert offsets == sorted(offsets)

    await asyncio.gather(*map(write, range(6)))
    await producer.stop()
    reader = LogReader(kafka, topic, range(2))
    await reader.start()
    records = await read_to_end(reader)
    await reader.stop()
    for writer in range(6):
        mine = [record.value for record in records if (record.value or b"").startswith(b"%d " % writer)]
        assert mine == [b"%d %d" % (writer, n) for n in range(200)]


async def test_a_topic_or_partition_that_is_not_there_is_named(kafka: str) -> None:
    topic = new_topic(kafka, 2)
    producer = LogProducer(kafka, "test", deadline_s=3)
    await producer.start()
    with pytest.raises(TopicMismatch, match="there is no partition 2"):
        await producer.send(topic, 2, b"x")
    with pytest.raises((TopicMismatch, LogUnavailable), match="no-such-topic"):
        await producer.send("no-such-topic", 0, b"x")
    assert (await producer.send(topic, 1, b"x")).offset == 0
    await producer.stop()


async def test_no_broker_and_a_stopped_producer_are_unavailable_within_the_deadline() -> None:
    producer = LogProducer("127.0.0.1:1", "test", deadline_s=0.5)
    async with asyncio.timeout(5):
        with pytest.raises(LogUnavailable, match="no broker"):
            await producer.start()
        with pytest.raises(LogUnavailable, match="no broker"):
            await producer.send("t", 0, b"x")
        await producer.stop()
        with pytest.raises(LogUnavailable, match="stopped"):
            await producer.send("t", 0, b"x")


async def test_a_record_that_a_silent_broker_does_not_acknowledge_fails_and_later_ones_go_through(
    fresh_kafka: KafkaBroker,
) -> None:
    topic = new_topic(fresh_kafka.bootstrap)
    producer = LogProducer(fresh_kafka.bootstrap, "test", deadline_s=2)
    await producer.start()
    assert (await producer.send(topic, 0, b"before")).offset == 0
    fresh_kafka.pause()
    waiting = [asyncio.create_task(producer.send(topic, 0, b"lost?")) for _ in range(3)]
    failed = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in failed] == [LogUnavailable] * 3
    fresh_kafka.resume()
    after = await sent_when_back(producer, topic, b"after")
    await producer.stop()
    reader = LogReader(fresh_kafka.bootstrap, topic, [0])
    await reader.start()
    values = [record.value for record in await read_to_end(reader)]
    await reader.stop()
    assert values[0] == b"before"
    assert values[after] == b"after"
    # Unknown means unknown, but never twice.
    assert values.count(b"after") == 1
    assert values.count(b"lost?") <= 3


async def test_records_wait_for_a_broker_that_restarts(fresh_kafka: KafkaBroker) -> None:
    topic = new_topic(fresh_kafka.bootstrap)
    producer = LogProducer(fresh_kafka.bootstrap, "test", deadline_s=180)
    await producer.start()
    await producer.send(topic, 0, b"first")
    fresh_kafka.kill()
    waiting = asyncio.create_task(producer.send(topic, 0, b"second"))
    await asyncio.to_thread(fresh_kafka.start)
    assert (await waiting).offset == 1
    await producer.stop()


async def sent_when_back(producer: LogProducer, topic: str, value: bytes) -> int:
    """The offset of a record, tried until the broker is there again."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                return (await producer.send(topic, 0, value)).offset
            except LogUnavailable:
                continue
