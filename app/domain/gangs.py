"""Gangs in deciding: who may join one, leases all or none, and the common restart.

The live members of one generation of a gang are either all queued or all active, because leases are accepted for all
of them or for none and a restart takes all of them back. A generation that is not complete never starts; what an
earlier one left behind does not count for it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from app.domain.apply import state_of
from app.domain.commands import Gang, JobItem, Lease, SubmitJobs
from app.domain.decision import Deciding, Why, is_active
from app.domain.errors import ErrorCode
from app.domain.events import StopReason
from app.domain.lifecycle import EventKind
from app.domain.limits import ATTEMPTS_TOTAL_MAX, GANG_CARDINALITY_MAX, GANG_ID_CHARS_MAX
from app.domain.rows import JobGang, JobRow
from app.domain.state import GangKey, gang_key_of


def effective_gang(item: JobItem) -> Gang | None:
    """The gang of a submitted job; one of a single job is none."""
    return item.gang if item.gang is not None and item.gang.cardinality != 1 else None


def join_gangs(
    d: Deciding, command: SubmitJobs, incarnation: int, wrong: set[int], is_known: Callable[[JobItem], bool]
) -> dict[str, int]:
    """The generation that the call's members of each gang enter.

    Refuses members that differ from those that wait already, or are too many; one refused item refuses all of its gang
    in this call. `wrong`: indexes refused so far, more are added; is_known: whether the item was submitted before."""
    gangs: dict[str, list[int]] = {}
    for index, item in enumerate(command.jobs):
        gang = effective_gang(item)
        if gang is not None:
            gangs.setdefault(gang.gang_id, []).append(index)
    generations: dict[str, int] = {}
    for gang_id, indexes in gangs.items():
        generation, waiting, like = _generation_to_join(d, GangKey(incarnation, gang_id))
        generations[gang_id] = generation
        seen: set[str] = set()
        for index in indexes:
            item = command.jobs[index]
            if index in wrong or (item.client_id is not None and (item.client_id in seen or is_known(item))):
                continue
            if item.client_id is not None:
                seen.add(item.client_id)
            like = like or _row_gang(item, generation)
            waiting += 1
            refused = _why_not_member(item, like, waiting)
            if refused is not None:
                field, message = refused
                d.refuse(index, ErrorCode.INVALID, f"jobs[{index}].{field}", message, item.job_id)
                wrong.add(index)
        if any(index in wrong for index in indexes):
            for index in sorted(set(indexes) - wrong):
                message = f"another job of gang {gang_id} in this call is refused"
                d.refuse(index, ErrorCode.INVALID, f"jobs[{index}].gang.id", message, command.jobs[index].job_id)
                wrong.add(index)
    return generations


def _generation_to_join(d: Deciding, key: GangKey) -> tuple[int, int, JobGang | None]:
    """The generation for a new member, how many members of it wait, and what they agree on.

    It is the newest one that waits and is not complete; else the newest one that waits (where it will be one too many);
    else, when all live members run, the next one."""
    sizes = d.state.gang_sizes(key)
    full: tuple[int, int, JobGang | None] | None = None
    for generation in sorted(sizes, reverse=True):
        job = d.job(d.state.gang_members(key, generation, 1)[0])
        gang = job[0].more.gang if job is not None and job[0].more is not None else None
        assert job is not None, "the index of gangs names a job that is not live"
        assert gang is not None, "the index of gangs names a job that is no member"
        if is_active(state_of(job[1])):
            continue
        if sizes[generation] < gang.cardinality:
            return generation, sizes[generation], gang
        full = full or (generation, sizes[generation], gang)
    return full or (max(sizes, default=-1) + 1, 0, None)


def _row_gang(item: JobItem, generation: int) -> JobGang:
    gang = item.gang
    assert gang is not None
    return JobGang(
        gang_id=gang.gang_id,
        cardinality=gang.cardinality,
        uniformity_label=gang.uniformity_label,
        fail_fast=gang.fail_fast,
        priority_class=item.priority_class,
        generation=generation,
    )


def _why_not_member(item: JobItem, like: JobGang, members: int) -> tuple[str, str] | None:
    """Field and message that speak against a member beside those that are as `like` says; `members` counts it too."""
    gang = _row_gang(item, like.generation)
    if not 0 < len(gang.gang_id) <= GANG_ID_CHARS_MAX:
        return "gang.id", f"must have 1 to {GANG_ID_CHARS_MAX} characters"
    if not 0 < gang.cardinality <= GANG_CARDINALITY_MAX:
        return "gang.cardinality", f"must be between 1 and {GANG_CARDINALITY_MAX:,}, not {gang.cardinality}"
    fields = {
        "gang.cardinality": (gang.cardinality, like.cardinality),
        "gang.uniformityLabel": (gang.uniformity_label, like.uniformity_label),
        "gang.failFast": (gang.fail_fast, like.fail_fast),
        "priorityClass": (gang.priority_class, like.priority_class),
    }
    for field, (own, wanted) in fields.items():
        if own != wanted:
            return field, f"gang {gang.gang_id} has queued members with {_text(wanted)}, this one has {_text(own)}"
    if members > like.cardinality:
        return "gang.id", f"gang {gang.gang_id} has {like.cardinality} members, all of them are queued already"
    return None


def _text(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def refused_gangs(
    d: Deciding, leases: Sequence[Lease], why_not: Callable[[Deciding, Lease], Why | None]
) -> dict[int, Why]:
    """Index -> why, of the leases that must be refused because their gang cannot start as a whole."""
    gangs: dict[tuple[GangKey, int], list[int]] = {}
    cardinality: dict[tuple[GangKey, int], int] = {}
    for index, lease in enumerate(leases):
        row = d.state.row(b"j" + lease.job_id)
        gang = row.more.gang if isinstance(row, JobRow) and row.more is not None else None
        key = gang_key_of(row) if isinstance(row, JobRow) else None
        if gang is not None and key is not None:
            gangs.setdefault((key, gang.generation), []).append(index)
            cardinality[key, gang.generation] = gang.cardinality
    refused: dict[int, Why] = {}
    for whole, indexes in gangs.items():
        gang_id, wanted = whole[0].gang_id, cardinality[whole]
        if len(indexes) != wanted or len({leases[index].job_id for index in indexes}) != wanted:
            message = f"gang {gang_id} starts with all its {wanted} members or not at all, {len(indexes)} are leased"
            refused.update(dict.fromkeys(indexes, (ErrorCode.CONFLICT, "jobId", message)))
            continue
        own = {index: why for index in indexes if (why := why_not(d, leases[index])) is not None}
        if own:
            sibling = ErrorCode.CONFLICT, "jobId", f"another member of gang {gang_id} cannot be leased"
            refused.update({index: own.get(index, sibling) for index in indexes})
    return refused


def restart(d: Deciding, job_id: bytes, row: JobRow, gang: JobGang) -> tuple[str, str] | None:
    """The run of a member has left it: the whole gang waits again as a new generation, runs of the others are stopped.
    Returns reason code and reason why it does not."""
    if gang.fail_fast:
        return "GangMemberLost", f"a run of its gang {gang.gang_id} was returned or lost, and the gang fails fast"
    key = GangKey(row.incarnation, gang.gang_id)
    members = d.state.gang_members(key, gang.generation, gang.cardinality)
    if len(members) < gang.cardinality:
        ended = f"{gang.cardinality - len(members)} of its {gang.cardinality} members have ended"
        return "GangIncomplete", f"gang {gang.gang_id} cannot start again: {ended}"
    jobs = {member: job for member in members if (job := d.job(member)) is not None}
    if any(head.attempt >= ATTEMPTS_TOTAL_MAX for _, head in jobs.values()):
        return "MaxRunsExceeded", f"a member of gang {gang.gang_id} has had {ATTEMPTS_TOTAL_MAX + 1} runs"
    generation = max(d.state.gang_sizes(key)) + 1
    for member in members:
        _queue_again(d, member, gang, generation, other=member != job_id)
    return None


def _queue_again(d: Deciding, member: bytes, gang: JobGang, generation: int, *, other: bool) -> None:
    job = d.job(member)
    assert job is not None
    row, head = job
    was_active = is_active(state_of(head))
    if was_active:
        reason = f"gang {gang.gang_id} starts again: a run of it was returned or lost"
        run: dict[str, Any] = {"run_id": head.run_id, "cluster": row.cluster, "node": row.node, "pool": row.pool}
        d.stop(member, head.run_id, head.attempt, row.cluster, StopReason.RESTARTED, gone=False)
        returned = EventKind.LEASE_RETURNED
        d.event(member, row, head, returned, reason_code="GangRestarted", reason=reason, attempted=False, **run)
        job = d.job(member)
        assert job is not None
        row, head = job
    attempt = head.attempt + 1 if was_active or not other else head.attempt
    d.event(member, row, head, EventKind.QUEUED, attempt=attempt, gang_generation=generation)
    if other:
        d.affect(member)
