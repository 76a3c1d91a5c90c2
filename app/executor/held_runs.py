"""`runs` of a request: every run that this instance holds, in the form of reports, and when they are due (rule 3)."""

from app.executor.desired import Desired
from app.executor.protocol import RUNS_PER_REQUEST_MAX, Report
from app.executor.timings import Timings


def held_runs(desired: Desired) -> tuple[Report, ...]:
    """What was last said of each run that is not forgotten, last words too: a report that was refused is thereby said
    again.

    Above the bound of a request the runs that were said longest ago are left out of this one.
    """
    said = [run.said for run in desired.runs.values() if run.said is not None]
    return tuple(said[-RUNS_PER_REQUEST_MAX:])


class FullSchedule:
    """When to send `runs` and ask for a full answer: at start, every so often, and soon when only that can tell
    something."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._sent_ms: int | None = None
        self._answered_ms: int | None = None

    def is_due(self, now_ms: int, needs_full: bool) -> bool:
        """Whether the next request is to carry `runs`."""
        if self._sent_ms is None:
            return True
        if now_ms < self._sent_ms + self._timings.full_retry_ms:
            return False
        if needs_full or self._answered_ms is None or self._answered_ms < self._sent_ms:
            return True
        return now_ms >= self._answered_ms + self._timings.full_every_ms

    def sent(self, now_ms: int) -> None:
        """A request with `runs` is on its way."""
        self._sent_ms = now_ms

    def answered(self, now_ms: int) -> None:
        """A full answer was taken (not one without known leases, not one that was dropped)."""
        self._answered_ms = now_ms
