"""One life of an idempotent producer: from a producer id of the broker to its end, orderly or not.

An idempotent producer whose sequence has a gap (a batch that failed) can write nothing more, and aiokafka goes on
trying for ever while no broker answers. So whoever uses a connection gives it up (`abandon`) after a failure, with
all that is in it: `lost` tells those who wait.
"""

import asyncio
import contextlib
import logging

import aiokafka
from aiokafka.errors import KafkaError

from app.domain.limits import RECORD_BYTES_MAX

RETRY_BACKOFF_MS = 100
STOP_TIMEOUT_S = 5.0
_BATCH_BYTES = 1 << 20

Appended = asyncio.Future[aiokafka.structs.RecordMetadata]

logger = logging.getLogger(__name__)


class ProducerConnection:
    """To be started once. lost: done when the connection was given up."""

    def __init__(self, bootstrap: str, client_id: str, *, linger_ms: int, request_timeout_ms: int) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=client_id,
            enable_idempotence=True,
            compression_type="zstd",
            linger_ms=linger_ms,
            max_request_size=RECORD_BYTES_MAX,
            max_batch_size=_BATCH_BYTES,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            request_timeout_ms=request_timeout_ms,
        )

    async def start(self) -> None:
        """Raises KafkaError, OSError; then, or cancelled, everything is closed again."""
        try:
            await self._producer.start()
        except BaseException:
            await self.abandon()
            raise

    async def partitions_of(self, topic: str) -> frozenset[int]:
        """Raises KafkaError."""
        return frozenset(await self._producer.partitions_for(topic))

    async def append(self, topic: str, partition: int, value: bytes | None, key: bytes | None) -> Appended:
        """Puts a record behind all earlier ones of its partition. Raises KafkaError."""
        appended: Appended = await self._producer.send(topic, value, key=key, partition=partition)
        return appended

    async def close(self) -> None:
        """Waits for what is in flight, at most STOP_TIMEOUT_S."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._producer.flush()
        await self.abandon()

    async def abandon(self) -> None:
        """Closes at once; what is in flight may or may not reach the log."""
        if self.lost.done():
            return
        self.lost.set_result(None)
        # Not AIOKafkaProducer.stop(): it flushes first, and waits for ever where no broker answers.
        self._producer._closed = True
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                # Without sockets the requests in flight end, which the sender waits for.
                await self._producer.client.close()
                await self._producer._sender.close()
        except (KafkaError, TimeoutError, OSError) as error:
            logger.warning("a connection to the log did not close: %s", error)
