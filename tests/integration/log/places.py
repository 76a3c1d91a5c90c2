"""Topics of a test's own on the shared broker, and records in them."""

import itertools
import os
import time
from collections.abc import Sequence

import confluent_kafka
from confluent_kafka.admin import NewTopic

from app.log.admin import admin_client, answer, topic_bounds
from app.log.errors import LogUnavailable, TopicMismatch
from app.log.reader import LogReader, Record

_NUMBERS = itertools.count()
DEADLINE_S = 60.0


def new_topic(bootstrap: str, partitions: int = 1, **config: str) -> str:
    """The name of a new, empty topic; `max_message_bytes` stands for max.message.bytes."""
    name = f"test-log-{os.getpid()}-{next(_NUMBERS)}"
    wanted = {"max.message.bytes": str(16 << 20), **{key.replace("_", "."): value for key, value in config.items()}}
    client = admin_client(bootstrap)
    for future in client.create_topics([NewTopic(name, partitions, 1, config=wanted)]).values():
        answer(future)
    # The broker hears of it from its controller a moment later.
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            topic_bounds(bootstrap, name)
            return name
        except (TopicMismatch, LogUnavailable):
            assert time.monotonic() < deadline, f"{name} was created and is not seen"
            time.sleep(0.05)


def transaction(bootstrap: str, topic: str, partition: int, values: Sequence[bytes], *, commit: bool) -> None:
    """Writes values in one transaction that is committed or aborted."""
    producer = open_transaction(bootstrap, topic, partition, values)
    if commit:
        producer.commit_transaction(DEADLINE_S)
    else:
        producer.abort_transaction(DEADLINE_S)


def open_transaction(bootstrap: str, topic: str, partition: int, values: Sequence[bytes]) -> confluent_kafka.Producer:
    """Writes values in a transaction that is left open; it is over when the producer that is returned ends it."""
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": f"{topic}-{next(_NUMBERS)}", "linger.ms": 0}
    )
    producer.init_transactions(DEADLINE_S)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(DEADLINE_S) == 0
    return producer


async def read_to_end(reader: LogReader) -> list[Record]:
    """Everything up to the ends of all partitions."""
    records: list[Record] = []
    while not reader.at_end:
        records += await reader.poll(timeout_ms=5_000)
    return records
