"""The local Kafka and Postgres: what a test or a demo may count on."""

import os

import asyncpg
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.admin.errors import NotReadyError
from app.admin.kafka_node import KafkaNode
from app.admin.postgres_node import run_sql
from app.admin.processes import free_port
from app.log.admin import broker_ready
from tests.stack.server import KafkaBroker, PostgresServer

pytestmark = pytest.mark.stack
MAXIMAL_RECORD_BYTES = 8 * 1024 * 1024


def create_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"max.message.bytes": str(16 * 1024 * 1024)}
    admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1, config=config)])[name].result(30)


def read_one(bootstrap: str, topic: str) -> bytes:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.message.max.bytes": 16 * 1024 * 1024,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        value = message.value()
        assert isinstance(value, bytes)
        return value
    finally:
        consumer.close()


def test_a_maximal_incompressible_record_goes_through_in_a_transaction_and_outlives_a_kill(
    fresh_kafka: KafkaBroker,
) -> None:
    create_topic(fresh_kafka.bootstrap, "sizes")
    value = os.urandom(MAXIMAL_RECORD_BYTES)
    producer = Producer(
        {
            "bootstrap.servers": fresh_kafka.bootstrap,
            "transactional.id": "sizes-0",
            "message.max.bytes": 16 * 1024 * 1024,
            "compression.type": "zstd",
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    errors: list[KafkaError | None] = []
    producer.produce("sizes", value, partition=0, on_delivery=lambda error, _message: errors.append(error))
    producer.commit_transaction(30)
    assert errors == [None]
    fresh_kafka.kill()
    assert not broker_ready(fresh_kafka.bootstrap, 0.2)
    fresh_kafka.start()
    assert read_one(fresh_kafka.bootstrap, "sizes") == value


def test_an_unknown_topic_is_not_created_by_asking_for_it(kafka: str) -> None:
    producer = Producer(
        {"bootstrap.servers": kafka, "message.timeout.ms": 3000, "topic.metadata.propagation.max.ms": 100}
    )
    errors: list[KafkaError | None] = []
    producer.produce("misspelt", b"x", on_delivery=lambda error, _message: errors.append(error))
    producer.flush(10)
    assert [error.code() for error in errors if error] == [KafkaError.UNKNOWN_TOPIC_OR_PART]


def test_a_broker_on_a_taken_port_says_where_to_look(kafka: str, tmp_path: object) -> None:
    node = KafkaNode(
        directory=tmp_path,  # type: ignore[arg-type]
        port=free_port(),
        controller_port=int(kafka.rsplit(":", 1)[1]),
        quick_start=True,
    )
    with pytest.raises(NotReadyError, match=r"Kafka ended with code 1; see .*broker\.log: .*in use"):
        node.start(die_with_parent=True)


async def test_a_database_is_new_empty_and_of_version_18(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
        assert await connection.fetchval("SHOW jit") == "off"
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()


def test_postgres_keeps_what_was_committed_over_a_restart_and_wants_the_password(
    fresh_postgres: PostgresServer,
) -> None:
    run_sql(fresh_postgres.url, "CREATE TABLE kept (x int)")
    fresh_postgres.restart()
    fresh_postgres.kill()
    fresh_postgres.start()
    assert run_sql(fresh_postgres.url, "SELECT count(*) FROM kept") == "0"
    with pytest.raises(Exception, match="password authentication failed"):
        run_sql(fresh_postgres.url.replace("argosy:", "argosy:wrong"), "SELECT 1")
