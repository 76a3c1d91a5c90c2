"""Questions to the broker that are asked once: is it there, which topics has it, where do their partitions begin and
end?

Input: a bootstrap address. Output: values. All functions block; within an event loop call them in a thread. Readiness
is asked by the protocol, because an open port says only that a process listens, not that its controller leads and its
metadata is loaded.
"""

import time
from concurrent.futures import Future
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.log.errors import LogUnavailable, TopicMismatch

POLL_INTERVAL_S = 0.05
REQUEST_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 10.0
PROBED_MAX = 16
"""brokers whose readiness is asked for from one process"""
LEADERLESS = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
    }
)
"""passes by itself: the topic was created just now, or a leader moved"""

T = TypeVar("T")


class Bounds(NamedTuple):
    """The offsets that a partition holds: from `earliest` to `end` - 1. end is the last stable offset: records of open
    transactions stand behind it."""

    earliest: int
    end: int


def broker_ready(bootstrap: str, timeout_s: float) -> bool:
    """Whether a broker behind `bootstrap` ("host:port[,host:port]") answers a metadata request within `timeout_s`.

    Never raises for a broker that is absent or still starting; blocks at most `timeout_s` + 1 s.
    """
    client = _probing_client(bootstrap)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if client.list_topics(timeout=min(REQUEST_TIMEOUT_S, max(timeout_s, 0.1))).brokers:
                return True
        except KafkaException:
            pass
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_INTERVAL_S)


@lru_cache(maxsize=PROBED_MAX)
def _probing_client(bootstrap: str) -> AdminClient:
    """Who waits for a broker asks it ten times a second. A client for each question, dropped while the broker was just
    coming up, once never returned from its own end, and with it stood the supervisor that had asked."""
    return admin_client(bootstrap)


def topic_id(bootstrap: str, topic: str) -> str:
    """Kafka's id of a topic: a topic deleted and created again has another one. That of argosy.commands is the
    installation. Raises TopicMismatch (there is no such topic), LogUnavailable."""
    client = admin_client(bootstrap)
    try:
        description = answer(client.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_TIMEOUT_S)[topic])
    except KafkaException as error:
        raise _of_topic(error, topic) from error
    return str(description.topic_id)


def partition_count(bootstrap: str, topic: str) -> int:
    """How many partitions a topic has. Raises TopicMismatch (there is no such topic), LogUnavailable."""
    return len(_partitions(admin_client(bootstrap), topic))


def topic_bounds(bootstrap: str, topic: str, *, read_committed: bool = True) -> dict[int, Bounds]:
    """The offsets that each partition of a topic holds. Raises TopicMismatch (there is no such topic),
    LogUnavailable."""
    client = admin_client(bootstrap)
    partitions = _partitions(client, topic)
    level = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
    earliest = _offsets(client, topic, partitions, OffsetSpec.earliest(), level)
    end = _offsets(client, topic, partitions, OffsetSpec.latest(), level)
    return {number: Bounds(earliest[number], end[number]) for number in partitions}


def admin_client(bootstrap: str) -> AdminClient:
    """A client that says nothing on standard error and finds a restarted broker soon. Keep it in a variable while it
    works."""
    return AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "argosy-admin",
            "log_level": 0,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 200,
            "socket.connection.setup.timeout.ms": 2000,
            "socket.timeout.ms": int(ANSWER_TIMEOUT_S * 1000),
        }
    )


def answer(future: "Future[T]") -> T:
    """The result of an admin request. Raises KafkaException, LogUnavailable (no answer in time)."""
    try:
        return future.result(timeout=ANSWER_TIMEOUT_S + 1)
    except TimeoutError as error:
        raise LogUnavailable(f"no answer from the broker within {ANSWER_TIMEOUT_S:.0f} s") from error


def _partitions(client: AdminClient, topic: str) -> list[int]:
    try:
        metadata = client.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic]
    except KafkaException as error:
        raise _of_topic(error, topic) from error
    if metadata.error is not None:
        raise _of_topic(KafkaException(metadata.error), topic)
    return sorted(metadata.partitions)


def _offsets(
    client: AdminClient, topic: str, partitions: list[int], spec: Any, level: IsolationLevel
) -> dict[int, int]:
    wanted = {TopicPartition(topic, number): spec for number in partitions}
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        found = client.list_offsets(wanted, isolation_level=level, request_timeout=ANSWER_TIMEOUT_S)
        try:
            return {place.partition: answer(future).offset for place, future in found.items()}
        except KafkaException as error:
            if error.args[0].code() not in LEADERLESS or time.monotonic() >= deadline:
                raise _of_topic(error, topic) from error
        time.sleep(POLL_INTERVAL_S)


def _of_topic(error: KafkaException, topic: str) -> LogUnavailable | TopicMismatch:
    cause = error.args[0]
    if cause.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
        return TopicMismatch(f"there is no topic {topic}: run argosy-admin topics apply")
    return LogUnavailable(f"the broker does not answer for {topic}: {cause.str()}")
