"""Gangs: jobs that are placed all or none (features VAL10, DEF4).

Inputs: the gang fields of a job, or Armada's annotations. Outputs: `Gang` (app.domain.commands) or violations; the
check that the members of one call agree. A gang of one job is an ordinary job.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.domain.commands import Gang
from app.domain.limits import GANG_CARDINALITY_MAX, GANG_ID_CHARS_MAX
from app.pods.names import is_qualified_name
from app.pods.violation import Rule, Violation, shown

ANNOTATION_ID = "armadaproject.io/gangId"
ANNOTATION_CARDINALITY = "armadaproject.io/gangCardinality"
ANNOTATION_UNIFORMITY_LABEL = "armadaproject.io/gangNodeUniformityLabel"
ANNOTATION_FAIL_FAST = "armadaproject.io/failFast"


@dataclass(frozen=True, slots=True, kw_only=True)
class GangMember:
    """A job of one call that belongs to a gang; `path` is the field of the job, such as `jobs[3]`."""

    path: str
    gang: Gang
    priority_class: str


def validate_gang(gang: Gang, *, path: str) -> list[Violation]:
    """What is wrong with the fields of a gang; `path` is that of the gang, its fields are named as in the API."""
    violations: list[Violation] = []

    def refuse(field: str, message: str) -> None:
        violations.append(Violation(rule=Rule.VAL10, path=f"{path}.{field}", message=message))

    if not 0 < len(gang.gang_id) <= GANG_ID_CHARS_MAX:
        refuse("id", f"must have 1 to {GANG_ID_CHARS_MAX} characters")
    if not 0 < gang.cardinality <= GANG_CARDINALITY_MAX:
        refuse("cardinality", f"must be between 1 and {GANG_CARDINALITY_MAX:,}, not {gang.cardinality}")
    if gang.uniformity_label is not None and not is_qualified_name(gang.uniformity_label):
        refuse("uniformityLabel", f"{shown(gang.uniformity_label)!r} is not a label key")
    return violations


def gang_of_annotations(annotations: Mapping[str, str], *, path: str) -> tuple[Gang | None, list[Violation]]:
    """The gang that Armada's annotations describe; None without them, or where something is wrong with them."""
    if not any(key in annotations for key in (ANNOTATION_ID, ANNOTATION_CARDINALITY, ANNOTATION_UNIFORMITY_LABEL)):
        return None, []
    violations: list[Violation] = []

    def refuse(key: str, message: str) -> None:
        violations.append(Violation(rule=Rule.VAL10, path=f'{path}["{key}"]', message=message))

    cardinality = annotations.get(ANNOTATION_CARDINALITY, "")
    if not re.fullmatch(r"[0-9]{1,9}", cardinality, re.ASCII) or not 0 < int(cardinality) <= GANG_CARDINALITY_MAX:
        refuse(ANNOTATION_CARDINALITY, f"must be a whole number between 1 and {GANG_CARDINALITY_MAX:,}")
    if not 0 < len(annotations.get(ANNOTATION_ID, "")) <= GANG_ID_CHARS_MAX:
        refuse(ANNOTATION_ID, f"must have 1 to {GANG_ID_CHARS_MAX} characters")
    label = annotations.get(ANNOTATION_UNIFORMITY_LABEL)
    if label is not None and not is_qualified_name(label):
        refuse(ANNOTATION_UNIFORMITY_LABEL, f"{shown(label)!r} is not a label key")
    if annotations.get(ANNOTATION_FAIL_FAST, "true") != "true":
        refuse(ANNOTATION_FAIL_FAST, "must be true where it is given")
    if violations:
        return None, violations
    return Gang(gang_id=annotations[ANNOTATION_ID], cardinality=int(cardinality), uniformity_label=label), []


def effective_gang(gang: Gang | None) -> Gang | None:
    """None for a gang of one job: that is an ordinary job."""
    return gang if gang is not None and gang.cardinality > 1 else None


def validate_members(members: Iterable[GangMember]) -> list[Violation]:
    """Members of a gang in one call must agree with its first one, and not be more than its cardinality."""
    violations: list[Violation] = []
    first: dict[str, GangMember] = {}
    counts: dict[str, int] = {}
    for member in members:
        leader = first.setdefault(member.gang.gang_id, member)
        counts[member.gang.gang_id] = counts.get(member.gang.gang_id, 0) + 1
        pairs = {
            "gang.cardinality": (member.gang.cardinality, leader.gang.cardinality),
            "gang.uniformityLabel": (member.gang.uniformity_label, leader.gang.uniformity_label),
            "gang.failFast": (member.gang.fail_fast, leader.gang.fail_fast),
            "priorityClass": (member.priority_class, leader.priority_class),
        }
        for field, (own, wanted) in pairs.items():
            if own != wanted:
                message = (
                    f"must be the same for all members of gang {shown(member.gang.gang_id)!r}; {leader.path} differs"
                )
                violations.append(Violation(rule=Rule.VAL10, path=f"{member.path}.{field}", message=message))
        if counts[member.gang.gang_id] == leader.gang.cardinality + 1:
            message = f"gang {shown(member.gang.gang_id)!r} has more members in this call than its cardinality"
            violations.append(Violation(rule=Rule.VAL10, path=f"{member.path}.gang.id", message=message))
    return violations
