"""Topics on a real broker: apply, diff, check, and questions about them."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition

from app.domain.limits import COMMAND_BYTES_MAX
from app.log import admin
from app.log.admin import Bounds, admin_client, answer, broker_ready, partition_count, topic_bounds, topic_id
from app.log.errors import LogUnavailable, RecordTooLarge
from app.log.producer import LogProducer
from app.log.reader import LogReader
from app.log.schemas import FRAME_BYTES
from app.log.topics import COMMANDS, TopicMismatch, TopicSpec, apply_topics, check_topics, diff_topics, load_topics
from tests.integration.log.places import new_topic, open_transaction, read_to_end, transaction
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack
P = 3


@pytest.fixture(scope="module")
def bootstrap(kafka_factory: Callable[[], KafkaBroker]) -> str:
    return kafka_factory().bootstrap


def test_apply_creates_what_is_missing_once_and_check_is_content(bootstrap: str) -> None:
    specs = load_topics()
    with pytest.raises(TopicMismatch, match=r"missing topics: argosy\.commands, .*run argosy-admin topics apply"):
        check_topics(bootstrap, specs, P)
    assert diff_topics(bootstrap, specs, P, 1) == [f"{spec.name}: missing" for spec in specs]
    done = apply_topics(bootstrap, specs, P, 1)
    assert done[0] == f"argosy.commands: created with {P} partitions"
    assert len(done) == len(specs)
    assert apply_topics(bootstrap, specs, P, 1) == []
    assert diff_topics(bootstrap, specs, P, 1) == []
    check_topics(bootstrap, specs, P)
    assert partition_count(bootstrap, COMMANDS) == P


async def test_a_maximal_command_that_does_not_compress_goes_through_and_one_byte_more_is_refused(
    bootstrap: str,
) -> None:
    apply_topics(bootstrap, load_topics(), P, 1)
    command = os.urandom(COMMAND_BYTES_MAX + FRAME_BYTES)
    producer = LogProducer(bootstrap, "test")
    await producer.start()
    with pytest.raises(RecordTooLarge) as caught:
        await producer.send(COMMANDS, 0, command + b"x", key=b"queue")
    assert (caught.value.size, caught.value.limit) == (len(command) + 1, len(command))
    sent = await asyncio.gather(*(producer.send(COMMANDS, partition, command, key=b"queue") for partition in range(P)))
    await producer.stop()
    reader = LogReader(bootstrap, COMMANDS, start={partition: place.offset for partition, place in enumerate(sent)})
    await reader.start()
    records = await read_to_end(reader)
    await reader.stop()
    assert {record.partition for record in records if record.value == command} == {0, 1, 2}


def test_another_partition_count_is_refused_in_one_line_and_changes_nothing(bootstrap: str) -> None:
    specs = load_topics()
    apply_topics(bootstrap, specs, P, 1)
    for refused in (lambda: check_topics(bootstrap, specs, P + 1), lambda: apply_topics(bootstrap, specs, P + 1, 1)):
        with pytest.raises(TopicMismatch) as caught:
            refused()
        assert str(caught.value).startswith(f"argosy.commands has {P} partitions, the settings say {P + 1}")
        assert "\n" not in str(caught.value)
    assert f"argosy.commands: {P} partitions, must be {P + 1}" in diff_topics(bootstrap, specs, P + 1, 1)
    assert partition_count(bootstrap, COMMANDS) == P


def test_a_config_that_differs_is_told_refused_and_set(bootstrap: str) -> None:
    specs = load_topics()
    apply_topics(bootstrap, specs, P, 1)
    changed = [with_config(spec, "retention.ms", "60000") if spec.name == COMMANDS else spec for spec in specs]
    told = "argosy.commands: retention.ms is 2592000000, must be 60000"
    assert diff_topics(bootstrap, changed, P, 1) == [told]
    with pytest.raises(TopicMismatch, match=r"retention\.ms is 2592000000, must be 60000: run argosy-admin"):
        check_topics(bootstrap, changed, P)
    assert apply_topics(bootstrap, changed, P, 1) == ["argosy.commands: retention.ms set to 60000"]
    check_topics(bootstrap, changed, P)
    assert apply_topics(bootstrap, specs, P, 1) == ["argosy.commands: retention.ms set to 2592000000"]


def with_config(spec: TopicSpec, key: str, value: str) -> TopicSpec:
    return replace(spec, config={**spec.config, key: value})


def test_another_number_of_copies_is_told_and_an_impossible_one_refused(bootstrap: str) -> None:
    specs = load_topics()
    apply_topics(bootstrap, specs, P, 1)
    assert "argosy.commands: 1 copies, must be 3: Kafka's own tools move them" in diff_topics(bootstrap, specs, P, 3)
    fresh = TopicSpec(name="argosy.test-copies", doc="", partitions=1, config={})
    with pytest.raises(TopicMismatch, match=r"argosy\.test-copies could not be created"):
        apply_topics(bootstrap, [fresh], P, 3)


def test_a_config_that_the_broker_does_not_know_is_refused_with_the_topic(bootstrap: str) -> None:
    specs = load_topics()
    apply_topics(bootstrap, specs, P, 1)
    with pytest.raises(TopicMismatch, match=r"argosy\.commands could not be changed"):
        apply_topics(bootstrap, [with_config(specs[0], "no.such.config", "1")], P, 1)


def test_the_id_of_a_topic_is_stable_and_another_one_after_it_was_created_anew(bootstrap: str) -> None:
    name = new_topic(bootstrap)
    first = topic_id(bootstrap, name)
    assert topic_id(bootstrap, name) == first
    client = admin_client(bootstrap)
    answer(client.delete_topics([name])[name])
    spec = TopicSpec(name=name, doc="", partitions=1, config={})
    apply_topics(bootstrap, [spec], P, 1)
    assert topic_id(bootstrap, name) != first


def test_a_topic_that_is_not_there_is_a_mismatch_and_a_broker_that_is_not_there_is_unavailable(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "ANSWER_TIMEOUT_S", 1.0)
    for question in (topic_id, partition_count, topic_bounds):
        with pytest.raises(TopicMismatch, match=r"there is no topic no\.such"):
            question(bootstrap, "no.such")
    assert not broker_ready("127.0.0.1:1", 0.2)
    with pytest.raises(LogUnavailable):
        partition_count("127.0.0.1:1", "x")


def test_bounds_tell_what_was_deleted_and_where_open_transactions_begin(bootstrap: str) -> None:
    topic = new_topic(bootstrap, 2)
    assert topic_bounds(bootstrap, topic) == {0: Bounds(0, 0), 1: Bounds(0, 0)}
    transaction(bootstrap, topic, 0, [b"a", b"b"], commit=True)
    client = admin_client(bootstrap)
    for future in client.delete_records([TopicPartition(topic, 0, 1)]).values():
        answer(future)
    writer = open_transaction(bootstrap, topic, 0, [b"c"])
    assert topic_bounds(bootstrap, topic)[0] == Bounds(1, 3)
    assert topic_bounds(bootstrap, topic, read_committed=False)[0] == Bounds(1, 4)
    writer.abort_transaction()
