"""Reports that the API has not acknowledged yet (rule 5): in order, bounded; beyond the bound only the latest of each
run is kept."""

from app.executor.protocol import REPORTS_PER_REQUEST_MAX, Report

REPORTS_MAX = 100_000


class ReportBuffer:
    """A queue of reports. `batch` shows the oldest ones, `drop` removes them once they were acknowledged."""

    def __init__(self, reports_max: int = REPORTS_MAX) -> None:
        self._reports: list[Report] = []
        self._reports_max = reports_max
        self.superseded = 0

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, reports: list[Report]) -> None:
        """Appends reports. When the bound is passed, those that a later one of the same run implies are dropped
        (reports are levels)."""
        self._reports.extend(reports)
        if len(self._reports) > self._reports_max:
            before = len(self._reports)
            latest = {report.run_id: index for index, report in enumerate(self._reports)}
            self._reports = [self._reports[index] for index in sorted(latest.values())]
            self.superseded += before - len(self._reports)
            # Runs are bounded by the cluster; the bound grows with them, else every add would sort again.
            self._reports_max = max(self._reports_max, 2 * len(self._reports))

    def batch(self, count_max: int = REPORTS_PER_REQUEST_MAX) -> tuple[Report, ...]:
        """The oldest reports, at most this many."""
        return tuple(self._reports[:count_max])

    def drop(self, batch: tuple[Report, ...]) -> None:
        """Removes what was acknowledged; what was superseded meanwhile is gone already."""
        sent = {id(report) for report in batch}
        head = len(batch)
        self._reports = [report for report in self._reports[:head] if id(report) not in sent] + self._reports[head:]
