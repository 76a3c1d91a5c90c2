"""Rules about resources of containers: VAL3, VAL4.

Inputs: a spec (of any form) and the limits. Outputs: violations. Values that the schema refuses are passed over or
found again at the same path, so that nothing is said twice.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import TypeGuard

from app.pods.limits import PodLimits
from app.pods.names import is_qualified_name
from app.pods.quantity import (
    AMOUNT_MAX,
    CPU,
    QUANTITY_CHARS_MAX,
    Quantity,
    QuantityError,
    amount_of,
    format_amount,
    parse_quantity,
    pod_requests,
)
from app.pods.tree import ContainerSite, container_sites, mapping
from app.pods.violation import Rule, Violation, member, shown

_PLAIN_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_NO_RESOURCE = "is not a resource of a container: cpu, memory, ephemeral-storage, hugepages-… or domain/name"


def resource_violations(spec: Mapping[str, object], path: str, limits: PodLimits) -> list[Violation]:
    """VAL3 and VAL4 for every container incl. init containers, and the bound of the pod's total."""
    violations: list[Violation] = []
    for site in container_sites(spec):
        resources = mapping(site.node.get("resources"))
        if resources:
            violations += _container(resources, site, path, limits)
        if limits.init_containers_fractional_cpu and site.initial:
            violations += _fractional_cpu(resources, site, path, limits)
    if "overhead" in spec:
        violations += _overhead(mapping(spec["overhead"]), f"{path}.overhead", limits)
    if not violations:
        violations += _total(spec, path)
    return violations


def _container(
    resources: Mapping[str, object], site: ContainerSite, spec_path: str, limits: PodLimits
) -> Iterator[Violation]:
    requests = mapping(resources.get("requests"))
    bounds = mapping(resources.get("limits"))
    if resources.get("claims"):
        message = "is not supported for jobs: dynamic resource allocation is not scheduled by"
        yield Violation(rule=Rule.UNSUPPORTED, path=f"{site.path(spec_path)}.resources.claims", message=message)
    for name in {**requests, **bounds}:
        # A missing request equals the limit, as in Kubernetes.
        request_list = "requests" if name in requests else "limits"
        for list_name, message in _faults(name, requests, bounds, limits):
            where = f"{site.path(spec_path)}.resources.{request_list if list_name == 'requests' else list_name}"
            yield Violation(rule=Rule.VAL3, path=member(where, name), message=message)


def _faults(
    name: str, requests: Mapping[str, object], bounds: Mapping[str, object], limits: PodLimits
) -> tuple[tuple[str, str], ...]:
    """What is wrong with one resource of a container: (list, message)."""
    if not _is_resource_name(name, limits):
        return (("requests", f"{shown(name)!r} {_NO_RESOURCE}"),)
    if name not in bounds:
        return (("requests", "has no limit: requests and limits must name the same resources"),)
    limit, request = bounds[name], requests.get(name, bounds[name])
    if not _is_quantity(limit) or not _is_quantity(request):
        return ()
    return _pair_faults(name, request, limit, limits.oversubscription_max.get(name, 1.0), limits.request_min.get(name))


def _is_resource_name(name: str, limits: PodLimits) -> bool:
    if name in _PLAIN_RESOURCES or name in limits.floating_resources:
        return True
    return ("/" in name or name.startswith("hugepages-")) and is_qualified_name(name)


def _is_quantity(value: object) -> TypeGuard[Quantity]:
    """Whether the schema lets it pass as far as type and length go."""
    if isinstance(value, str):
        return len(value) <= QUANTITY_CHARS_MAX
    return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache(maxsize=16_384, typed=True)
def _pair_faults(
    name: str, requested: Quantity, bound: Quantity, factor_max: float, least: str | None
) -> tuple[tuple[str, str], ...]:
    """Request and limit of one resource. Remembered: the specs of a call use few different amounts."""
    request, request_fault = _parsed(requested)
    limit, limit_fault = _parsed(bound)
    if request_fault or limit_fault:
        return (("requests", request_fault),) if request_fault else (("limits", limit_fault),)
    faults = []
    whole = "/" in name or name.startswith("hugepages-")
    factor = Fraction(1) if whole else Fraction(str(factor_max))
    if whole and request.denominator != 1:
        faults.append(("requests", "must be a whole number"))
    if limit < request:
        faults.append(("limits", "the limit is less than the request"))
    elif limit > factor * request:
        most = "the request" if factor == 1 else f"{float(factor):g} times the request"
        faults.append(("limits", f"the limit is more than {most}"))
    if least is not None and request < parse_quantity(least):
        faults.append(("requests", f"must be at least {least}"))
    return tuple(faults)


def _parsed(value: Quantity) -> tuple[Fraction, str]:
    """The value, and what is wrong with it or an empty text."""
    try:
        number = parse_quantity(value)
    except QuantityError as error:
        return Fraction(0), str(error)
    return number, "must not be negative" if number < 0 else ""


def _overhead(overhead: Mapping[str, object], path: str, limits: PodLimits) -> Iterator[Violation]:
    for name, value in overhead.items():
        if not _is_resource_name(name, limits):
            yield Violation(rule=Rule.VAL3, path=member(path, name), message=f"{shown(name)!r} {_NO_RESOURCE}")
        elif _is_quantity(value) and _parsed(value)[1]:
            yield Violation(rule=Rule.VAL3, path=member(path, name), message=_parsed(value)[1])


def _fractional_cpu(
    resources: Mapping[str, object], site: ContainerSite, spec_path: str, limits: PodLimits
) -> Iterator[Violation]:
    """VAL4, also for an init container that the default cpu is filled into."""
    given = {**limits.default_resources, **mapping(resources.get("limits")), **mapping(resources.get("requests"))}
    value = given.get(CPU)
    if not _is_quantity(value) or _parsed(value)[1]:
        return
    milli = amount_of(CPU, value)
    if milli % 1000 == 0:
        where = f"{site.path(spec_path)}.resources.requests.cpu"
        message = f"an init container must request a fraction of a cpu, not {format_amount(CPU, milli)}"
        yield Violation(rule=Rule.VAL4, path=where, message=message)


def _total(spec: Mapping[str, object], path: str) -> Iterator[Violation]:
    """Every amount fits into the integers that are counted with."""
    try:
        requests = pod_requests(spec)
    except QuantityError:
        return  # the schema has said so
    for name, amount in requests.items():
        if amount > AMOUNT_MAX:
            message = f"the pod requests more {shown(name)} than can be counted ({format_amount(name, AMOUNT_MAX)})"
            yield Violation(rule=Rule.VAL3, path=path, message=message)
