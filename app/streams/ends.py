"""Where partitions end, asked of the broker.

Input: topic partitions. Output: the offset behind the last record, transaction markers and open transactions included.
"""

from collections.abc import Iterable

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

REQUEST_TIMEOUT_S = 10.0


class Ends:
    """One client per process, made at the first use. Blocks: call it in a thread."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: AdminClient | None = None

    def of(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """(topic, partition) -> end. Raises OSError when the broker does not answer."""
        asked = {TopicPartition(topic, partition): OffsetSpec.latest() for topic, partition in places}
        if not asked:
            return {}
        if self._client is None:
            self._client = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 3})
        try:
            answers = self._client.list_offsets(
                asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=REQUEST_TIMEOUT_S
            )
            return {(place.topic, place.partition): answer.result().offset for place, answer in answers.items()}
        except KafkaException as error:
            raise OSError(f"the broker did not say where {len(asked)} partitions end: {error}") from error
