"""The transactional producer of one partition: whoever starts it last is the only one that can still commit.

Input: records for any topics. Output: all of them committed, or an exception after which only a new producer with the
same id knows what became of them.
"""

import asyncio
from collections.abc import Mapping, Sequence

import aiokafka

from app.domain.limits import RECORD_BYTES_MAX

TRANSACTION_TIMEOUT_MS = 10_000
"""the broker ends a transaction of a silent owner after this time"""
COMMIT_TIMEOUT_S = 30.0
BATCH_BYTES = 1 << 20


class TransactionFailedError(RuntimeError):
    """a transaction was not acknowledged: fenced, too slow, or no broker"""


Place = tuple[str, int]
"""topic, partition"""
KeyValue = tuple[bytes | None, bytes | None]
"""of a record; value None deletes the key in a compacted topic"""


class TransactionalProducer:
    """Thin shell around aiokafka: one transaction at a time, batches built by hand (ten times cheaper than a send per
    record)."""

    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self._producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=transactional_id,
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            compression_type="zstd",
            linger_ms=0,
            max_request_size=RECORD_BYTES_MAX,
            max_batch_size=BATCH_BYTES,
        )

    async def start(self) -> None:
        """The fence: ends the open transaction of the former owner, which from now on cannot write."""
        await self._producer.start()

    async def commit(self, outgoing: Mapping[Place, Sequence[KeyValue]]) -> dict[Place, int]:
        """Writes all records in one transaction, in order within each topic partition; no place may be empty.

        Returns the offset of the last record per place. Raises TransactionFailedError."""
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                return await self._commit(outgoing)
        except (Exception, asyncio.CancelledError) as error:
            # A cancelled request of the client's own looks like a cancelled task; neither may pass for "try again".
            raise TransactionFailedError(f"{self.transactional_id}: {type(error).__name__}: {error}") from error

    async def _commit(self, outgoing: Mapping[Place, Sequence[KeyValue]]) -> dict[Place, int]:
        await self._producer.begin_transaction()
        sent: list[asyncio.Future[aiokafka.structs.RecordMetadata]] = []
        last: dict[Place, tuple[asyncio.Future[aiokafka.structs.RecordMetadata], int]] = {}
        for place, records in outgoing.items():
            for batch in self._batches(records):
                count = batch.record_count()
                acknowledged = await self._producer.send_batch(batch, place[0], partition=place[1])
                sent.append(acknowledged)
                last[place] = acknowledged, count
        # A batch that was refused must be seen here: the commit would go through without it.
        await asyncio.gather(*sent)
        await self._producer.commit_transaction()
        return {place: acknowledged.result().offset + count - 1 for place, (acknowledged, count) in last.items()}

    def _batches(self, records: Sequence[KeyValue]) -> list[aiokafka.producer.message_accumulator.BatchBuilder]:
        batches = [self._producer.create_batch()]
        append = batches[-1].append
        for key, value in records:
            if append(key=key, value=value, timestamp=None) is None:
                batches.append(self._producer.create_batch())
                append = batches[-1].append
                if append(key=key, value=value, timestamp=None) is None:
                    raise ValueError(f"a record of {len(value or b'')} bytes does not fit a batch")
        for batch in batches:
            batch.close()
        return batches

    async def stop(self) -> None:
        await self._producer.stop()
