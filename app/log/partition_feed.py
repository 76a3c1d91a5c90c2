"""Reads partitions of one topic from given offsets, in a thread of the caller's: the blocking half of the reader.

Inputs: start offsets. Outputs: records in order per partition, and where each partition ends. No consumer group:
nothing is committed. librdkafka and not aiokafka: both take 2 µs a record in bulk, but librdkafka fetches,
decompresses and checks outside of Python's lock, and it alone tells the end of a partition when only transaction
markers stand behind the last record.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from app.log.admin import LEADERLESS, POLL_INTERVAL_S
from app.log.errors import LogUnavailable, OffsetsGone, TopicMismatch

END_WAIT_MS = 100
"""how long the broker waits for more before it says that a partition ends here. Records come at once in any case; an
idle reader costs the broker 9 % of a core at 10 ms, 2 % at 100 ms (12 partitions)"""
PREFETCH_BYTES_MAX = 32 << 20
PROBE_AFTER_S = 3.0
"""when nothing came for so long, the broker is asked whether it is there"""
PROBE_TIMEOUT_S = 1.0
SILENCE_MAX_S = 30.0
ANSWER_TIMEOUT_S = 10.0
_END_EVENT = KafkaError._PARTITION_EOF
_GONE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
_NO_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})


class Record(NamedTuple):
    """A record as it stands in the log. value None deletes the key (compacted topics); timestamp_ms: see the topic's
    configuration."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class PartitionFeed:
    """Not thread-safe: one thread at a time. start: partition -> offset of the first record wanted."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        start: Mapping[int, int],
        *,
        client_id: str,
        read_committed: bool = True,
        end_wait_ms: int = END_WAIT_MS,
        silence_max_s: float = SILENCE_MAX_S,
    ) -> None:
        self.topic = topic
        self.positions = dict(start)
        """partition -> offset behind the last record taken and the markers known to follow it"""
        self.ended: set[int] = set()
        """partitions whose end was reached at least once"""
        self.heard_at_s = 0.0
        """monotonic time of the broker's last sign of life"""
        self._silence_max_s = silence_max_s
        self._answer_timeout_s = min(ANSWER_TIMEOUT_S, silence_max_s)
        self._consumer: Any = Consumer(_config(bootstrap, client_id, read_committed, end_wait_ms))
        self._probed_at_s = 0.0
        self._empty_since_s = 0.0

    def open(self) -> None:
        """Begins to fetch. Raises OffsetsGone, TopicMismatch, LogUnavailable; then it is closed."""
        try:
            for partition, offset in self.positions.items():
                earliest, end = self._bounds(partition, self._answer_timeout_s)
                if not earliest <= offset <= end:
                    raise OffsetsGone(self.topic, partition, offset, earliest, end)
            self._consumer.assign([TopicPartition(self.topic, p, offset) for p, offset in self.positions.items()])
        except KafkaException as error:
            self.close()
            raise self._typed(error.args[0]) from error
        except BaseException:
            self.close()
            raise
        self.heard_at_s = self._probed_at_s = self._empty_since_s = time.monotonic()

    def take(self, max_records: int, timeout_s: float) -> list[Record]:
        """What has come, at most `max_records`; waits up to `timeout_s` for the first one, but not behind the end of
        all partitions.

        Raises OffsetsGone, TopicMismatch, LogUnavailable (the broker is silent for longer than silence_max_s)."""
        records: list[Record] = []
        deadline = time.monotonic() + timeout_s
        while True:
            ended_before = len(self.ended)
            first = self._consumer.poll(max(0.0, deadline - time.monotonic()))
            if first is not None:
                self._add(records, first)
                for message in self._consumer.consume(max_records - len(records), 0):
                    self._add(records, message)
            now = time.monotonic()
            if records or first is not None:
                self.heard_at_s = self._empty_since_s = now
            else:
                self._probe(now)
            # Reaching the last end is news, too: whoever waits for it should not wait for the time-out.
            if records or now >= deadline or len(self.ended) != ended_before:
                return records

    def end_offsets(self) -> dict[int, int]:
        """partition -> offset behind its last record, open transactions included. Raises LogUnavailable,
        TopicMismatch."""
        try:
            return {partition: self._bounds(partition, self._answer_timeout_s)[1] for partition in self.positions}
        except KafkaException as error:
            raise self._typed(error.args[0]) from error

    def close(self) -> None:
        self._consumer.close()

    def _add(self, records: list[Record], message: Message) -> None:
        error = message.error()
        if error is None:
            partition, offset = message.partition(), message.offset()
            records.append(Record(partition, offset, message.key(), message.value(), message.timestamp()[1]))
            self.positions[partition] = offset + 1
        elif error.code() == _END_EVENT:
            partition = message.partition()
            self.positions[partition] = message.offset()
            self.ended.add(partition)
        elif error.code() in _GONE:
            raise self._gone(message.partition())
        elif error.fatal() or error.code() in _NO_TOPIC:
            raise self._typed(error)
        # Anything else passes by itself (a broker restarts, a leader moves); silence is watched by _probe.

    def _probe(self, now_s: float) -> None:
        """Nothing came: is the broker there? Raises LogUnavailable when it has been silent for too long."""
        if now_s - max(self._probed_at_s, self._empty_since_s) < PROBE_AFTER_S:
            return
        try:
            self._bounds(next(iter(self.positions)), PROBE_TIMEOUT_S)
            self.heard_at_s = time.monotonic()
        except KafkaException as error:
            if now_s - self.heard_at_s > self._silence_max_s:
                raise self._typed(error.args[0]) from error
        finally:
            self._probed_at_s = time.monotonic()

    def _bounds(self, partition: int, timeout_s: float) -> tuple[int, int]:
        """The first offset that is kept and the one behind the last. Raises KafkaException."""
        place = TopicPartition(self.topic, partition)
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                bounds: tuple[int, int] = self._consumer.get_watermark_offsets(
                    place, timeout=max(0.1, deadline - time.monotonic())
                )
                return bounds
            except KafkaException as error:
                if error.args[0].code() not in LEADERLESS or time.monotonic() >= deadline:
                    raise
            time.sleep(POLL_INTERVAL_S)

    def _gone(self, partition: int) -> OffsetsGone | LogUnavailable | TopicMismatch:
        try:
            earliest, end = self._bounds(partition, self._answer_timeout_s)
        except KafkaException as error:
            return self._typed(error.args[0])
        return OffsetsGone(self.topic, partition, self.positions.get(partition, -1), earliest, end)

    def _typed(self, error: KafkaError) -> LogUnavailable | TopicMismatch:
        if error.code() in _NO_TOPIC:
            return TopicMismatch(f"{self.topic} or one of the partitions {sorted(self.positions)} is not there")
        return LogUnavailable(f"{self.topic} cannot be read: {error.str()}")


def _config(bootstrap: str, client_id: str, read_committed: bool, end_wait_ms: int) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        # Demanded by the library; without subscription and commits no group comes into being.
        "group.id": client_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed" if read_committed else "read_uncommitted",
        "auto.offset.reset": "error",
        "check.crcs": True,
        "log_level": 0,
        "fetch.wait.max.ms": end_wait_ms,
        "fetch.error.backoff.ms": 50,
        # Without this a full queue stops fetching for a whole second.
        "fetch.queue.backoff.ms": 5,
        "queued.max.messages.kbytes": PREFETCH_BYTES_MAX >> 10,
        "queued.min.messages": 100_000,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "socket.timeout.ms": 10_000,
        "socket.connection.setup.timeout.ms": 2_000,
        "topic.metadata.refresh.interval.ms": 60_000,
    }
