"""The lock of a cluster (a Kubernetes Lease there): one instance acts, and only while it certainly holds it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from app.executor.exits import ExecutorExit, ExitCode
from app.executor.kubernetes import Cluster, ClusterUnavailableError, LockHeldError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTimings:
    """duration_ms: how long the lock stands without renewal. margin_ms: so long before its end nothing is begun any
    more.

    wait_ms: how long a new instance waits for a lock that an earlier one left behind."""

    duration_ms: int = 15_000
    renew_every_ms: int = 4_000
    margin_ms: int = 5_000
    wait_ms: int = 20_000

    def __post_init__(self) -> None:
        if not 0 < self.renew_every_ms < self.duration_ms - self.margin_ms:
            raise ValueError("the lock must be renewed well before its margin begins")


class Lock:
    """holder: the instance. monotonic_ms never goes backwards, whatever happens to the wall clock."""

    def __init__(self, cluster: Cluster, holder: str, timings: LockTimings, monotonic_ms: Callable[[], int]) -> None:
        self._cluster = cluster
        self._holder = holder
        self._timings = timings
        self._monotonic_ms = monotonic_ms
        self._valid_until_ms = -1

    @property
    def is_valid(self) -> bool:
        """Whether this instance certainly holds the lock, for long enough to begin something."""
        return self._monotonic_ms() < self._valid_until_ms

    async def acquire(self) -> None:
        """Takes the lock; one left behind by a dead instance runs out meanwhile. Raises ExecutorExit LOCK_HELD."""
        deadline_ms = self._monotonic_ms() + self._timings.wait_ms
        said = False
        while True:
            try:
                await self._hold()
                return
            except LockHeldError as error:
                if self._monotonic_ms() >= deadline_ms:
                    raise ExecutorExit(
                        ExitCode.LOCK_HELD, f"another executor runs for this cluster: its lock is {error}"
                    ) from None
                if not said:
                    log.info("waiting for the cluster's lock: %s", error)
                    said = True
            except ClusterUnavailableError as error:
                if not said:
                    log.warning("waiting for the cluster: %s", error)
                    said = True
            await asyncio.sleep(min(1_000, self._timings.renew_every_ms) / 1_000)

    async def keep(self) -> None:
        """Renews the lock for ever. Raises ExecutorExit LOCK_HELD when somebody else has it."""
        while True:
            await asyncio.sleep(self._timings.renew_every_ms / 1_000)
            try:
                await self._hold()
            except LockHeldError as error:
                self._valid_until_ms = -1
                raise ExecutorExit(
                    ExitCode.LOCK_HELD, f"the cluster's lock was lost to another executor: {error}"
                ) from None
            except ClusterUnavailableError as error:
                log.warning("the cluster's lock cannot be renewed now: %s", error)

    async def release(self) -> None:
        """Gives it back at an orderly stop; a cluster that is away lets it run out."""
        self._valid_until_ms = -1
        try:
            await self._cluster.release_lock(self._holder)
        except ClusterUnavailableError:
            log.info("the cluster's lock was not given back and will run out")

    async def _hold(self) -> None:
        began_ms = self._monotonic_ms()
        await self._cluster.hold_lock(self._holder, self._timings.duration_ms)
        self._valid_until_ms = began_ms + self._timings.duration_ms - self._timings.margin_ms
