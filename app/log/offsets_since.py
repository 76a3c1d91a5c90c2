"""Where the records since some time begin.

Input: a bootstrap address, a topic, a time. Output: an offset per partition. Blocks; within an event loop call it in
a thread.
"""

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from app.log.admin import ANSWER_TIMEOUT_S, admin_client, answer, topic_bounds
from app.log.errors import LogUnavailable


def offsets_since(bootstrap: str, topic: str, time_ms: int) -> dict[int, int]:
    """Partition -> the first offset whose record is not older than `time_ms` (ms since 1970), or the end.

    Raises TopicMismatch (there is no such topic), LogUnavailable.
    """
    bounds = topic_bounds(bootstrap, topic)
    client = admin_client(bootstrap)
    wanted = {TopicPartition(topic, number): OffsetSpec.for_timestamp(time_ms) for number in bounds}
    found = client.list_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ANSWER_TIMEOUT_S)
    try:
        offsets = {place.partition: answer(future).offset for place, future in found.items()}
    except KafkaException as error:
        raise LogUnavailable(f"the broker does not answer for {topic}: {error.args[0].str()}") from error
    # -1: no record is that new.
    return {number: offset if offset >= 0 else bounds[number].end for number, offset in offsets.items()}
