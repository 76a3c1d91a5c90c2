"""Completing a pod spec: what the user left out and the installation decides (features DEF1–DEF3, VAL6).

Inputs: a valid spec (`validate_pod_spec` found nothing), the limits and the job's priority class. Output: a new spec;
the given one is never changed. Completing a completed spec changes nothing.
"""

from collections.abc import Iterable, Mapping

from app.pods.constraints import Toleration
from app.pods.limits import PodLimits
from app.pods.quantity import amount_of
from app.pods.tree import container_sites, mapping, sequence, without_nulls


def with_defaults(spec: Mapping[str, object], limits: PodLimits, *, priority_class: str) -> dict[str, object]:
    """The spec as it is stored and created: no nulls, quantities as texts, and what was absent filled in.

    - resources of each container: a limit without request is requested; DEF1 where neither is given;
    - `restartPolicy: Never`; the least grace period where it is absent or 0 (VAL6);
    - `activeDeadlineSeconds` (DEF2); tolerations of the installation, class and resources (DEF3).
    """
    copy = without_nulls(spec)
    assert isinstance(copy, dict), "a pod spec is an object"
    for site in container_sites(copy):
        assert isinstance(site.node, dict), "a validated container is an object"
        site.node["resources"] = _resources(mapping(site.node.get("resources")), limits)
    if "overhead" in copy:
        copy["overhead"] = _as_texts(mapping(copy["overhead"]))
    copy["restartPolicy"] = "Never"
    if not copy.get("terminationGracePeriodSeconds"):
        copy["terminationGracePeriodSeconds"] = limits.grace_period_min_s
    requested = _requested_resources(copy)
    if "activeDeadlineSeconds" not in copy:
        copy["activeDeadlineSeconds"] = deadline_s(requested, limits)
    _add_tolerations(copy, _wanted_tolerations(requested, priority_class, limits))
    return copy


def deadline_s(requested: Iterable[str], limits: PodLimits) -> int:
    """DEF2: the longest deadline over the resources that are requested, else the general one."""
    matching = [limits.deadline_by_resource_s[name] for name in requested if name in limits.deadline_by_resource_s]
    return max(matching, default=limits.deadline_default_s)


def _resources(given: Mapping[str, object], limits: PodLimits) -> dict[str, object]:
    bounds = _as_texts(mapping(given.get("limits")))
    requests = {**bounds, **_as_texts(mapping(given.get("requests")))}
    missing = {name: value for name, value in limits.default_resources.items() if name not in requests}
    return {**given, "requests": {**requests, **missing}, "limits": {**bounds, **missing}}


def _as_texts(quantities: Mapping[str, object]) -> dict[str, object]:
    """Kubernetes writes quantities as texts, and clients with strict types read nothing else."""
    return {name: value if isinstance(value, str) else str(value) for name, value in quantities.items()}


def _requested_resources(spec: Mapping[str, object]) -> set[str]:
    """Names of all resources that some container requests more than 0 of."""
    names: set[str] = set()
    for site in container_sites(spec):
        for name, value in mapping(mapping(site.node.get("resources")).get("requests")).items():
            if isinstance(value, str) and name not in names and amount_of(name, value) > 0:
                names.add(name)
    return names


def _wanted_tolerations(requested: set[str], priority_class: str, limits: PodLimits) -> list[Toleration]:
    wanted = [*limits.tolerations, *limits.tolerations_by_priority_class.get(priority_class, ())]
    for name, tolerations in sorted(limits.tolerations_by_resource.items()):
        if name in requested:
            wanted += tolerations
    return wanted


def _add_tolerations(spec: dict[str, object], wanted: list[Toleration]) -> None:
    """Appends those that the spec has not."""
    present = list(sequence(spec.get("tolerations")))
    for toleration in wanted:
        entry: dict[str, object] = {"key": toleration.key, "operator": toleration.operator}
        entry |= {"value": toleration.value, "effect": toleration.effect}
        entry = {name: value for name, value in entry.items() if value}
        if entry not in present:
            present.append(entry)
    if present:
        spec["tolerations"] = present
