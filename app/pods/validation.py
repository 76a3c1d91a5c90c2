"""Is this pod spec one that a job may have? All that is wrong with it, at once.

Inputs: the JSON value that a user gave and the limits. Outputs: violations, none for a good spec.
Rules: the schema of Kubernetes first, then VAL2–VAL9 of Armada and what the API server would refuse later.
The spec is judged as it will be after defaults (app.pods.defaults), which only fills in what is absent.
"""

from collections.abc import Mapping

import orjson

from app.pods.container_rules import container_violations
from app.pods.limits import VIOLATIONS_MAX, PodLimits
from app.pods.placement_rules import placement_violations
from app.pods.resource_rules import resource_violations
from app.pods.schema import is_schema_valid, schema_violations
from app.pods.tree import mapping, sequence, text, without_nulls
from app.pods.violation import Rule, Violation, member, shown

# Kubernetes knows these, and a job that had them would not do what its owner expects.
_UNSUPPORTED = {
    "nodeName": "the scheduler chooses the node; use nodeSelector or node affinity",
    "schedulingGates": "a gated pod would never start",
    "schedulingGroup": "use the gang of the job instead",
    "ephemeralContainers": "they can only be added to a running pod",
    "resourceClaims": "dynamic resource allocation is not scheduled by; request a resource instead",
    "resources": "resources of the whole pod are not scheduled by; set them at the containers",
}


def validate_pod_spec(spec: object, *, path: str, limits: PodLimits) -> list[Violation]:
    """Everything that is wrong with `spec`, at most VIOLATIONS_MAX entries; `path` is the field it stands in.

    Never raises for any input. An empty list means that `with_defaults`, `pod_requests` and `shape_of` accept it.
    """
    try:
        encoded = orjson.dumps(spec)
    except TypeError as error:
        message = f"cannot be written as JSON: {shown(str(error))}"
        return [Violation(rule=Rule.SCHEMA_TYPE, path=path, message=message)]
    if len(encoded) > limits.pod_spec_bytes_max:
        message = f"has {len(encoded):,} bytes, at most {limits.pod_spec_bytes_max:,} are allowed"
        return [Violation(rule=Rule.VAL2, path=path, message=message)]
    try:
        broken = _schema_violations(spec, path)
    except ValueError as error:  # what orjson writes and JSON has not, such as dates
        message = f"is not plain JSON: {shown(str(error))}"
        return [Violation(rule=Rule.SCHEMA_TYPE, path=path, message=message)]
    tree = mapping(without_nulls(spec) if broken is not None else spec)
    found = [*(broken or []), *_new(_rule_violations(tree, path, limits), broken or [])]
    if len(found) > VIOLATIONS_MAX:
        found = found[: VIOLATIONS_MAX - 1]
        found.append(Violation(rule=Rule.TOO_MANY, path=path, message="there are more violations than are listed"))
    return found


def validate_priority_class(name: str | None, *, path: str, limits: PodLimits) -> list[Violation]:
    """VAL5: absent, empty, or one of the installation's classes."""
    if not name or name in limits.priority_classes:
        return []
    known = ", ".join(sorted(limits.priority_classes))
    message = f"there is no priority class {shown(name)!r}; there are {known}"
    return [Violation(rule=Rule.VAL5, path=path, message=message)]


def resolve_priority_class(
    spec: object, given: str | None, *, path: str, limits: PodLimits
) -> tuple[str, list[Violation]]:
    """The class of a job: the one given beside the spec (its field is `path`), the spec's own, or the default (DEF5).

    A violation if both are given and differ; the spec's own name is judged by `validate_pod_spec`.
    """
    own = text(mapping(spec).get("priorityClassName"))
    violations = validate_priority_class(given, path=path, limits=limits)
    if given and own and given != own:
        message = f"{shown(given)!r} contradicts priorityClassName {shown(own)!r} of the pod spec"
        violations.append(Violation(rule=Rule.VAL5, path=path, message=message))
    return given or own or limits.priority_class_default, violations


def _schema_violations(spec: object, path: str) -> list[Violation] | None:
    """None if the spec is valid as it is; else what is wrong when absent and null are the same (perhaps nothing)."""
    if is_schema_valid(spec):
        return None
    return schema_violations(without_nulls(spec), path=path, count_max=VIOLATIONS_MAX + 1)


def _rule_violations(spec: Mapping[str, object], path: str, limits: PodLimits) -> list[Violation]:
    return [
        *_pod_violations(spec, path, limits),
        *container_violations(spec, path),
        *resource_violations(spec, path, limits),
        *placement_violations(spec, path, limits),
    ]


def _new(violations: list[Violation], known: list[Violation]) -> list[Violation]:
    """Those that do not say again, of the same field or of a part of it, what the schema has said."""
    paths = {violation.path for violation in known}
    starts = tuple(path + joint for path in paths for joint in ".[")
    return [each for each in violations if each.path not in paths and not each.path.startswith(starts)]


def _pod_violations(spec: Mapping[str, object], path: str, limits: PodLimits) -> list[Violation]:
    """Fields of the pod itself: VAL5, VAL6, restart policy, unsupported fields, names of pull secrets."""
    violations = [
        Violation(rule=Rule.UNSUPPORTED, path=member(path, field), message=f"is not supported for jobs: {reason}")
        for field, reason in _UNSUPPORTED.items()
        if spec.get(field)
    ]
    restart = spec.get("restartPolicy")
    if restart in ("Always", "OnFailure"):
        message = f"must be Never or absent, not {restart}: a pod is never restarted in place, its job is tried anew"
        violations.append(Violation(rule=Rule.RESTART, path=f"{path}.restartPolicy", message=message))
    grace = spec.get("terminationGracePeriodSeconds")
    low, high = limits.grace_period_min_s, limits.grace_period_max_s
    if isinstance(grace, int | float) and grace != 0 and not low <= grace <= high:
        message = f"must be between {low} and {high} seconds (0 or absent: {low}), not {grace}"
        violations.append(Violation(rule=Rule.VAL6, path=f"{path}.terminationGracePeriodSeconds", message=message))
    class_path = f"{path}.priorityClassName"
    violations += validate_priority_class(text(spec.get("priorityClassName")), path=class_path, limits=limits)
    for index, claim in enumerate(sequence(spec.get("imagePullSecrets"))):
        if not text(mapping(claim).get("name")):
            where = f"{path}.imagePullSecrets[{index}].name"
            violations.append(Violation(rule=Rule.SCHEMA_REQUIRED, path=where, message="is required"))
    return violations
