"""New ids: ULIDs of runs and rounds. Time and randomness are injected, so tests know them."""

import os
import time
from collections.abc import Callable

from app.domain.ids import ulid

_RANDOM_BYTES = 10


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


class RunIds:
    """Call it for the next id."""

    def __init__(self, clock_ms: Callable[[], int] = _clock_ms, random: Callable[[int], bytes] = os.urandom) -> None:
        self._clock_ms, self._random = clock_ms, random

    def __call__(self) -> bytes:
        return ulid(self._clock_ms(), int.from_bytes(self._random(_RANDOM_BYTES), "big"))
