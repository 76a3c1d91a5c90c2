"""Specs to build on, and what is found wrong with them."""

from collections.abc import Mapping
from typing import Any

from app.pods.limits import PodLimits
from app.pods.validation import validate_pod_spec

PATH = "jobs[3].podSpec"


def a_container(**fields: Any) -> dict[str, Any]:
    """A container that nothing is wrong with; a field given as None is left out."""
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    container = {"name": "main", "image": "busybox:1.37", "command": ["sleep", "5"], "resources": resources}
    return {key: value for key, value in (container | fields).items() if value is not None}


def a_spec(**fields: Any) -> dict[str, Any]:
    """A pod spec that nothing is wrong with, but for the fields given."""
    return {"containers": [a_container()]} | fields


def with_resources(
    requests: Mapping[str, Any] | None, limits: Mapping[str, Any] | None, **fields: Any
) -> dict[str, Any]:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value is not None}
    return a_container(resources=resources, **fields)


def found(spec: object, limits: PodLimits | None = None) -> set[tuple[str, str]]:
    """(rule, path below the spec) of each violation."""
    violations = validate_pod_spec(spec, path=PATH, limits=limits or PodLimits())
    assert all(each.message and each.path.startswith(PATH) for each in violations)
    return {(each.rule, each.path.removeprefix(PATH).lstrip(".")) for each in violations}


def the_message(spec: object, limits: PodLimits | None = None) -> str:
    (violation,) = validate_pod_spec(spec, path=PATH, limits=limits or PodLimits())
    return violation.message
