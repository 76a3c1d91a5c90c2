"""Deciding SubmitJobs: jobs enter a queue; exact de-duplication by client id and request id."""

from functools import partial

from app.domain.authority import may
from app.domain.changes import IdRemembered, JobSetKey
from app.domain.commands import Gang, JobItem, SubmitJobs
from app.domain.decision import Deciding
from app.domain.errors import ErrorCode
from app.domain.events import Duplicate, Event, JobData, Outcome
from app.domain.gangs import effective_gang, join_gangs
from app.domain.ids import CALL_PREFIX_BYTES, job_id, partition_of_job
from app.domain.lifecycle import EventKind, JobState
from app.domain.limits import JOBS_PER_CALL_MAX
from app.domain.rows import (
    ClientIdRow,
    QueueRow,
    RequestIdRow,
    client_id_key,
    job_key,
    queue_key,
    request_id_key,
)


def submit_jobs(d: Deciding, command: SubmitJobs) -> None:
    """Accepts the jobs of one call, or names the first calls' answers."""
    queue = d.state.row(queue_key(command.queue))
    if not isinstance(queue, QueueRow):
        d.refuse(-1, ErrorCode.NOT_FOUND, "queue", f"queue {command.queue} does not exist")
        return
    if not may(command.principal, "submit", queue.spec):
        d.refuse(-1, ErrorCode.FORBIDDEN, "queue", f"{command.principal.user} may not submit to queue {command.queue}")
        return
    request_key = request_id_key(queue.incarnation, command.request_id) if command.request_id is not None else None
    if request_key is not None:
        first = d.state.id_row(request_key)
        if isinstance(first, RequestIdRow) and _counts(d, first.log_time_ms):
            _repeat(d, command, first)
            return
    wrong = _refuse_unusable(d, command)
    generations = join_gangs(d, command, queue.incarnation, wrong, partial(_is_known, d, queue.incarnation))
    if (wrong and (command.all_or_nothing or len(wrong) == len(command.jobs))) or not command.jobs:
        return
    job_set = JobSetKey(command.queue, queue.incarnation, command.job_set)
    used_specs: set[int] = set()
    for index, item in enumerate(command.jobs):
        if index not in wrong and not _is_duplicate(d, queue.incarnation, index, item):
            gang = effective_gang(item)
            _accept(d, command, job_set, item, gang, generations[gang.gang_id] if gang is not None else None)
            used_specs.add(item.spec)
    d.decision.specs.extend(command.specs[at] for at in sorted(used_specs))
    if request_key is not None:
        outcome = Outcome(refusals=tuple(d.refusals), duplicates=tuple(d.duplicates))
        prefix = command.jobs[0].job_id[:CALL_PREFIX_BYTES]
        row = RequestIdRow(prefix=prefix, outcome=outcome, log_time_ms=d.log_time_ms, jobs=len(command.jobs))
        d.change(IdRemembered(request_key, row))


def _counts(d: Deciding, log_time_ms: int) -> bool:
    """Whether a client or request id of this age still counts, deleted or not."""
    return log_time_ms > d.log_time_ms - d.settings.client_id_retention_ms


def _repeat(d: Deciding, command: SubmitJobs, first: RequestIdRow) -> None:
    """The first answer again, if the call can be the same one."""
    if first.jobs not in (0, len(command.jobs)):
        message = f"request {command.request_id} was a call of {first.jobs} jobs, this one has {len(command.jobs)}"
        d.refuse(-1, ErrorCode.CONFLICT, "requestId", message)
        return
    d.repeated = first.prefix
    d.refusals.extend(first.outcome.refusals)
    d.duplicates.extend(first.outcome.duplicates)


def _refuse_unusable(d: Deciding, command: SubmitJobs) -> set[int]:
    """Refuses jobs that contradict the record they stand in; returns their indexes."""
    before = len(d.refusals)
    if len(command.jobs) > JOBS_PER_CALL_MAX:
        for index in range(len(command.jobs)):
            d.refuse(
                index, ErrorCode.INVALID, "jobs", f"{len(command.jobs)} jobs in a call, at most {JOBS_PER_CALL_MAX}"
            )
    prefix = command.jobs[0].job_id[:CALL_PREFIX_BYTES] if command.jobs else b""
    for index, item in enumerate(command.jobs):
        path = f"jobs[{index}]"
        if not 0 <= item.spec < len(command.specs) or not 0 <= item.shape < len(command.shapes):
            d.refuse(index, ErrorCode.INVALID, path, "no such spec or shape in the call", item.job_id)
        elif item.job_id != job_id(prefix, index) or partition_of_job(item.job_id) != d.partition:
            d.refuse(index, ErrorCode.INVALID, f"{path}.jobId", "the id does not belong to this call", item.job_id)
        elif d.state.row(job_key(item.job_id)) is not None:
            d.refuse(index, ErrorCode.CONFLICT, f"{path}.jobId", "the id is in use", item.job_id)
    return {refusal.index for refusal in d.refusals[before:]}


def _is_known(d: Deciding, incarnation: int, item: JobItem) -> bool:
    """Whether the job was submitted before, under its client id."""
    known = d.state.id_row(client_id_key(incarnation, item.client_id)) if item.client_id is not None else None
    return isinstance(known, ClientIdRow) and _counts(d, known.log_time_ms)


def _is_duplicate(d: Deciding, incarnation: int, index: int, item: JobItem) -> bool:
    if item.client_id is None:
        return False
    key = client_id_key(incarnation, item.client_id)
    known = d.state.id_row(key)
    if isinstance(known, ClientIdRow) and _counts(d, known.log_time_ms):
        d.duplicates.append(Duplicate(index=index, job_id=known.job_id))
        return True
    d.change(IdRemembered(key, ClientIdRow(job_id=item.job_id, log_time_ms=d.log_time_ms)))
    return False


def _accept(
    d: Deciding, command: SubmitJobs, job_set: JobSetKey, item: JobItem, gang: Gang | None, generation: int | None
) -> None:
    principal, shape = command.principal, command.shapes[item.shape]
    ordinal = d.ordinal()
    data = JobData(
        ordinal=ordinal,
        block=0,
        job_id=item.job_id,
        spec_id=command.specs[item.spec].spec_id,
        shape_hash=shape.shape_hash,
        cpu_milli=shape.cpu_milli,
        memory_bytes=shape.memory_bytes,
        storage_bytes=shape.storage_bytes,
        gpus=shape.gpus,
        owner=principal.user,
        groups=principal.groups,
        namespace=item.namespace,
        priority=item.priority,
        priority_class=item.priority_class,
        preemptible=item.preemptible,
        deadline_s=item.deadline_s,
        client_id=item.client_id,
        labels=item.labels,
        annotations=item.annotations,
        services=item.services,
        ingresses=item.ingresses,
        external_uri=item.external_uri,
        pools=item.pools,
        gang=gang,
    )
    submitted = Event(
        ordinal=ordinal,
        kind=EventKind.SUBMITTED,
        job_id=item.job_id,
        before=None,
        after=JobState.QUEUED,
        attempt=0,
        namespace=item.namespace,
        priority=item.priority,
        requestor=principal.user,
        gang_generation=generation,
    )
    d.submitted(job_set, submitted, data)
    job = d.job(item.job_id)
    assert job is not None
    d.event(item.job_id, *job, EventKind.QUEUED)
    d.affect(item.job_id)
