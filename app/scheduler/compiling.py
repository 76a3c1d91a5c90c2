"""Compiling the kernels of rounds in the background of a process.

Output: `wait`, and `running`. The compiler cannot be interrupted, and the interpreter cannot end in an orderly way
while it works: `leave_now` ends the process then, after all has been closed.
"""

import asyncio
import logging
import os
import sys
import threading
import time
from contextlib import suppress

from app.scheduling.schedule import compile_kernels

log = logging.getLogger(__name__)


class Compiling:
    """Begins at once; made inside the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="compiler", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the compiler still works."""
        return self._thread.is_alive()

    async def wait(self) -> None:
        """Returns when the compiler is done; when it failed, too: rounds go on uncompiled then."""
        await asyncio.shield(self._done)

    def leave_now(self) -> None:
        """Ends the process with 0 if the compiler still works."""
        if self.running:
            for handler in logging.getLogger().handlers:
                handler.flush()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def _work(self) -> None:
        began_s = time.monotonic()
        try:
            compile_kernels()
        except Exception:
            log.exception("the kernels of rounds could not be compiled: rounds go on, and take much longer")
        else:
            log.info("the kernels of rounds are compiled after %.1f s", time.monotonic() - began_s)
        with suppress(RuntimeError):
            # The loop may be closed by now.
            self._loop.call_soon_threadsafe(self._done.set_result, None)
