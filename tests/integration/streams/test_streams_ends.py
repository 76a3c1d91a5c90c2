"""Where partitions end, on a real broker."""

import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.streams.ends import Ends
from tests.integration.streams.toy_run import eventually

pytestmark = pytest.mark.stack


def test_ends_count_markers_and_open_transactions_and_a_silent_broker_is_an_os_error(kafka: str) -> None:
    topic = f"ends-{time.time_ns()}"
    client = AdminClient({"bootstrap.servers": kafka})
    client.create_topics([NewTopic(topic, 2, 1)])[topic].result(10)
    ends = Ends(kafka)
    assert ends.of([]) == {}

    def knows_the_new_topic() -> bool:
        try:
            return ends.of([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}
        except OSError:
            # Its leader does not know yet that it leads.
            return False

    eventually(knows_the_new_topic)
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": topic})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic, b"x", partition=0)
    producer.commit_transaction(10)
    producer.begin_transaction()
    producer.produce(topic, b"y", partition=1)
    producer.flush(10)
    assert ends.of([(topic, 0), (topic, 1)]) == {(topic, 0): 2, (topic, 1): 1}
    producer.abort_transaction(10)
    with pytest.raises(OSError, match="did not say where"):
        ends.of([("no-such-topic", 0)])
