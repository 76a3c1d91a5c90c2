"""Deciding CreateQueues, UpdateQueues and DeleteQueues. Rules: features Q1 to Q3.

Global verbs decide here: an owner may do everything with the jobs of his queue, but not enlarge its share.
"""

import math

from msgspec.structs import asdict, replace

from app.domain.authority import CORDON_QUEUE, CREATE_QUEUE, DELETE_QUEUE
from app.domain.changes import QueueCreated, QueueDeleted, QueueUpdated
from app.domain.commands import CreateQueues, DeleteQueues, Principal, QueueChange, QueueSpec, UpdateQueues
from app.domain.decision import Deciding, Why
from app.domain.errors import ErrorCode
from app.domain.limits import QUEUES_PER_COMMAND_MAX
from app.domain.rows import QueueRow, queue_key


def create_queues(d: Deciding, command: CreateQueues) -> None:
    """Creates the queues that do not exist. Who creates a queue without owners owns it."""
    principal = command.principal
    if CREATE_QUEUE not in principal.verbs:
        d.refuse(
            -1,
            ErrorCode.FORBIDDEN,
            "queues",
            f"{principal.user} may not create queues: the verb {CREATE_QUEUE} is needed",
        )
        return
    for index, spec in enumerate(command.queues):
        if index >= QUEUES_PER_COMMAND_MAX:
            message = f"one command creates at most {QUEUES_PER_COMMAND_MAX:,} queues: split the call"
            d.refuse(index, ErrorCode.INVALID, f"queues[{index}]", message)
            continue
        if d.state.row(queue_key(spec.name)) is not None:
            d.refuse(index, ErrorCode.CONFLICT, f"queues[{index}].name", f"queue {spec.name} exists already")
            continue
        if not spec.owners and not spec.group_owners:
            spec = replace(spec, owners=(principal.user,))
        d.change(QueueCreated(spec, index))


def update_queues(d: Deciding, command: UpdateQueues) -> None:
    """Describes queues anew, each by itself; one that is as wanted already stays untouched."""
    for index, change in enumerate(command.queues):
        row = d.state.row(queue_key(change.name))
        if not isinstance(row, QueueRow):
            message = f"queue {change.name} does not exist"
            d.refuse(index, ErrorCode.NOT_FOUND, f"queues[{index}].name", message, change.name.encode())
            continue
        spec = changed(row.spec, change)
        why = _why_not(command.principal, row.spec, change, spec)
        if why is not None:
            code, path, message = why
            d.refuse(index, code, f"queues[{index}]{path}", message, change.name.encode())
        elif spec != row.spec:
            d.change(QueueUpdated(spec))


def delete_queues(d: Deciding, command: DeleteQueues) -> None:
    """Deletes queues without live jobs."""
    if DELETE_QUEUE not in command.principal.verbs:
        message = f"{command.principal.user} may not delete queues: the verb {DELETE_QUEUE} is needed"
        d.refuse(-1, ErrorCode.FORBIDDEN, "names", message)
        return
    for index, name in enumerate(command.names):
        path, row = f"names[{index}]", d.state.row(queue_key(name))
        if not isinstance(row, QueueRow):
            d.refuse(index, ErrorCode.NOT_FOUND, path, f"queue {name} does not exist", name.encode())
        elif d.state.jobs_of_queue(row.incarnation, 1):
            message = f"queue {name} has jobs that have not ended: cancel them, or wait for their ends"
            d.refuse(index, ErrorCode.CONFLICT, path, message, name.encode())
        else:
            d.change(QueueDeleted(name))


def changed(spec: QueueSpec, change: QueueChange) -> QueueSpec:
    """The queue as it is described from now on. A change that names no owner at all leaves them as they are."""
    given = {name: value for name, value in asdict(change).items() if value is not None}
    if not given.get("owners", spec.owners) and not given.get("group_owners", spec.group_owners):
        given |= {"owners": spec.owners, "group_owners": spec.group_owners}
    return replace(spec, **given)


def _why_not(principal: Principal, spec: QueueSpec, change: QueueChange, wanted: QueueSpec) -> Why | None:
    cordons_only = change == QueueChange(name=change.name, cordoned=change.cordoned)
    if not cordons_only and CREATE_QUEUE not in principal.verbs:
        message = f"{principal.user} may not change queues: the verb {CREATE_QUEUE} is needed"
        return ErrorCode.FORBIDDEN, "", message
    if (cordons_only or wanted.cordoned != spec.cordoned) and CORDON_QUEUE not in principal.verbs:
        message = f"{principal.user} may not cordon queues: the verb {CORDON_QUEUE} is needed"
        return ErrorCode.FORBIDDEN, ".cordoned", message
    if not (math.isfinite(wanted.priority_factor) and wanted.priority_factor > 0):
        return ErrorCode.INVALID, ".priorityFactor", f"must be above 0, not {wanted.priority_factor}"
    return None
