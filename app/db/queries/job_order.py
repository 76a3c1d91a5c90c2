"""The orders of a list of jobs and the keys of its rows: what a page begins after.

Equal rows are ordered by id, in the same direction. Whatever the direction, jobs without a run time come last.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from app.db import names
from app.db.queries.job_records import JobRecord
from app.domain.lifecycle import STATE_CODES, JobState

PAGE_ROWS_MAX = 200
KeyPart = int | str


class JobOrderField(StrEnum):
    """ID and SUBMITTED are one order: an id begins with its job's time. STATE: in the order of a job's life. RUN_TIME:
    of the last run, until now while it runs."""

    ID = "ID"
    SUBMITTED = "SUBMITTED"
    LAST_TRANSITION = "LAST_TRANSITION"
    QUEUE = "QUEUE"
    JOB_SET = "JOB_SET"
    STATE = "STATE"
    PRIORITY = "PRIORITY"
    RUN_TIME = "RUN_TIME"


KEY_TYPES: dict[JobOrderField, Any] = {
    JobOrderField.ID: tuple[bytes, tuple[()]],
    JobOrderField.SUBMITTED: tuple[bytes, tuple[()]],
    JobOrderField.LAST_TRANSITION: tuple[bytes, tuple[int]],
    JobOrderField.QUEUE: tuple[bytes, tuple[str]],
    JobOrderField.JOB_SET: tuple[bytes, tuple[str, int]],
    JobOrderField.STATE: tuple[bytes, tuple[int]],
    JobOrderField.PRIORITY: tuple[bytes, tuple[int]],
    JobOrderField.RUN_TIME: tuple[bytes, tuple[int, int, int]],
}
"""JobKey.job_id and JobKey.sort in each order"""


class JobOrder(Struct, frozen=True, kw_only=True):
    """The order of a list."""

    field: JobOrderField = JobOrderField.ID
    descending: bool = True


class JobKey(Struct, frozen=True, kw_only=True):
    """Where a page begins or ends: what a cursor of a list holds. sort: the values that rows are ordered by (of
    KEY_TYPES): time; queue; job set and its number; number of the state; priority; or, of a run time: 1 when there is
    none, ms, and the time until which running jobs are reckoned."""

    job_id: bytes
    sort: tuple[KeyPart, ...] = ()


class PageRequest(Struct, frozen=True, kw_only=True):
    """Up to `limit` (1 to 200) jobs after `key`, or, backwards, the last ones before it. now_ms: the time until which
    running jobs are reckoned in a list that begins with this page."""

    limit: int = 50
    key: JobKey | None = None
    backwards: bool = False
    now_ms: int = 0

    @property
    def reckoned_ms(self) -> int:
        """Run times of a list are all reckoned until the time of its first page, so that no row moves between pages."""
        if self.key is not None and len(self.key.sort) == 3:
            return int(self.key.sort[2])
        return self.now_ms


def key_of(order: JobOrder, page: PageRequest, job: JobRecord) -> JobKey:
    """The key of a row of a page."""
    sort: tuple[KeyPart, ...] = ()
    if order.field is JobOrderField.LAST_TRANSITION:
        sort = (job.last_transition_ms,)
    elif order.field is JobOrderField.QUEUE:
        sort = (job.queue,)
    elif order.field is JobOrderField.JOB_SET:
        sort = (job.job_set, names.job_set_id(job.queue, job.incarnation, job.job_set))
    elif order.field is JobOrderField.STATE:
        sort = (STATE_CODES[job.state],)
    elif order.field is JobOrderField.PRIORITY:
        sort = (job.priority,)
    elif order.field is JobOrderField.RUN_TIME:
        run_ms = run_time_ms(job, page.reckoned_ms)
        sort = (int(run_ms is None), run_ms or 0, page.reckoned_ms)
    return JobKey(job_id=job.job_id, sort=sort)


def run_time_ms(job: JobRecord, now_ms: int) -> int | None:
    """How long the last run took, or has taken until `now_ms`; None when it never began to run."""
    if job.started_ms is None:
        return None
    if job.state is JobState.RUNNING:
        return now_ms - job.last_transition_ms
    return job.last_transition_ms - job.started_ms
