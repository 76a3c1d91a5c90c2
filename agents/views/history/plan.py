"""From events to what becomes of the tables, without looking at them: every event says where its job stood before.

Input: a batch of EventsRecords. Output: a Plan, in which each job occurs once however many of its events are in the
batch. Pure; the same events give the same rows, however they are cut.
"""

from collections.abc import Callable

import msgspec

from agents.views.history.rows import (
    ATTEMPT,
    BEFORE,
    CATEGORY_ID,
    CLUSTER_ID,
    CODE_ID,
    COLUMNS,
    EXIT_CODE,
    JOB_ID,
    JOB_SET_ID,
    LAST_TRANSITION,
    LEASED,
    NODE_ID,
    PENDING,
    POOL_ID,
    POSITION,
    PRIORITY,
    REASON,
    REQUESTOR,
    RESET,
    RUN,
    RUN_ID,
    STARTED,
    STATE,
    EndedRun,
    EventsRow,
    JobError,
    JobRow,
    JobSetChange,
    Plan,
)
from app.db import names
from app.db.queries.job_records import ORDINAL_BITS, Extra
from app.domain.events import Block, Event, EventsRecord, JobData
from app.domain.lifecycle import ENDED, STATE_CODES, EventKind, JobState
from app.domain.limits import REASON_CHARS_MAX
from app.views.view import Batch, SourceRecord

INT_MAX = (1 << 31) - 1
BIGINT_MAX = (1 << 63) - 1
ATTEMPT_MAX = (1 << 15) - 1
LEXEME_BYTES_MAX = 2_000
"""Postgres takes 2,046"""

_NO_PATCH: JobRow = [None] * (len(COLUMNS) + 2)
_NO_RUN = (None,) * len(RUN)
_SUBMITTED, _QUEUED = EventKind.SUBMITTED, EventKind.QUEUED


def plan(batch: Batch) -> Plan:
    """What a batch does to the tables."""
    planner = _Planner()
    for record in batch.records:
        planner.take(record)
    return planner.finish()


