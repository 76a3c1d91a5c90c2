"""What can go wrong between a value and the log, as types: each says in one line what is wrong and, where it helps,
what to do."""


class LogError(Exception):
    """Anything of this package."""


class SchemaError(LogError):
    """The schema files, their lock and the classes of app.domain do not fit each other: a fault of the installation."""


class Unencodable(LogError, ValueError):
    """A value does not have the type that its schema says."""


class Undecodable(LogError, ValueError):
    """Bytes that are no value of their schema. `reason` says where it broke."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownSchema(LogError):
    """A schema id that this program's lock does not have: it was written by a newer one. `schema_id` is the id."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(
            f"schema id {schema_id} is not in schemas/avro/registry.lock: written by a newer release; upgrade this one"
        )
        self.schema_id = schema_id


class TopicMismatch(LogError, ValueError):
    """The topics of the cluster are not those of infra/kafka/topics.yaml."""


class TopicsFileInvalid(LogError, ValueError):
    """infra/kafka/topics.yaml is wrong; the message names the topic and the key."""


class LogUnavailable(LogError):
    """The broker did not answer or did not acknowledge in time. The record may or may not have been written."""


class RecordTooLarge(LogError, ValueError):
    """A record is larger than what the log takes. Nothing was written."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a record of {size:,} bytes: at most {limit:,} are taken")
        self.size = size
        self.limit = limit


class OffsetsGone(LogError):
    """The records from `wanted` on are no longer kept (or not there yet): the partition holds `earliest` to `end` -
    1."""

    def __init__(self, topic: str, partition: int, wanted: int, earliest: int, end: int) -> None:
        super().__init__(
            f"{topic} partition {partition}: offset {wanted} is not kept, it holds {earliest} to {end - 1}"
        )
        self.topic = topic
        self.partition = partition
        self.wanted = wanted
        self.earliest = earliest
        self.end = end
