"""The idempotent producer: records to explicit partitions, in order, each acknowledged by the broker or failed with a
type.

Input: encoded values. Output: their offsets. A record that failed is never sent again here. After a failure or a
missed deadline the connection is given up with everything in it; later records go through a new one.
"""

import asyncio
import logging
import time
from typing import NamedTuple

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordTooLargeError, UnknownTopicOrPartitionError

from app.domain.limits import COMMAND_BYTES_MAX, RECORD_BYTES_MAX
from app.log.errors import LogError, LogUnavailable, RecordTooLarge, TopicMismatch
from app.log.in_flight import InFlight
from app.log.producer_connection import Appended, ProducerConnection
from app.log.schemas import FRAME_BYTES
from app.log.topics import COMMANDS

__all__ = ["LogProducer", "LogUnavailable", "RecordTooLarge", "Sent"]

DEADLINE_S = 10.0
IN_FLIGHT_BYTES_MAX = 64 << 20
"""of all partitions together; a request to a broker carries a batch of each, and takes at most 100 MiB"""
CONNECT_INTERVAL_S = 0.1
KEY_BYTES_MAX = 4 << 10
ENVELOPE_BYTES = 8 << 10
"""more than a key and what Kafka adds to a record that travels alone"""

logger = logging.getLogger(__name__)


class Sent(NamedTuple):
    """Where a record was appended. timestamp_ms: the broker's, where the topic has LogAppendTime, else the
    producer's."""

    offset: int
    timestamp_ms: int