class _Planner:
    """One batch. While events of a block are taken, it knows their record, partition, offset and log time."""

    def __init__(self) -> None:
        self.plan = Plan()
        self.base = 0
        self.time = 0
        self._numbers: dict[tuple[str, str], int] = {}
        self._owners: dict[tuple[str, str, str], tuple[int, int, int]] = {}
        self._handlers: dict[EventKind, Callable[[JobRow, Event], None]] = {
            EventKind.LEASED: self._leased,
            EventKind.PENDING: self._pending,
            EventKind.RUNNING: self._running,
            EventKind.SUCCEEDED: self._succeeded,
            EventKind.FAILED: self._failed,
            EventKind.CANCELLED: self._ended,
            EventKind.PREEMPTED: self._ended,
            EventKind.REJECTED: self._ended,
            EventKind.LEASE_RETURNED: self._returned,
            EventKind.LEASE_EXPIRED: self._returned,
            EventKind.REPRIORITIZED: self._reprioritized,
        }

    def take(self, record: SourceRecord) -> None:
        value = record.value
        assert isinstance(value, EventsRecord), "the history reads argosy.events"
        if not value.blocks:
            return
        self.base = value.offset << ORDINAL_BITS
        self.time = value.log_time_ms
        jobs = {job.job_id: job for job in value.jobs}
        for block, events in record.blocks():
            if events:
                self._block(record.partition, block, events, jobs)

    def _block(self, partition: int, block: Block, events: list[Event], jobs: dict[bytes, JobData]) -> None:
        plan = self.plan
        number = names.job_set_id(block.queue, block.incarnation, block.job_set)
        queue_id = self._name(names.QUEUE, block.queue)
        change = plan.changes.get(number)
        if change is None:
            change = plan.changes[number] = JobSetChange()
            plan.job_sets[number] = (number, queue_id, block.incarnation, partition, _text(block.job_set))
        change.last_transition = max(change.last_transition, self.time)
        plan.events.append(EventsRow(self.base | events[0].ordinal, self.time, number, len(events), block.body))
        new, patches, handlers = plan.new, plan.patches, self._handlers
        for event in events:
            kind = event.kind
            if kind is _SUBMITTED:
                new[event.job_id] = self._new(event, jobs[event.job_id], queue_id, number)
                if change.first_submitted is None:
                    change.first_submitted = self.time
                continue
            if kind is _QUEUED:
                if event.attempt == 0:
                    continue  # says nothing that SUBMITTED did not say
            elif kind not in handlers or event.before in ENDED:
                continue
            row = new.get(event.job_id) or patches.get(event.job_id)
            if row is None:
                row = patches[event.job_id] = self._patch(event)
            row[POSITION] = self.base | event.ordinal
            row[ATTEMPT] = event.attempt if event.attempt < ATTEMPT_MAX else ATTEMPT_MAX
            if event.before is not event.after:
                row[STATE] = STATE_CODES[event.after]
                row[LAST_TRANSITION] = self.time
            if kind is not _QUEUED:
                handlers[kind](row, event)

    def finish(self) -> Plan:
        """Counts the jobs that are new in this batch."""
        for row in self.plan.new.values():
            self.plan.changes[row[JOB_SET_ID]].counts[row[STATE]] += 1
        return self.plan

    def _new(self, event: Event, job: JobData, queue_id: int, number: int) -> JobRow:
        annotations, extra = _annotations(job)
        owner_id, namespace_id, class_id = self._owner(job.owner, job.namespace, job.priority_class)
        return [
            job.job_id,
            job.spec_id,
            self.time,
            self.base | event.ordinal,
            job.memory_bytes if job.memory_bytes < BIGINT_MAX else BIGINT_MAX,
            job.storage_bytes if job.storage_bytes < BIGINT_MAX else BIGINT_MAX,
            queue_id,
            number,
            owner_id,
            namespace_id,
            class_id,
            job.priority,
            job.cpu_milli if job.cpu_milli < INT_MAX else INT_MAX,
            job.gpus if job.gpus < INT_MAX else INT_MAX,
            job.deadline_s if job.deadline_s < INT_MAX else INT_MAX,
            STATE_CODES[event.after],
            min(event.attempt, ATTEMPT_MAX),
            job.preemptible,
            *_NO_RUN,
            job.client_id,
            job.gang.gang_id if job.gang is not None else None,
            job.labels,
            annotations,
            extra,
            None,
            None,
        ]

    def _owner(self, owner: str, namespace: str, priority_class: str) -> tuple[int, int, int]:
        """The numbers of what the jobs of a call mostly share."""
        key = (owner, namespace, priority_class)
        found = self._owners.get(key)
        if found is None:
            found = self._owners[key] = (
                self._name(names.OWNER, owner),
                self._name(names.NAMESPACE, namespace),
                self._name(names.CLASS, priority_class),
            )
        return found

    def _patch(self, event: Event) -> JobRow:
        row = _NO_PATCH.copy()
        row[JOB_ID] = event.job_id
        before = event.before
        assert before is not None, "only SUBMITTED begins a job"
        row[BEFORE] = row[STATE] = STATE_CODES[before]
        row[RESET] = 0
        return row

    def _leased(self, row: JobRow, event: Event) -> None:
        cluster = event.cluster or ""
        row[RUN_ID] = event.run_id
        row[CLUSTER_ID] = self._name(names.CLUSTER, cluster)
        row[NODE_ID] = self._node(cluster, event.node or "")
        row[POOL_ID] = self._name(names.POOL, event.pool or "")
        row[LEASED] = self.time

    def _pending(self, row: JobRow, event: Event) -> None:
        row[PENDING] = self.time

    def _running(self, row: JobRow, event: Event) -> None:
        row[STARTED] = self.time

    def _succeeded(self, row: JobRow, event: Event) -> None:
        row[EXIT_CODE] = event.exit_code

    def _failed(self, row: JobRow, event: Event) -> None:
        if event.before is JobState.QUEUED and event.run_id is not None:
            # No more attempts: the run that has left the job is still its last one.
            cluster = event.cluster or ""
            row[RUN_ID] = event.run_id
            row[CLUSTER_ID], row[NODE_ID] = self._name(names.CLUSTER, cluster), self._node(cluster, event.node or "")
            row[POOL_ID] = self._name(names.POOL, event.pool or "")
        row[EXIT_CODE] = event.exit_code
        row[CATEGORY_ID] = self._name_or_none(names.CATEGORY, event.category)
        row[CODE_ID] = self._name_or_none(names.CODE, event.reason_code)
        row[REQUESTOR] = event.requestor
        self._error(event)

    def _ended(self, row: JobRow, event: Event) -> None:
        row[REASON] = event.reason[:REASON_CHARS_MAX] if event.reason else None
        row[CODE_ID] = self._name_or_none(names.CODE, event.reason_code)
        row[REQUESTOR] = event.requestor

    def _reprioritized(self, row: JobRow, event: Event) -> None:
        if event.priority is not None:
            row[PRIORITY] = event.priority

    def _returned(self, row: JobRow, event: Event) -> None:
        """The run ends and leaves the row: what this batch knows of it goes to `runs`, the rest from the old row."""
        category_id = self._name_or_none(names.CATEGORY, event.category)
        code_id = self._name_or_none(names.CODE, event.reason_code)
        self.plan.runs.append(
            EndedRun(
                event.job_id,
                min(event.attempt, ATTEMPT_MAX),
                self.time,
                event.run_id,
                row[CLUSTER_ID],
                row[NODE_ID],
                row[POOL_ID],
                row[LEASED],
                row[PENDING],
                row[STARTED],
                event.exit_code,
                category_id,
                code_id,
                event.kind.value,
                event.reason[:REASON_CHARS_MAX] if event.reason else None,
                row[LEASED] is not None,
            )
        )
        for place in RUN:
            row[place] = None
        if len(row) > RESET:
            row[RESET] = 1
        self._error(event)

    def _error(self, event: Event) -> None:
        if event.reason or event.containers or event.reason_code:
            self.plan.errors.append(
                JobError(
                    event.job_id,
                    self.base | event.ordinal,
                    self.time,
                    min(event.attempt, ATTEMPT_MAX),
                    event.kind.value,
                    event.reason_code or None,
                    event.reason or None,
                    event.containers or None,
                )
            )

    def _name(self, kind: str, name: str) -> int:
        number = self._numbers.get((kind, name))
        if number is None:
            number = self._numbers[kind, name] = names.name_id(kind, name)
            self.plan.names[number] = (number, kind, _text(name))
        return number

    def _name_or_none(self, kind: str, name: str | None) -> int | None:
        return self._name(kind, name) if name else None

    def _node(self, cluster: str, node: str) -> int:
        number = self._numbers.get((cluster, "\0" + node))
        if number is None:
            number = self._numbers[cluster, "\0" + node] = names.node_id(cluster, node)
            self.plan.names[number] = (number, names.NODE, _text(node))
        return number


def _annotations(job: JobData) -> tuple[list[bytes], str | None]:
    """The lexemes of a job's annotations, and what few jobs have as JSON."""
    lexemes = [f"{key}={value}".encode() for key, value in job.annotations.items()]
    long = {}
    together = b"".join(lexemes)
    if len(together) > LEXEME_BYTES_MAX or b"\0" in together:
        kept = [len(lexeme) <= LEXEME_BYTES_MAX and b"\0" not in lexeme for lexeme in lexemes]
        long = {key: value for (key, value), short in zip(job.annotations.items(), kept, strict=True) if not short}
        lexemes = [lexeme for lexeme, short in zip(lexemes, kept, strict=True) if short]
    if not (long or job.services or job.ingresses or job.external_uri or job.pools or job.gang):
        return lexemes, None
    extra = Extra(
        services=job.services,
        ingresses=job.ingresses,
        external_uri=job.external_uri,
        pools=job.pools,
        annotations=long,
        gang=job.gang,
    )
    return lexemes, msgspec.json.encode(extra).decode()


def _text(value: str) -> str:
    """Postgres takes no NUL in a text."""
    return value.replace("\0", "\ufffd")
