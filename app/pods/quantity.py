"""Quantities of Kubernetes, exactly, and amounts of resources as integers.

Purpose: one place that reads `500m`, `4Gi`, `1e3` or 0.5, and gives the integers that everything else counts with:
cpu in milli-cores, every other resource in its base unit (bytes, pieces), rounded up like Kubernetes does.
Inputs: texts and numbers of pod specs and node reports. Outputs: Fraction, int, `Resources`; QuantityError.
Rules: k8s.io/apimachinery/pkg/api/resource (syntax), k8s.io/component-helpers/resource (requests of a pod).
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Final

from app.pods.tree import ContainerSite, container_sites, mapping
from app.pods.violation import shown

QUANTITY_CHARS_MAX: Final = 64
QUANTITY_MAX: Final = 2**63 - 1
"""Kubernetes' own bound, in base units."""
AMOUNT_MAX: Final = 2**53 - 1
"""Largest amount of one resource that a pod may ask for (8 PiB): exact as a float, sums stay inside 64 bits."""
CPU: Final = "cpu"
_EXPONENT_MAX: Final = 40

_SYNTAX = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:(?P<binary>[KMGTPE])i|(?P<decimal>[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,3}))?\Z"
)
_BINARY: Final[dict[str, int]] = {suffix: 1024 ** (power + 1) for power, suffix in enumerate("KMGTPE")}
_DECIMAL: Final[dict[str, Fraction]] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{suffix: Fraction(1000 ** (power + 1)) for power, suffix in enumerate("kMGTPE")},
}
_BINARY_RESOURCES: Final = frozenset({"memory", "ephemeral-storage", "storage"})

Quantity = str | int | float


class QuantityError(ValueError):
    """The text is not a Kubernetes quantity, or too large for one. The message names the text."""


