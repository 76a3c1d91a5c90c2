"""Kubernetes' rules for one job and one node, and quantities, on plain JSON: what the reference stands on."""

from fractions import Fraction
from functools import cache
from typing import Any

Json = dict[str, Any]
SUFFIXES: dict[str, int | Fraction] = {"Gi": 2**30, "Mi": 2**20, "m": Fraction(1, 1000), "": 1}


@cache
def amount(resource: str, quantity: object) -> int:
    text = str(quantity)
    suffix = text.lstrip("-0123456789.")
    value = Fraction(text[: len(text) - len(suffix)]) * SUFFIXES[suffix]
    scaled = value * (1000 if resource == "cpu" else 1)
    return -((-scaled.numerator) // scaled.denominator)


def amounts(quantities: Json | None) -> dict[str, int]:
    return {name: amount(name, quantity) for name, quantity in (quantities or {}).items()}


def plus(*parts: dict[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total


def tolerated(taint: Json, tolerations: list[Json]) -> bool:
    for t in tolerations:
        key_fits = not t.get("key") or t["key"] == taint["key"]
        effect_fits = not t.get("effect") or t["effect"] == taint["effect"]
        value_fits = t.get("operator", "Equal") == "Exists" or t.get("value", "") == taint.get("value", "")
        if key_fits and effect_fits and value_fits:
            return True
    return bool(taint["effect"] == "PreferNoSchedule")


def holds(expression: Json, value: str | None) -> bool:
    operator, values = expression["operator"], expression.get("values", [])
    if operator in ("Gt", "Lt"):
        if value is None or not value.lstrip("-").isdigit():
            return False
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[operator]


def selected(j: Json, n: Json) -> bool:
    return all(n.get("labels", {}).get(key) == value for key, value in j.get("nodeSelector", {}).items())


def affine(j: Json, n: Json) -> bool:
    if not j.get("affinity"):
        return True
    terms = j["affinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    for term in terms:
        checks = [holds(e, n.get("labels", {}).get(e["key"])) for e in term.get("matchExpressions", [])]
        checks += [holds(e, n["name"]) for e in term.get("matchFields", [])]
        if checks and all(checks):
            return True
    return False


def water_filling(weights: dict[str, float], demand: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Demand-capped and uncapped shares (features.md 2.4 steps 2 and 3) of the queues in `weights`, in its order."""
    adjusted, uncapped, spare = dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 0.0)
    satisfied: set[str] = set()
    unshared, rounds = 1.0, 0
    while unshared > 0.01 and rounds < 10:
        rounds += 1
        hungry = sum(w for q, w in weights.items() if q not in satisfied)
        for q, w in weights.items():
            uncapped[q] += w / (hungry + (w if q in satisfied else 0.0)) * (unshared - spare[q])
        if hungry == 0:
            break
        for q, w in weights.items():
            if q not in satisfied:
                adjusted[q] += w / hungry * unshared
        unshared = 0.0
        for q in weights:
            over = adjusted[q] - demand[q]
            spare[q] = over if over > 0 else 0.0
            if over > 0:
                adjusted[q] = demand[q]
                satisfied.add(q)
                unshared += over
    return adjusted, uncapped
