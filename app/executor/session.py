"""One instance of an executor as a value: everything that it knows, what it says and what it does next. No I/O, no
clock of its own.

The process (`loop`, `lanes`, `applier`) and the model in tests/property drive this same object: events go in,
requests and actions come out."""

from app.executor.actions import Actions, Create
from app.executor.actual import Actual
from app.executor.answers import Taken, take_answer
from app.executor.desired import Desired
from app.executor.held_runs import FullSchedule, held_runs
from app.executor.kubernetes import Changes, CreateOutcome
from app.executor.node_feed import NodeFeed
from app.executor.observe import take_changes, take_create_outcome, take_deleted, take_marked, take_read
from app.executor.protocol import REPORTS_PER_REQUEST_MAX, Report, SyncAnswer, SyncRequest, format_time
from app.executor.reconcile import commit, create_still_stands, delete_still_stands, reconcile
from app.executor.report_buffer import REPORTS_MAX, ReportBuffer
from app.executor.timings import Timings
from app.executor.wakes import Wakes


class Session:
    """Times are ms of the executor's clock. instance: its ULID; it must hold the cluster's lock before it begins."""

    def __init__(
        self, *, cluster: str, instance: str, start_ms: int, timings: Timings, reports_max: int = REPORTS_MAX
    ) -> None:
        self.cluster = cluster
        self.instance = instance
        self.timings = timings
        self.desired = Desired(cluster=cluster, instance_start_ms=start_ms)
        self.actual = Actual()
        self.reports = ReportBuffer(reports_max)
        self.full = FullSchedule(timings)
        self.nodes = NodeFeed()
        self.reports_per_request = REPORTS_PER_REQUEST_MAX
        self._wakes = Wakes()
        self._touched: set[str] = set()
        self._reports_sequence = 0
        self._leases_sequence = 0

    def take_changes(self, changes: Changes, now_ms: int) -> None:
        """The cluster differs."""
        self._touched |= take_changes(self.desired, self.actual, changes, now_ms)

    def create_ended(self, run_id: str, outcome: CreateOutcome | None, now_ms: int) -> None:
        """A create has an outcome; None: it was not sent."""
        take_create_outcome(self.desired, run_id, outcome, now_ms, self.timings)
        self._touched.add(run_id)

    def read_ended(self, run_id: str, *, found: bool | None, began_ms: int, now_ms: int) -> None:
        """A read by name has a result; None: it failed."""
        take_read(self.desired, run_id, found=found, began_ms=began_ms, now_ms=now_ms, timings=self.timings)
        self._touched.add(run_id)

    def delete_ended(self, run_id: str) -> None:
        """A delete has been sent, or failed."""
        take_deleted(self.desired, run_id)
        self._touched.add(run_id)

    def mark_ended(self, run_id: str, *, done: bool) -> None:
        """A call to mark or release a pod has ended. done: it was carried out, or never can be."""
        take_marked(self.desired, run_id, done=done)
        self._touched.add(run_id)

    def create_stands(self, create: Create, lock_valid: bool) -> bool:
        """To be asked right before a create is sent."""
        return create_still_stands(self.desired, create, lock_valid)

    def delete_stands(self, lock_valid: bool) -> bool:
        """To be asked right before a delete is sent."""
        return delete_still_stands(lock_valid)

    def look(self, now_ms: int, *, lock_valid: bool) -> Actions:
        """What follows from everything that came in, and from time alone; reports are kept for the next request."""
        touched = self._touched | self._wakes.due(now_ms)
        self._touched = set()
        self._wakes.drop(touched)
        actions = reconcile(self.desired, self.actual, now_ms, self.timings, lock_valid=lock_valid, touched=touched)
        commit(self.desired, actions, now_ms)
        self._wakes.add(actions.wake_ms)
        # A lost run of which the API named only the id cannot be reported; `reportedJobs` gives what is needed.
        self.reports.add([report for report in actions.reports if report.job_id is not None])
        return actions

    def has_touched(self, now_ms: int) -> bool:
        """Whether `look` would look at anything."""
        next_ms = self._wakes.next_ms()
        return bool(self._touched) or (next_ms is not None and next_ms <= now_ms)

    def next_look_ms(self) -> int | None:
        """When time alone may change something."""
        return self._wakes.next_ms()

    def has_news(self, now_ms: int) -> bool:
        """Whether the next request of the reports lane would carry more than a heartbeat."""
        return (
            len(self.reports) > 0
            or self.nodes.has_news(self.actual, now_ms)
            or self.full.is_due(now_ms, self.desired.needs_full)
        )

    def reports_request(self, now_ms: int, *, with_nodes: bool = True) -> SyncRequest:
        """A new request of the reports lane: to be sent, as it is, until it is answered.

        Before the log is known nothing can be said of runs: `runs` is then empty, and asks for the log and a full
        answer."""
        runs = None
        if self.full.is_due(now_ms, self.desired.needs_full):
            runs = tuple(report for report in held_runs(self.desired) if report.job_id is not None)
            self.full.sent(now_ms)
        self._reports_sequence += 1
        return SyncRequest(
            cluster=self.cluster,
            instance=self.instance,
            sequence=self._reports_sequence,
            time=format_time(now_ms),
            nodes=self.nodes.next(self.desired, self.actual, now_ms) if with_nodes else None,
            reports=self.reports.batch(self.reports_per_request),
            runs=runs,
            lease_cursor=self.desired.cursor,
        )

    def leases_request(self, now_ms: int, wait_ms: int) -> SyncRequest:
        """A new request of the leases lane."""
        self._leases_sequence += 1
        return SyncRequest(
            cluster=self.cluster,
            instance=self.instance,
            sequence=self._leases_sequence,
            time=format_time(now_ms),
            lease_cursor=self.desired.cursor,
            wait_ms=wait_ms,
        )

    def take_answer(self, request: SyncRequest, answer: SyncAnswer, now_ms: int) -> Taken:
        """The answer to the outstanding request of a lane. Raises LogChangedError."""
        self.reports.drop(request.reports)
        if answer.ask_nodes:
            self.nodes.ask()
        full = request.runs is not None
        taken = take_answer(self.desired, self.actual, answer, full=full)
        if full and answer.leases_known and not taken.dropped:
            self.full.answered(now_ms)
        self._touched |= taken.touched
        return taken

    def drop_refused(self, request: SyncRequest, indexes: set[int]) -> tuple[Report, ...]:
        """Reports of a request that the API refused as wrong: they are dropped, else nothing would ever be said
        again."""
        refused = tuple(report for index, report in enumerate(request.reports) if index in indexes)
        self.reports.drop(refused)
        return refused