def parse_quantity(value: Quantity) -> Fraction:
    """The exact value in base units (cores, bytes, pieces).

    Numbers are what a JSON number says: 0.1 is one tenth. Raises QuantityError for what is not a quantity and for
    values beyond ±(2^63 - 1).
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QuantityError(f"{type(value).__name__} is not a quantity")
    if isinstance(value, int):
        number = Fraction(value) if abs(value) <= QUANTITY_MAX else None
    else:
        number = _parse_text(value if isinstance(value, str) else repr(value))
    if number is None or abs(number) > QUANTITY_MAX:
        raise QuantityError("the quantity is larger than Kubernetes allows")
    return number


def _parse_text(text: str) -> Fraction | None:
    """The value, or None where it is too large to be worked out."""
    match = _SYNTAX.match(text) if len(text) <= QUANTITY_CHARS_MAX else None
    if match is None:
        raise QuantityError(f"{shown(text)!r} is not a quantity such as 2, 500m or 4Gi")
    number = Fraction(match["number"])
    if match["binary"]:
        return number * _BINARY[match["binary"]]
    if match["decimal"]:
        return number * _DECIMAL[match["decimal"]]
    if match["exponent"]:
        exponent = int(match["exponent"])
        if abs(exponent) > _EXPONENT_MAX:
            raise QuantityError(f"{shown(text)!r} has an exponent beyond ±{_EXPONENT_MAX}")
        scale: int = 10 ** abs(exponent)
        return number * scale if exponent >= 0 else number / scale
    return number


@lru_cache(maxsize=65_536, typed=True)
def amount_of(resource: str, value: Quantity) -> int:
    """The integer that is counted with: milli-cores for `cpu`, base units for others; rounded up.

    Raises QuantityError.
    """
    scaled = parse_quantity(value) * (1000 if resource == CPU else 1)
    return -(-scaled.numerator // scaled.denominator)


def format_amount(resource: str, amount: int) -> str:
    """The shortest plain quantity whose `amount_of` is `amount`: 500m, 2, 4Gi, 1."""
    if resource == CPU:
        return str(amount // 1000) if amount % 1000 == 0 else f"{amount}m"
    if (resource in _BINARY_RESOURCES or resource.startswith("hugepages-")) and amount != 0:
        for suffix in reversed("KMGTPE"):
            if amount % _BINARY[suffix] == 0:
                return f"{amount // _BINARY[suffix]}{suffix}i"
    return str(amount)


class Resources(Mapping[str, int]):
    """Amounts by resource name (cpu in milli-cores, others in base units): immutable, hashable, in name order.

    A resource that is not in it counts 0; zero amounts are dropped, so equal contents are equal values.
    """

    __slots__ = ("_amounts",)

    def __init__(self, amounts: Mapping[str, int]) -> None:
        self._amounts = {name: amounts[name] for name in sorted(amounts) if amounts[name] != 0}

    def __getitem__(self, name: str) -> int:
        return self._amounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._amounts)

    def __len__(self) -> int:
        return len(self._amounts)

    def __eq__(self, other: object) -> bool:
        return self._amounts == other._amounts if isinstance(other, Resources) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._amounts.items()))

    def __repr__(self) -> str:
        return f"Resources({', '.join(f'{name}={format_amount(name, self[name])}' for name in self)})"


NO_RESOURCES: Final = Resources({})


def resources_of(quantities: Mapping[str, Quantity]) -> Resources:
    """From quantities as in a pod spec or a node report. Raises QuantityError."""
    return Resources({name: amount_of(name, value) for name, value in quantities.items()})


def add(left: Mapping[str, int], right: Mapping[str, int]) -> Resources:
    """Sum by resource."""
    return Resources({name: left.get(name, 0) + right.get(name, 0) for name in {*left, *right}})


def subtract(left: Mapping[str, int], right: Mapping[str, int]) -> Resources:
    """Difference by resource; amounts may become negative."""
    return Resources({name: left.get(name, 0) - right.get(name, 0) for name in {*left, *right}})


def maximum(left: Mapping[str, int], right: Mapping[str, int]) -> Resources:
    """The larger amount by resource."""
    return Resources({name: max(left.get(name, 0), right.get(name, 0)) for name in {*left, *right}})


def fits(need: Mapping[str, int], room: Mapping[str, int]) -> bool:
    """Whether `room` has at least `need` of every resource that is needed."""
    return all(amount <= room.get(name, 0) for name, amount in need.items())


def container_requests(site: ContainerSite) -> dict[str, int]:
    """Amounts that one container requests; a limit without a request counts as the request, as in Kubernetes.

    Raises QuantityError.
    """
    resources = mapping(site.node.get("resources"))
    quantities = {**mapping(resources.get("limits")), **mapping(resources.get("requests"))}
    return _amounts(quantities)


def pod_requests(spec: Mapping[str, object]) -> Resources:
    """What a node must have for the pod: the larger of all that run together and of each step of initialising.

    Main containers and sidecars (init containers with restartPolicy Always) add up; an ordinary init container runs
    beside the sidecars that began before it; the overhead comes on top. Raises QuantityError.
    """
    together: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    initialising: dict[str, int] = {}
    for site in container_sites(spec):
        requests = container_requests(site)
        if site.initial:
            for name in {*requests, *sidecars}:
                step = requests.get(name, 0) + sidecars.get(name, 0)
                initialising[name] = max(initialising.get(name, 0), step)
            continue
        for name, amount in requests.items():
            together[name] = together.get(name, 0) + amount
            if site.sidecar:
                sidecars[name] = sidecars.get(name, 0) + amount
    needed = maximum(together, initialising)
    overhead = mapping(spec.get("overhead"))
    if not overhead:
        return needed
    return add(needed, _amounts(overhead))


def _amounts(quantities: Mapping[str, object]) -> dict[str, int]:
    """Amounts of what has the type of a quantity; the rest is for the schema to refuse."""
    return {
        name: amount_of(name, value)
        for name, value in quantities.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }
