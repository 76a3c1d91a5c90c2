"""An answer of the API is taken: what it tells of runs enters `Desired` (rules 2 and 3, positive evidence). Pure but
for its argument.

Inputs: a decoded answer, and whether it answers `runs` (a full answer). Output: the runs that are to be looked at.
"""

from dataclasses import dataclass, field

from msgspec import UNSET

from app.executor import rules
from app.executor.actual import Actual
from app.executor.cursor import Cursor
from app.executor.desired import Desired, Ending, EndKind, Run, Told
from app.executor.observe import sort_pods
from app.executor.protocol import FINISHED, Lease, Stop, SyncAnswer
from app.executor.words import GONE

STOPPED = Ending(kind=EndKind.STOPPED, word=GONE)
UNKNOWN_TO_LOG = Ending(kind=EndKind.UNKNOWN_TO_LOG, word=GONE)


class LogChangedError(Exception):
    """the API answers from another log than before: the installation was set up anew, and this process must start
    anew"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What an answer changed. touched: runs to reconcile. dropped: it was behind, nothing was taken."""

    touched: set[str] = field(default_factory=set)
    dropped: bool = False
    leases: int = 0
    stops: int = 0


def take_answer(desired: Desired, actual: Actual, answer: SyncAnswer, *, full: bool) -> Taken:
    """Enters what an answer tells. Raises LogChangedError; answers without known leases tell nothing."""
    answered = answer.lease_cursor
    if answered is None:
        return Taken()
    sorted_runs: set[str] = set()
    if desired.log is None:
        desired.log = answered.log
        sorted_runs = sort_pods(desired, actual)
    elif desired.log != answered.log:
        raise LogChangedError(f"the API answers from log {answered.log}, before it was {desired.log}")
    if not answer.leases_known:
        return Taken(touched=sorted_runs)
    if rules.answer_is_behind(desired.cursor, answered):
        desired.answers_dropped += 1
        return Taken(dropped=True)
    touched = sorted_runs | {lease.run_id for lease in answer.leases if _told_lease(desired, lease)}
    touched |= {stop.run_id for stop in answer.stops if _told_stop(desired, stop)}
    desired.cursor = answered
    if full:
        touched |= _told_reported(desired, answer)
        touched |= _judge_not_named(desired, actual, answer)
        desired.full_cursor = answered
        desired.needs_full = _leaves_pods_unjudged(desired, answered)
        actual.changed_nodes.update(actual.by_node)
    return Taken(touched=touched, leases=len(answer.leases), stops=len(answer.stops))


def _leaves_pods_unjudged(desired: Desired, answered: Cursor) -> bool:
    """Whether pods were found that this answer's view is too far behind to know (at start: it has not passed our
    BeginInstance)."""
    return any(
        run.told is Told.NOTHING and run.position is not None and not answered.has_passed(run.position)
        for run in desired.runs.values()
    )


def _told_lease(desired: Desired, lease: Lease) -> bool:
    run = desired.runs.get(lease.run_id)
    if run is None:
        run = Run(run_id=lease.run_id)
        desired.runs[lease.run_id] = run
    if run.told in (Told.STOP, Told.NOT_NAMED) or run.is_final:
        return False
    run.job_id, run.attempt, run.position = lease.job_id, lease.attempt, lease.position
    if run.told is Told.NOTHING:
        run.told = Told.LEASE
    if run.lease is None:
        run.lease = lease
    return True


def _told_stop(desired: Desired, stop: Stop) -> bool:
    run = desired.runs.get(stop.run_id)
    if stop.reason == FINISHED:
        if run is None:
            return False
        run.finished = True
        return True
    if run is None:
        run = Run(run_id=stop.run_id)
        desired.runs[stop.run_id] = run
    run.job_id, run.attempt, run.told = stop.job_id, stop.attempt, Told.STOP
    if run.is_final:
        run.say_gone_again = True
    else:
        run.ending = STOPPED
    return True


def _told_reported(desired: Desired, answer: SyncAnswer) -> set[str]:
    jobs = None if answer.reported_jobs is UNSET else answer.reported_jobs
    for index, run_id in enumerate(answer.reported):
        run = desired.runs.get(run_id)
        if run is None:
            run = Run(run_id=run_id)
            desired.runs[run_id] = run
        if jobs is not None:
            run.job_id, run.attempt = jobs[index].job_id, jobs[index].attempt
        if run.told in (Told.NOTHING, Told.LEASE):
            run.told = Told.REPORTED
    return set(answer.reported)


def _judge_not_named(desired: Desired, actual: Actual, answer: SyncAnswer) -> set[str]:
    """Runs that a full answer does not name: forgotten when nothing of them is left, else to be ended, on positive
    evidence only."""
    answered = answer.lease_cursor
    assert isinstance(answered, Cursor), "only an answer with a cursor is taken"
    begins = (
        {}
        if answer.log_begins is UNSET
        else {int(partition): offset for partition, offset in answer.log_begins.items()}
    )
    named = {lease.run_id for lease in answer.leases} | set(answer.reported) | {stop.run_id for stop in answer.stops}
    touched: set[str] = set()
    for run_id in desired.runs.keys() - named:
        run = desired.runs[run_id]
        if not rules.log_has_ended(run, answered, begins):
            continue
        if rules.may_be_forgotten(run, actual.pods.get(run_id)):
            del desired.runs[run_id]
            desired.waiting.discard(run_id)
            continue
        run.told = Told.NOT_NAMED
        if not run.is_final and run.ending is None:
            run.ending = UNKNOWN_TO_LOG
        touched.add(run_id)
    return touched
