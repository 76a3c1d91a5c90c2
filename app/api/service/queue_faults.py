"""What is wrong with queues as they are described by a caller. Inputs: QueueInput. Outputs: faults that name the field.

Rules: features.md Q1.
"""

import math
from collections.abc import Sequence
from typing import Any

from app.api.errors import Fault, invalid
from app.api.service.inputs import QueueInput
from app.api.service.names import NUL, queue_name_fault
from app.domain.limits import NAME_CHARS_MAX
from app.pods.names import is_qualified_name
from app.pods.violation import member

QUEUES_PER_CALL_MAX = 1_000
LIST_ENTRIES_MAX = 1_000
SUBJECT_KINDS = ("User", "Group")
PRIORITY_FACTOR_MAX = 1e9


def names_faults(names: Sequence[str]) -> list[Fault]:
    """Of the names of queues that exist."""
    if not 1 <= len(names) <= QUEUES_PER_CALL_MAX:
        return [invalid("names", f"must have 1 to {QUEUES_PER_CALL_MAX:,} queues, not {len(names):,}")]
    found: list[Fault] = []
    seen: set[str] = set()
    for index, name in enumerate(names):
        fault = queue_name_fault(name, path=f"names[{index}]", index=index)
        if fault is None and name in seen:
            fault = invalid(f"names[{index}]", "stands twice in the call", index=index)
        seen.add(name)
        found += [fault] if fault is not None else []
    return found


def queues_faults(queues: Sequence[QueueInput], priority_classes: frozenset[str]) -> list[Fault]:
    """Of descriptions of queues."""
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
