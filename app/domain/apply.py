"""`apply`: the one place where changes become rows, live and in every check that folds them again.

A change that does not fit the row it meets (an illegal transition, another run) raises IllegalTransition and writes
nothing.
"""

from msgspec.structs import replace

from app.domain.changes import (
    Change,
    EpochBegun,
    IdForgotten,
    IdRemembered,
    InstanceBegun,
    JobEvent,
    OperationMoved,
    QueueCreated,
    QueueDeleted,
    QueueUpdated,
    RunStopped,
    SettingsChanged,
)
from app.domain.events import Event, JobData
from app.domain.lifecycle import STATE_CODES, STATES, EventKind, IllegalTransition, JobState, after
from app.domain.limits import AVOID_NODES_MAX
from app.domain.rows import (
    FLAG_GANG,
    FLAG_MORE,
    FLAG_PREEMPTIBLE,
    FLAG_STOPPING,
    JOB_HEAD,
    NO_RUN,
    POSITION_KEY,
    SETTINGS_KEY,
    JobGang,
    JobHead,
    JobMore,
    JobRow,
    PositionRow,
    QueueRow,
    RunRow,
    cluster_key,
    incarnation_of,
    job_key,
    name_hash,
    operation_key,
    queue_key,
    run_key,
)
from app.domain.state import FIRST_POSITION, Overlay, gang_key_of

NO_MORE = JobMore()


def head_of(row: JobRow) -> JobHead:
    """The fixed field of a job's row, unpacked."""
    return JobHead._make(JOB_HEAD.unpack(row.head))


def position_of(state: Overlay) -> PositionRow:
    """How far the partition is decided, as of the step in hand."""
    row = state.row(POSITION_KEY)
    return row if isinstance(row, PositionRow) else FIRST_POSITION


def job_of(state: Overlay, job_id: bytes) -> JobRow | None:
    """The row of a live job."""
    row = state.row(job_key(job_id))
    return row if isinstance(row, JobRow) else None


def apply(state: Overlay, change: Change, offset: int, log_time_ms: int) -> None:
    """Turns one change of the command at `offset` into rows. Raises IllegalTransition and then has written nothing."""
    if isinstance(change, JobEvent):
        if change.event.kind is EventKind.SUBMITTED:
            _submitted(state, change, offset, log_time_ms)
        else:
            _job_event(state, change, offset, log_time_ms)
    elif isinstance(change, RunStopped):
        _run_stopped(state, change, offset)
    elif isinstance(change, IdRemembered):
        state.put_id(change.key, change.row)
    elif isinstance(change, IdForgotten):
        state.put_id(change.key, None)
    elif isinstance(change, OperationMoved):
        state.put(operation_key(change.offset), change.row)
    elif isinstance(change, QueueCreated):
        row = QueueRow(incarnation=incarnation_of(offset, change.place), created_ms=log_time_ms, spec=change.spec)
        state.put(queue_key(change.spec.name), row)
    elif isinstance(change, QueueUpdated):
        state.put(queue_key(change.spec.name), replace(_queue_of(state, change.spec.name), spec=change.spec))
    elif isinstance(change, QueueDeleted):
        state.put(queue_key(_queue_of(state, change.name).spec.name), None)
    elif isinstance(change, EpochBegun):
        state.put(POSITION_KEY, replace(position_of(state), epoch=change.epoch))
    elif isinstance(change, SettingsChanged):
        state.put(SETTINGS_KEY, change.settings)
        state.put(POSITION_KEY, replace(position_of(state), settings_version=change.settings.version))
    elif isinstance(change, InstanceBegun):
        state.put(cluster_key(change.cluster.cluster), change.cluster)


def _queue_of(state: Overlay, name: str) -> QueueRow:
    row = state.row(queue_key(name))
    if not isinstance(row, QueueRow):
        raise IllegalTransition(f"queue {name} does not exist")
    return row


