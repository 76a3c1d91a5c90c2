"""Token buckets of pools and queues, filled by time.

Input: settings of limiters, the monotonic clock, what rounds have left. Output: the limiters of a round as they
stand at its start.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.scheduling.round import Limiter
from app.settings.scheduler import LimiterSettings


@dataclass(slots=True)
class Bucket:
    """One bucket; full at the beginning unless `tokens` says otherwise."""

    settings: LimiterSettings
    at_s: float
    tokens: float

    @classmethod
    def full(cls, settings: LimiterSettings, now_s: float) -> "Bucket":
        """A new bucket."""
        return cls(settings, now_s, float(settings.burst_tokens))

    def limiter(self, now_s: float) -> Limiter:
        """As it stands now."""
        gained = max(0.0, now_s - self.at_s) * self.settings.tokens_per_s
        burst = float(self.settings.burst_tokens)
        self.tokens, self.at_s = min(burst, self.tokens + gained), max(now_s, self.at_s)
        return Limiter(tokens=self.tokens, burst=burst)

    def left(self, tokens: float) -> None:
        """A round that began with `limiter` has left so many."""
        self.tokens = tokens


class QueueBuckets:
    """Buckets of the queues of a pool, made when they are first asked for."""

    def __init__(self, settings: LimiterSettings | None) -> None:
        self._settings = settings
        self._buckets: dict[str, Bucket] = {}

    def limiters(self, queues: list[str], now_s: float) -> dict[str, Limiter]:
        """By queue; empty when queues are not limited."""
        if self._settings is None:
            return {}
        for name in self._buckets.keys() - set(queues):
            del self._buckets[name]
        for name in queues:
            if name not in self._buckets:
                self._buckets[name] = Bucket.full(self._settings, now_s)
        return {name: bucket.limiter(now_s) for name, bucket in self._buckets.items()}

    def restore(self, tokens: Mapping[str, float], at_s: float) -> None:
        """What queues had left at a time."""
        if self._settings is not None:
            for name, left in tokens.items():
                self._buckets[name] = Bucket(self._settings, at_s, left)

    def left(self, queue: str, tokens: float) -> None:
        """What a round has left of a queue's tokens."""
        if queue in self._buckets:
            self._buckets[queue].left(tokens)
