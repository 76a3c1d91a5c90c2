"""May a pod stand on a node with these taints and labels? Kubernetes' rules, for required constraints only.

Input: taints (app.domain.clusters) and constraints (app.pods.constraints) as frozen values. What is here judges one
value at a time; node_matches.py evaluates it over all nodes of a round.
"""

from collections.abc import Iterable

from app.domain.clusters import Taint
from app.pods.constraints import NodeRequirement, Toleration

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REPELLING = frozenset(("NoSchedule", "NoExecute"))


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration covers a taint.

    Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/.
    """
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or (bool(toleration.key) and toleration.value == taint.value)


def tolerates_all(tolerations: Iterable[Toleration], taints: Iterable[Taint]) -> bool:
    """Whether every repelling taint is tolerated (PreferNoSchedule repels nobody)."""
    known = tuple(tolerations)
    return all(
        any(tolerates(toleration, taint) for toleration in known) for taint in taints if taint.effect in _REPELLING
    )


def toleration_of(taint: Taint) -> Toleration:
    """The narrowest toleration of a taint."""
    return Toleration(key=taint.key, operator="Equal", value=taint.value, effect=taint.effect)


def taint_order(taint: Taint) -> tuple[str, str, str]:
    """What sets of taints are sorted by."""
    return (taint.key, taint.value, taint.effect)


def accepts(requirement: NodeRequirement, value: str | None) -> bool:
    """Whether a label with this value (None: absent) satisfies an expression."""
    operator, values = requirement.operator, requirement.values
    if operator == "In":
        return value is not None and value in values
    if operator == "NotIn":
        return value is None or value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    number = None if value is None else whole_number(value)
    bound = whole_number(values[0]) if len(values) == 1 else None
    if number is None or bound is None:
        return False
    return number > bound if operator == "Gt" else number < bound


def whole_number(text: str) -> int | None:
    """The value of a label as Gt and Lt read it, None when it is no 64-bit integer."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None