def _submitted(state: Overlay, change: JobEvent, offset: int, log_time_ms: int) -> None:
    event, data = change.event, change.data
    key = job_key(event.job_id)
    if data is None or state.row(key) is not None:
        raise IllegalTransition("SUBMITTED needs a new job and its data")
    more = JobMore(gang=_gang_of(data, event)) if data.gang is not None else None
    head = JobHead(
        state=STATE_CODES[after(event.kind, None)],
        attempt=0,
        attempted=0,
        flags=(FLAG_PREEMPTIBLE if data.preemptible else 0) | (FLAG_MORE | FLAG_GANG if more is not None else 0),
        priority=data.priority,
        scheduled_at_priority=0,
        submit_ordinal=event.ordinal,
        leased_ordinal=-1,
        submit_offset=offset,
        leased_offset=-1,
        submitted_ms=log_time_ms,
        since_ms=log_time_ms,
        queue_hash=name_hash(change.job_set.queue),
        pool_hash=0,
        cluster_hash=0,
        node_hash=0,
        run_id=NO_RUN,
        shape_hash=data.shape_hash,
    )
    row = JobRow(
        head=JOB_HEAD.pack(*head),
        queue=change.job_set.queue,
        incarnation=change.job_set.incarnation,
        job_set=change.job_set.job_set,
        pools=data.pools,
        more=more,
    )
    state.put(key, row)
    state.job_added(event.job_id, row)
    _member_moved(state, event.job_id, None, row)


def _job_event(state: Overlay, change: JobEvent, offset: int, log_time_ms: int) -> None:
    event = change.event
    row = job_of(state, event.job_id)
    if row is None:
        raise IllegalTransition(f"{event.kind} of a job that is not live")
    head = head_of(row)
    before = STATES[head.state]
    if event.before is not before or after(event.kind, before) is not event.after:
        raise IllegalTransition(f"{event.kind} says {event.before} -> {event.after}, the job is {before}")
    if event.terminal:
        state.put(job_key(event.job_id), None)
        state.job_removed(event.job_id)
        _member_moved(state, event.job_id, row, None)
        return
    head = head._replace(state=STATE_CODES[event.after])
    if event.after is not before:
        head = head._replace(since_ms=log_time_ms)
    if event.kind is EventKind.LEASED:
        row, head = _leased(row, head, change, offset)
    elif event.kind in (EventKind.LEASE_RETURNED, EventKind.LEASE_EXPIRED):
        row, head = _run_left(row, head, event)
    elif event.kind is EventKind.QUEUED:
        row, head = _queued(state, row, head, event)
    elif event.kind is EventKind.RUNNING and row.more is not None and row.more.displaced:
        row, head = _with_more(row, head, replace(row.more, displaced=()))
    elif event.kind is EventKind.REPRIORITIZED and event.priority is not None:
        head = head._replace(priority=event.priority)
        if change.outranks:
            row, head = _with_more(row, head, replace(row.more or NO_MORE, prioritized_offset=offset))
    state.put(job_key(event.job_id), replace(row, head=JOB_HEAD.pack(*head)))


def _gang_of(data: JobData, event: Event) -> JobGang:
    gang = data.gang
    assert gang is not None
    return JobGang(
        gang_id=gang.gang_id,
        cardinality=gang.cardinality,
        uniformity_label=gang.uniformity_label,
        fail_fast=gang.fail_fast,
        priority_class=data.priority_class,
        generation=event.gang_generation or 0,
    )


def _member_moved(state: Overlay, job_id: bytes, before: JobRow | None, row: JobRow | None) -> None:
    """The index of gangs follows a row that came, went or has another generation."""
    was = before.more.gang if before is not None and before.more is not None else None
    now = row.more.gang if row is not None and row.more is not None else None
    if was is None and now is None:
        return
    some = row or before
    gang = gang_key_of(some) if some is not None else None
    assert gang is not None
    state.member_moved(gang, job_id, was.generation if was else None, now.generation if now else None)


