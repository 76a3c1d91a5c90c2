"""Rules about resources of containers: VAL3, VAL4.

Inputs: a spec (of any form) and the limits. Outputs: violations. Values that the schema refuses are passed over or
found again at the same path, so that nothing is said twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from app.pods.limits import PodLimits
from app.pods.names import is_qualified_name
from app.pods.quantity import AMOUNT_MAX, CPU, QuantityError, format_amount, parse_quantity, pod_requests
from app.pods.tree import ContainerSite, container_sites, mapping
from app.pods.violation import Rule, Violation, member, shown

_PLAIN_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})


def resource_violations(spec: Mapping[str, object], path: str, limits: PodLimits) -> list[Violation]:
    """VAL3 and VAL4 for every container incl. init containers, and the bound of the pod's total."""
    check = _Check(limits)
    for site in container_sites(spec):
        resources = mapping(site.node.get("resources"))
        if resources:
            check.container(resources, site, path)
        if limits.init_containers_fractional_cpu and site.initial:
            check.fractional_cpu(resources, site, path)
    for name, value in mapping(spec.get("overhead")).items():
        check.quantity(value, member(f"{path}.overhead", name))
    if not check.violations:
        check.total(spec, path)
    return check.violations


@dataclass(slots=True)
class _Check:
    """Collects what is wrong."""

    limits: PodLimits
    violations: list[Violation] = field(default_factory=list)

    def refuse(self, path: str, message: str, rule: Rule = Rule.VAL3) -> None:
        self.violations.append(Violation(rule=rule, path=path, message=message))

    def container(self, resources: Mapping[str, object], site: ContainerSite, spec_path: str) -> None:
        requests = mapping(resources.get("requests"))
        bounds = mapping(resources.get("limits"))
        path = f"{site.path(spec_path)}.resources"
        if resources.get("claims"):
            message = "is not supported for jobs: dynamic resource allocation is not scheduled by"
            self.refuse(f"{path}.claims", message, Rule.UNSUPPORTED)
        for name in {**requests, **bounds}:
            request_path = member(f"{path}.requests", name)
            limit_path = member(f"{path}.limits", name)
            if not self._is_resource_name(name):
                where = request_path if name in requests else limit_path
                what = "cpu, memory, ephemeral-storage, hugepages-… or domain/name"
                self.refuse(where, f"{shown(name)!r} is not a resource of a container: {what}")
            elif name not in bounds:
                self.refuse(request_path, "has no limit: requests and limits must name the same resources")
            else:
                # A missing request equals the limit, as in Kubernetes.
                request = requests.get(name, bounds[name])
                self._pair(name, request, bounds[name], request_path if name in requests else limit_path, limit_path)

    def _is_resource_name(self, name: str) -> bool:
        if name in _PLAIN_RESOURCES or name in self.limits.floating_resources:
            return True
        return ("/" in name or name.startswith("hugepages-")) and is_qualified_name(name)

    def _pair(self, name: str, requested: object, bound: object, request_path: str, limit_path: str) -> None:
        """Request and limit of one resource."""
        request = self.quantity(requested, request_path)
        limit = self.quantity(bound, limit_path) if limit_path != request_path else request
        if request is None or limit is None:
            return
        whole = "/" in name or name.startswith("hugepages-")
        if whole and request.denominator != 1:
            self.refuse(request_path, f"must be a whole number of {shown(name)}")
        factor = Fraction(1) if whole else Fraction(str(self.limits.oversubscription_max.get(name, 1.0)))
        if limit < request:
            self.refuse(limit_path, "the limit is less than the request")
        elif limit > factor * request:
            most = "the request" if factor == 1 else f"{float(factor):g} times the request"
            self.refuse(limit_path, f"the limit is more than {most}")
        least = self.limits.request_min.get(name)
        if least is not None and request < parse_quantity(least):
            self.refuse(request_path, f"must be at least {least}")

    def quantity(self, value: object, path: str) -> Fraction | None:
        """The value, or None where it is refused here or by the schema."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        try:
            number = parse_quantity(value)
        except QuantityError as error:
            self.refuse(path, str(error))
            return None
        if number < 0:
            self.refuse(path, "must not be negative")
            return None
        return number

    def fractional_cpu(self, resources: Mapping[str, object], site: ContainerSite, spec_path: str) -> None:
        """VAL4, also for an init container that the default cpu is filled into."""
        quantities = {
            **self.limits.default_resources,
            **mapping(resources.get("limits")),
            **mapping(resources.get("requests")),
        }
        value = quantities.get(CPU)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return
        try:
            milli = parse_quantity(value) * 1000
        except QuantityError:
            return
        if milli % 1000 == 0:
            where = f"{site.path(spec_path)}.resources.requests.cpu"
            shown_cpu = format_amount(CPU, int(milli))
            self.refuse(where, f"an init container must request a fraction of a cpu, not {shown_cpu}", Rule.VAL4)

    def total(self, spec: Mapping[str, object], path: str) -> None:
        """Every amount fits into the integers that are counted with."""
        for name, amount in pod_requests(spec).items():
            if amount > AMOUNT_MAX:
                most = format_amount(name, AMOUNT_MAX)
                self.refuse(path, f"the pod requests more {shown(name)} than can be counted ({most})")
