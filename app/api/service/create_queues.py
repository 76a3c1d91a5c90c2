"""Creating queues: one command for each partition that the names fall into.

Inputs: QueueInput, the principal. Output: `QueuesAnswer`: what was created, and a fault for each queue that was not.
Rules: features.md Q1, Q2.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.api.command_log import CommandLog, CommandTooLarge
from app.api.errors import ApiError, Fault, invalid
from app.api.service.inputs import QueueInput, QueuePermissionInput
from app.api.service.names import NUL, queue_name_fault
from app.api.service.waiting import QUEUES_VIEW, WaitFor, Waiting, Written
from app.domain.commands import CreateQueues, Permission, Principal, QueueSpec, Subject
from app.domain.limits import NAME_CHARS_MAX
from app.domain.routing import partition_of_name
from app.pods.names import is_qualified_name
from app.pods.violation import member

QUEUES_PER_CALL_MAX = 1_000
LIST_ENTRIES_MAX = 1_000
SUBJECT_KINDS = ("User", "Group")
PRIORITY_FACTOR_MAX = 1e9


@dataclass(slots=True, kw_only=True)
class QueuesAnswer:
    """position: a vector; queues: those created (with LOGGED: those that will be, unless refused)."""

    position: dict[int, int] = field(default_factory=dict)
    queues: list[QueueSpec] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Share:
    """The queues of one partition, with their indexes in the call."""

    specs: list[QueueSpec] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)


class CreateQueuesService:
    """One per process."""

    def __init__(self, log: CommandLog, waiting: Waiting, priority_classes: frozenset[str]) -> None:
        self._log = log
        self._waiting = waiting
        self._priority_classes = priority_classes

    async def create(self, queues: Sequence[QueueInput], principal: Principal, wait_for: WaitFor) -> QueuesAnswer:
        """All queues are checked first; a wrong one refuses the call. Raises ApiError UNAVAILABLE."""
        answer = QueuesAnswer(faults=_faults(queues, self._priority_classes))
        if answer.faults:
            return answer
        shares: dict[int, _Share] = {}
        for index, queue in enumerate(queues):
            share = shares.setdefault(partition_of_name(queue.name, self._log.partitions), _Share())
            share.specs.append(_spec(queue, principal))
            share.indexes.append(index)
        sent = await self._send(shares, principal, answer)
        written = await self._waiting.wait(sent, wait_for, view=QUEUES_VIEW)
        _merge(answer, written, {partition: shares[partition] for partition in sent})
        return answer

    async def _send(self, shares: dict[int, _Share], principal: Principal, answer: QueuesAnswer) -> dict[int, int]:
        commands = {p: CreateQueues(principal=principal, queues=tuple(share.specs)) for p, share in shares.items()}
        results = await asyncio.gather(
            *(self._log.send(p, command, key=command.queues[0].name) for p, command in commands.items()),
            return_exceptions=True,
        )
        sent: dict[int, int] = {}
        failed: ApiError | None = None
        for partition, result in zip(commands, results, strict=True):
            if isinstance(result, int):
                sent[partition] = result
            elif isinstance(result, CommandTooLarge):
                answer.faults.append(invalid("queues", f"the call has {result}"))
            elif isinstance(result, ApiError):
                failed = result
                answer.faults += [
                    Fault(code=result.code, path=f"queues[{index}]", message=result.message, index=index)
                    for index in shares[partition].indexes
                ]
            else:
                raise result
        if failed is not None and not sent:
            raise failed
        return sent


def _merge(answer: QueuesAnswer, written: Written, shares: dict[int, _Share]) -> None:
    answer.position = written.position
    if written.fault is not None:
        answer.faults.append(written.fault)
    for partition, share in shares.items():
        applied = written.applied.get(partition)
        refused: set[int] = set()
        for refusal in applied.outcome.refusals if applied is not None else ():
            places = [refusal.index] if refusal.index >= 0 else list(range(len(share.specs)))
            refused.update(places)
            for place in places:
                index = share.indexes[place]
                path = f"queues[{index}]"
                answer.faults.append(Fault(code=refusal.code, path=path, message=refusal.message, index=index))
        answer.queues += [spec for place, spec in enumerate(share.specs) if place not in refused]


def _spec(queue: QueueInput, principal: Principal) -> QueueSpec:
    owners, groups = tuple(queue.owners or ()), tuple(queue.group_owners or ())
    if not owners and not groups:
        owners = (principal.user,)
    return QueueSpec(
        name=queue.name,
        priority_factor=1.0 if queue.priority_factor is None else queue.priority_factor,
        cordoned=bool(queue.cordoned),
        owners=owners,
        group_owners=groups,
        permissions=tuple(_permission(each) for each in queue.permissions or ()),
        resource_limits=msgspec.json.encode(queue.resource_limits_by_priority_class or {}).decode(),
        labels=dict(queue.labels or {}),
        retry_policies=tuple(queue.retry_policies or ()),
    )


def _permission(given: QueuePermissionInput) -> Permission:
    subjects = tuple(Subject(kind=each.kind, name=each.name) for each in given.subjects)
    return Permission(subjects=subjects, verbs=given.verbs)


def _faults(queues: Sequence[QueueInput], priority_classes: frozenset[str]) -> list[Fault]:
    if not 1 <= len(queues) <= QUEUES_PER_CALL_MAX:
        return [invalid("queues", f"must have 1 to {QUEUES_PER_CALL_MAX:,} queues, not {len(queues):,}")]
    found: list[Fault] = []
    names: set[str] = set()
    for index, queue in enumerate(queues):
        path = f"queues[{index}]"
        fault = queue_name_fault(queue.name, path=f"{path}.name", index=index)
        if fault is None and queue.name in names:
            fault = invalid(f"{path}.name", "stands twice in the call", index=index)
        names.add(queue.name)
        found += [fault] if fault is not None else []
        found += _field_faults(queue, path, index)
        found += _limit_faults(queue.resource_limits_by_priority_class, priority_classes, path, index)
    return found


def _field_faults(queue: QueueInput, path: str, index: int) -> list[Fault]:
    found: list[Fault] = []

    def refuse(name: str, message: str) -> None:
        found.append(invalid(f"{path}.{name}", message, index=index))

    factor = queue.priority_factor
    if factor is not None and not (math.isfinite(factor) and 1.0 <= factor <= PRIORITY_FACTOR_MAX):
        refuse("priorityFactor", f"must be between 1 and {PRIORITY_FACTOR_MAX:,.0f}, not {factor}")
    if queue.retry_policies:
        refuse("retryPolicies", "is not built yet")
    for name, given in (("owners", queue.owners), ("groupOwners", queue.group_owners)):
        if len(given or ()) > LIST_ENTRIES_MAX:
            refuse(name, f"must have at most {LIST_ENTRIES_MAX:,} entries")
        for place, text in enumerate((given or ())[:LIST_ENTRIES_MAX]):
            if not _is_name(text):
                refuse(f"{name}[{place}]", f"must have 1 to {NAME_CHARS_MAX} characters")
    if not _are_labels(queue.labels):
        refuse("labels", "must be an object of texts that are not empty")
    if len(queue.permissions or ()) > LIST_ENTRIES_MAX:
        refuse("permissions", f"must have at most {LIST_ENTRIES_MAX:,} entries")
    for place, permission in enumerate((queue.permissions or ())[:LIST_ENTRIES_MAX]):
        where = f"permissions[{place}]"
        if not permission.subjects or not permission.verbs:
            refuse(where, "must have a subject and a verb")
        if max(len(permission.subjects), len(permission.verbs)) > LIST_ENTRIES_MAX:
            refuse(where, f"must have at most {LIST_ENTRIES_MAX:,} subjects and verbs")
        if not all(_is_name(verb) for verb in permission.verbs[:LIST_ENTRIES_MAX]):
            refuse(f"{where}.verbs", f"must have 1 to {NAME_CHARS_MAX} characters each")
        for number, subject in enumerate(permission.subjects[:LIST_ENTRIES_MAX]):
            if subject.kind not in SUBJECT_KINDS:
                refuse(f"{where}.subjects[{number}].kind", f"must be one of {', '.join(SUBJECT_KINDS)}")
            if not _is_name(subject.name):
                refuse(f"{where}.subjects[{number}].name", f"must have 1 to {NAME_CHARS_MAX} characters")
    return found


def _limit_faults(given: Any, priority_classes: frozenset[str], path: str, index: int) -> list[Fault]:
    """class -> resource -> fraction of a pool that the queue's jobs of the class may hold."""
    where = f"{path}.resourceLimitsByPriorityClass"
    if given is None:
        return []
    if not isinstance(given, dict):
        return [invalid(where, "must be an object: priority class -> resource -> fraction", index=index)]
    found = []
    for name, fractions in given.items():
        at = member(where, name)
        if name not in priority_classes:
            known = ", ".join(sorted(priority_classes))
            found.append(invalid(at, f"there is no such priority class; there are {known}", index=index))
        elif not isinstance(fractions, dict):
            found.append(invalid(at, "must be an object: resource -> fraction", index=index))
        else:
            found += [
                invalid(member(at, resource), "must be a resource's name with a number from 0 to 1", index=index)
                for resource, fraction in fractions.items()
                if not is_qualified_name(resource) or not _is_fraction(fraction)
            ]
    return found[:LIST_ENTRIES_MAX]


def _is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_CHARS_MAX and NUL not in text


def _are_labels(given: Any) -> bool:
    if given is None:
        return True
    return (
        isinstance(given, dict)
        and len(given) <= LIST_ENTRIES_MAX
        and all(isinstance(value, str) and _is_name(key) and _is_name(value) for key, value in given.items())
    )
