"""Who of a group works: membership in a consumer group over a topic of one partition.

Input: bootstrap address, group, topic. Output: whether this process owns the partition, and an event whenever that
changes. Nothing is read and no offset is committed. Joining is cooperative, so a newcomer takes nothing from the
owner. Heartbeats come from librdkafka's own thread; a process that is stopped or killed is replaced after the session
timeout.
"""

import asyncio
import logging
import threading
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.log.errors import LogUnavailable

POLL_S = 0.1
STOP_WAIT_S = 10.0
_HEARTBEATS_PER_SESSION = 12

logger = logging.getLogger(__name__)


class Membership:
    """One member. `tenure` counts how often the partition was gained: a new number is a new ownership."""

    def __init__(self, bootstrap: str, group: str, topic: str, *, client_id: str, session_timeout_ms: int) -> None:
        self.tenure = 0
        self._topic = topic
        self._owner = False
        self._failed: str | None = None
        self._changed = asyncio.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._config = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "client.id": client_id,
            "session.timeout.ms": session_timeout_ms,
            "heartbeat.interval.ms": max(100, session_timeout_ms // _HEARTBEATS_PER_SESSION),
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
            "log_level": 3,
        }

    @property
    def owner(self) -> bool:
        """Whether the partition is this member's. Raises LogUnavailable when the membership failed for good."""
        if self._failed is not None:
            raise LogUnavailable(self._failed)
        return self._owner

    async def start(self) -> None:
        """Joins in the background."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="membership", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Leaves the group, so that another member owns the partition at once."""
        self._ending.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, STOP_WAIT_S)

    async def changed(self, timeout_s: float) -> None:
        """Returns after the next gain or loss, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def _run(self) -> None:
        consumer = Consumer(self._config)
        try:
            consumer.subscribe(
                [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )
            while not self._ending.is_set():
                message = consumer.poll(POLL_S)
                error = message.error() if message is not None else None
                if error is not None and error.fatal():
                    raise KafkaException(error)
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    logger.warning("membership: %s", error)
        except KafkaException as error:
            self._tell(owner=False, failed=f"membership in {self._config['group.id']} failed: {error}")
        finally:
            consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        if not partitions:
            return
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._tell(owner=True)

    def _on_revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        if partitions:
            consumer.incremental_unassign(partitions)
            self._tell(owner=False)

    def _tell(self, *, owner: bool, failed: str | None = None) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._set, owner, failed)
        except RuntimeError:
            # The loop is closed: the process ends.
            return

    def _set(self, owner: bool, failed: str | None) -> None:
        if owner and not self._owner:
            self.tenure += 1
        self._owner, self._failed = owner, failed
        self._changed.set()