def _queued(state: Overlay, row: JobRow, head: JobHead, event: Event) -> tuple[JobRow, JobHead]:
    head = head._replace(attempt=event.attempt)
    gang = row.more.gang if row.more is not None else None
    if row.more is None or gang is None or event.gang_generation in (None, gang.generation):
        return row, head
    moved = replace(gang, generation=event.gang_generation)
    after_row, head = _with_more(row, head, replace(row.more, gang=moved))
    _member_moved(state, event.job_id, row, after_row)
    return after_row, head


def _leased(row: JobRow, head: JobHead, change: JobEvent, offset: int) -> tuple[JobRow, JobHead]:
    lease = change.lease
    if lease is None or head.flags & FLAG_STOPPING:
        raise IllegalTransition("LEASED needs a lease, and no run that is still stopping")
    head = head._replace(
        run_id=lease.run_id,
        scheduled_at_priority=change.scheduled_at_priority,
        leased_offset=offset,
        leased_ordinal=lease.ordinal,
        pool_hash=name_hash(lease.pool),
        cluster_hash=name_hash(lease.cluster),
        node_hash=name_hash(f"{lease.cluster}/{lease.node}"),
    )
    if lease.displaced or row.more is not None:
        more = replace(row.more or NO_MORE, displaced=lease.displaced)
        row, head = _with_more(row, head, more)
    return replace(row, cluster=lease.cluster, node=lease.node, pool=lease.pool), head


def _run_left(row: JobRow, head: JobHead, event: Event) -> tuple[JobRow, JobHead]:
    """The current run is over and the job is queued again (or ends with the next event)."""
    more = replace(row.more or NO_MORE, displaced=())
    attempted = head.attempted
    if event.attempted:
        attempted += 1
        more = replace(more, avoid_nodes=(*more.avoid_nodes, f"{row.cluster}/{row.node}")[-AVOID_NODES_MAX:])
    head = head._replace(
        attempted=attempted,
        run_id=NO_RUN,
        scheduled_at_priority=0,
        leased_offset=-1,
        leased_ordinal=-1,
        pool_hash=0,
        cluster_hash=0,
        node_hash=0,
    )
    row, head = _with_more(row, head, more)
    return replace(row, cluster="", node="", pool=""), head


def _with_more(row: JobRow, head: JobHead, more: JobMore) -> tuple[JobRow, JobHead]:
    kept = None if more == NO_MORE else more
    flags = head.flags & ~(FLAG_MORE | FLAG_STOPPING | FLAG_GANG)
    flags |= FLAG_MORE if kept is not None else 0
    flags |= FLAG_STOPPING if more.stopping_run is not None else 0
    flags |= FLAG_GANG if more.gang is not None else 0
    return replace(row, more=kept), head._replace(flags=flags)


def _run_stopped(state: Overlay, change: RunStopped, offset: int) -> None:
    stop = change.stop
    row = job_of(state, stop.job_id)
    head = head_of(row) if row is not None else None
    if stop.gone:
        if state.row(run_key(stop.run_id)) is not None:
            state.put(run_key(stop.run_id), None)
            if row is not None and head is not None and row.more and row.more.stopping_run == stop.run_id:
                row, head = _with_more(row, head, replace(row.more, stopping_run=None))
                state.put(job_key(stop.job_id), replace(row, head=JOB_HEAD.pack(*head)))
        return
    if row is None or head is None or head.run_id != stop.run_id:
        raise IllegalTransition("only the current run of a live job can be stopped")
    run = RunRow(
        job_id=stop.job_id,
        attempt=stop.attempt,
        cluster=row.cluster,
        node=row.node,
        pool=row.pool,
        shape_hash=head.shape_hash,
        leased_offset=head.leased_offset,
        leased_ordinal=head.leased_ordinal,
        ended_offset=offset,
        reason=stop.reason,
    )
    state.put(run_key(stop.run_id), run)
    row, head = _with_more(row, head, replace(row.more or NO_MORE, stopping_run=stop.run_id))
    state.put(job_key(stop.job_id), replace(row, head=JOB_HEAD.pack(*head)))


def state_of(head: JobHead) -> JobState:
    """The lifecycle state in a job's fixed field."""
    return STATES[head.state]
