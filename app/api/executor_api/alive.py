"""`ApiAlive`: this process is up, said to every partition of argosy.clusters every 5 s, and whether it can answer
executors.

The leader counts a cluster's silence only while such heartbeats arrive beside it: silence of the API is not silence of
a cluster.
"""

import asyncio
import logging
import time

from app.api.executor_api.lease_answers import LeaseAnswers
from app.api.log_ports import LogWriter
from app.domain.clusters import ApiAlive
from app.log import codec
from app.log.errors import LogUnavailable
from app.log.topics import CLUSTERS

INTERVAL_S = 5.0

logger = logging.getLogger(__name__)


async def say_alive(writer: LogWriter, answers: LeaseAnswers, *, process: str, partitions: int) -> None:
    """Runs until it is cancelled; a broker that is away is tried again."""
    while True:
        alive = ApiAlive(process=process, leases_known=await answers.known(), time_ms=time.time_ns() // 1_000_000)
        value = codec.encode(alive)
        results = await asyncio.gather(
            *(writer.send(CLUSTERS, partition, value, process.encode()) for partition in range(partitions)),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, LogUnavailable):
                logger.warning("the heartbeat of this process could not be logged: %s", result)
                break
            if isinstance(result, BaseException):
                raise result
        await asyncio.sleep(INTERVAL_S)
