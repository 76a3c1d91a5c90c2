"""Bytes that were handed to the log and are not acknowledged yet: never more than a limit, whoever waits comes in by
turns."""

import asyncio


class InFlight:
    """A record that is larger than all room comes in alone."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._used = 0
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()

    async def enter(self, size: int, timeout_s: float) -> bool:
        """Whether there was room in time; if so, `leave` must follow."""
        if self._turn.locked() or not self._fits(size):
            try:
                async with asyncio.timeout(timeout_s), self._turn:
                    while not self._fits(size):
                        self._left.clear()
                        await self._left.wait()
            except TimeoutError:
                return False
        self._used += size
        return True

    def leave(self, size: int) -> None:
        self._used -= size
        self._left.set()

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self.limit_bytes
