"""Gangs of a submit call: whose member a job is, by its field `gang` or by Armada's annotations, and whether the
members of the call fit each other (features VAL10, DEF4).

Inputs: JobInput, then the checked members. Outputs: `Gang` or violations; faults by index in the call.
"""

from collections.abc import Iterable, Mapping

from app.api.errors import Fault, invalid
from app.api.service.inputs import JobInput
from app.api.service.names import NUL, fault_of
from app.domain.commands import Gang
from app.pods.gangs import (
    ANNOTATION_ID,
    GangMember,
    effective_gang,
    gang_of_annotations,
    validate_gang,
    validate_members,
)
from app.pods.violation import Rule, Violation, shown


def gang_of_job(job: JobInput, path: str, default_label: str) -> tuple[Gang | None, list[Violation]]:
    """The gang of a job, None for an ordinary one. default_label: the uniformity label where none is named ("" =
    none); path: of the job."""
    gang, violations = _by_annotations(job, path)
    if job.gang is not None:
        named = Gang(
            gang_id=job.gang.id,
            cardinality=int(job.gang.cardinality),
            uniformity_label=job.gang.uniformity_label or None,
            fail_fast=job.gang.fail_fast is not False,
        )
        violations += validate_gang(named, path=f"{path}.gang")
        if NUL in named.gang_id:
            message = "must not contain the character U+0000"
            violations.append(Violation(rule=Rule.VAL10, path=f"{path}.gang.id", message=message))
        if gang is not None and named != gang:
            message = "the annotations of the job describe another gang"
            violations.append(Violation(rule=Rule.VAL10, path=f"{path}.gang", message=message))
        gang = named
    if violations or gang is None:
        return None, violations
    if gang.uniformity_label is None and default_label:
        gang = Gang(
            gang_id=gang.gang_id,
            cardinality=gang.cardinality,
            uniformity_label=default_label,
            fail_fast=gang.fail_fast,
        )
    return effective_gang(gang), []


def gang_ids_of(job: JobInput) -> list[str]:
    """The gangs that a refused job names, whatever is wrong with it."""
    annotations = job.annotations if isinstance(job.annotations, dict) else {}
    annotated = annotations.get(ANNOTATION_ID)
    named = [job.gang.id] if job.gang is not None else []
    return [*named, annotated] if isinstance(annotated, str) else named


def faults_of_gangs(members: Mapping[int, tuple[Gang, str]], broken: Iterable[str]) -> dict[int, list[Fault]]:
    """Index in the call → faults, of the members that cannot be accepted; one of a gang refuses all of it.

    members: index → gang and priority class; broken: gangs of which another job of the call is refused already."""
    paths = {f"jobs[{index}]": index for index in members}
    checked = [
        GangMember(path=path, gang=members[index][0], priority_class=members[index][1]) for path, index in paths.items()
    ]
    faults: dict[int, list[Fault]] = {}
    refused = set(broken)
    for violation in validate_members(checked):
        index = paths[violation.path.split(".", 1)[0]]
        faults.setdefault(index, []).append(fault_of(violation, index=index))
        refused.add(members[index][0].gang_id)
    for path, index in paths.items():
        gang_id = members[index][0].gang_id
        if gang_id in refused and index not in faults:
            message = f"another job of gang {shown(gang_id)!r} in this call is refused"
            faults[index] = [invalid(f"{path}.gang.id", message, index=index, rule=Rule.VAL10)]
    return faults


def _by_annotations(job: JobInput, path: str) -> tuple[Gang | None, list[Violation]]:
    annotations = job.annotations
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        return None, []  # refused as annotations
    return gang_of_annotations(annotations, path=f"{path}.annotations")