class LogProducer:
    """One per process and purpose, in one event loop. deadline_s: a record that is not acknowledged by then has
    failed."""

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        deadline_s: float = DEADLINE_S,
        linger_ms: int = 0,
        in_flight_bytes_max: int = IN_FLIGHT_BYTES_MAX,
    ) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._deadline_s = deadline_s
        self._linger_ms = linger_ms
        self._in_flight = InFlight(in_flight_bytes_max)
        self._connection: ProducerConnection | None = None
        self._connecting = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def start(self) -> None:
        """Raises LogUnavailable when no broker answers before the deadline."""
        await self._connected(time.monotonic() + self._deadline_s)

    async def stop(self) -> None:
        """Waits for what is in flight, at most 5 s, and closes. Records that are sent afterwards are refused."""
        self._stopped = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        await asyncio.gather(*self._ending)

    async def send(self, topic: str, partition: int, value: bytes | None, key: bytes | None = None) -> Sent:
        """Appends a record (value None deletes its key in a compacted topic) and returns when all replicas in sync
        have it.

        Raises RecordTooLarge (nothing was written), TopicMismatch (no such topic or partition), LogUnavailable (it
        may or may not have been written)."""
        return await (await self.enqueue(topic, partition, value, key))

    async def enqueue(
        self, topic: str, partition: int, value: bytes | None, key: bytes | None = None
    ) -> "asyncio.Task[Sent]":
        """Puts a record behind all earlier ones of its partition; the task that it returns ends like `send`. Raises
        like it."""
        size = len(value or b"")
        if size > size_limit(topic):
            raise RecordTooLarge(size, size_limit(topic))
        if key is not None and len(key) > KEY_BYTES_MAX:
            raise RecordTooLarge(len(key), KEY_BYTES_MAX)
        deadline = time.monotonic() + self._deadline_s
        if not await self._in_flight.enter(size, self._deadline_s):
            raise LogUnavailable(f"{self._in_flight.limit_bytes:,} bytes are waiting to be written to the log")
        try:
            connection = await self._connected(deadline)
            appended = await self._append(connection, topic, partition, value, key, deadline)
        except BaseException:
            self._in_flight.leave(size)
            raise
        task = asyncio.create_task(self._acknowledged(connection, appended, topic, size, deadline))
        task.add_done_callback(lambda done: self._over(done, size))
        return task

    def _over(self, task: "asyncio.Task[Sent]", size: int) -> None:
        self._in_flight.leave(size)
        if not task.cancelled():
            # Marks it as seen: who does not wait for the task does not want to know.
            task.exception()

    async def _append(
        self,
        connection: ProducerConnection,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None,
        deadline: float,
    ) -> Appended:
        try:
            async with asyncio.timeout_at(self._loop_time(deadline)):
                known = await connection.partitions_of(topic)
                if partition in known:
                    return await connection.append(topic, partition, value, key)
        except TimeoutError as error:
            self._give_up(connection)
            raise LogUnavailable(f"no broker took a record for {topic} within {self._deadline_s:g} s") from error
        except KafkaError as error:
            self._give_up(connection)
            raise _typed(error, topic, len(value or b"")) from error
        raise TopicMismatch(f"{topic} has {len(known)} partitions, there is no partition {partition}")

    async def _acknowledged(
        self, connection: ProducerConnection, appended: Appended, topic: str, size: int, deadline: float
    ) -> Sent:
        timeout_s = max(0.0, deadline - time.monotonic())
        await asyncio.wait([appended, connection.lost], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not appended.done():
            lost = connection.lost.done()
            self._give_up(connection)
            why = "the connection was given up before" if lost else f"that was not done within {self._deadline_s:g} s"
            raise LogUnavailable(f"the log did not acknowledge a record for {topic}: {why}")
        try:
            metadata = appended.result()
        except KafkaError as error:
            self._give_up(connection)
            raise _typed(error, topic, size) from error
        if metadata.offset < 0:
            # A repeated batch that the broker recognised too late to tell its offset.
            raise LogUnavailable(f"a record for {topic} was acknowledged without its offset")
        return Sent(metadata.offset, metadata.timestamp)

    async def _connected(self, deadline: float) -> ProducerConnection:
        """The connection in use, a new one when there is none. Raises LogUnavailable at the deadline."""
        if self._connection is not None:
            return self._connection
        async with self._connecting:
            while self._connection is None:
                if self._stopped:
                    raise LogUnavailable("the producer was stopped")
                self._connection = await self._connect(deadline)
            return self._connection

    async def _connect(self, deadline: float) -> ProducerConnection | None:
        """A started connection; None: to be tried again. Raises LogUnavailable at the deadline."""
        connection = ProducerConnection(
            self._bootstrap,
            self._client_id,
            linger_ms=self._linger_ms,
            request_timeout_ms=int(self._deadline_s * 1000),
        )
        try:
            async with asyncio.timeout_at(self._loop_time(deadline)):
                await connection.start()
                return connection
        except (KafkaError, TimeoutError, OSError) as error:
            if time.monotonic() + CONNECT_INTERVAL_S >= deadline:
                raise LogUnavailable(f"no broker at {self._bootstrap} within {self._deadline_s:g} s") from error
        await asyncio.sleep(CONNECT_INTERVAL_S)
        return None

    def _give_up(self, connection: ProducerConnection) -> None:
        """Later records go through a new connection; what is still in this one fails, unless the broker has it
        already."""
        if self._connection is not connection:
            return
        self._connection = None
        logger.warning("%s gives up its connection to the log", self._client_id)
        task = asyncio.create_task(connection.abandon())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    @staticmethod
    def _loop_time(deadline: float) -> float:
        return asyncio.get_running_loop().time() + max(0.0, deadline - time.monotonic())


def size_limit(topic: str) -> int:
    """The largest value of a record of this topic, in bytes, frame included."""
    return COMMAND_BYTES_MAX + FRAME_BYTES if topic == COMMANDS else RECORD_BYTES_MAX - ENVELOPE_BYTES


def _typed(error: KafkaError, topic: str, size: int) -> LogError:
    if isinstance(error, MessageSizeTooLargeError | RecordTooLargeError):
        return RecordTooLarge(size, size_limit(topic))
    if isinstance(error, UnknownTopicOrPartitionError):
        return TopicMismatch(f"there is no topic {topic}: run argosy-admin topics apply")
    return LogUnavailable(f"the log did not take a record for {topic}: {error or type(error).__name__}")
