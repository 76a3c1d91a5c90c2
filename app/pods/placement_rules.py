"""Rules about where a pod may run: node selector, node affinity (VAL7), tolerations (VAL9).

Inputs: a spec of any form and the limits. Outputs: violations. Pod affinity and topology spread are accepted and not
scheduled by, as in Armada.
"""

import re
from collections.abc import Iterator, Mapping

from app.pods.constraints import NODE_OPERATORS
from app.pods.limits import PodLimits
from app.pods.names import LABEL_VALUE_SYNTAX, QUALIFIED_NAME_SYNTAX, is_label_value, is_qualified_name
from app.pods.tree import mapping, sequence, text
from app.pods.violation import Rule, Violation, member, shown

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_NODE_NAME_FIELD = "metadata.name"


def placement_violations(spec: Mapping[str, object], path: str, limits: PodLimits) -> list[Violation]:
    """All violations of selector, affinity and tolerations."""
    violations: list[Violation] = []
    if "nodeSelector" in spec:
        violations += _node_selector(mapping(spec["nodeSelector"]), f"{path}.nodeSelector")
    if "affinity" in spec:
        node_affinity = mapping(mapping(spec["affinity"]).get("nodeAffinity"))
        violations += _node_affinity(node_affinity, f"{path}.affinity.nodeAffinity")
    if "tolerations" in spec:
        for index, value in enumerate(sequence(spec["tolerations"])):
            violations += _toleration(mapping(value), f"{path}.tolerations[{index}]", limits)
    return violations


def _node_selector(selector: Mapping[str, object], path: str) -> Iterator[Violation]:
    for key, value in selector.items():
        where = member(path, key)
        if not is_qualified_name(key):
            message = f"{shown(key)!r} is not a label key: {QUALIFIED_NAME_SYNTAX}"
            yield Violation(rule=Rule.SELECTOR, path=where, message=message)
        if not is_label_value(text(value)):
            message = f"{shown(text(value))!r} is not a label value: {LABEL_VALUE_SYNTAX}"
            yield Violation(rule=Rule.SELECTOR, path=where, message=message)


def _node_affinity(affinity: Mapping[str, object], path: str) -> Iterator[Violation]:
    if affinity.get(_PREFERRED):
        message = "preferred node affinity is not scheduled by; only required terms are"
        yield Violation(rule=Rule.VAL7, path=f"{path}.{_PREFERRED}", message=message)
    terms = sequence(mapping(affinity.get(_REQUIRED)).get("nodeSelectorTerms"))
    for index, value in enumerate(terms):
        term = mapping(value)
        where = f"{path}.{_REQUIRED}.nodeSelectorTerms[{index}]"
        expressions, fields = sequence(term.get("matchExpressions")), sequence(term.get("matchFields"))
        if not expressions and not fields:
            message = "a term without expressions matches no node; the job could never run"
            yield Violation(rule=Rule.VAL7, path=where, message=message)
        for number, expression in enumerate(expressions):
            yield from _expression(mapping(expression), f"{where}.matchExpressions[{number}]")
        for number, expression in enumerate(fields):
            yield from _field(mapping(expression), f"{where}.matchFields[{number}]")


def _expression(expression: Mapping[str, object], path: str) -> Iterator[Violation]:
    key, operator = text(expression.get("key")), text(expression.get("operator"))
    values = [text(value) for value in sequence(expression.get("values"))]
    if not is_qualified_name(key):
        message = f"{shown(key)!r} is not a label key: {QUALIFIED_NAME_SYNTAX}"
        yield Violation(rule=Rule.VAL7, path=f"{path}.key", message=message)
    if operator not in NODE_OPERATORS:
        message = f"must be one of {', '.join(sorted(NODE_OPERATORS))}, not {shown(operator)!r}"
        yield Violation(rule=Rule.VAL7, path=f"{path}.operator", message=message)
        return
    wrong = None
    if operator in ("In", "NotIn") and not values:
        wrong = f"{operator} needs at least one value"
    elif operator in ("Exists", "DoesNotExist") and values:
        wrong = f"{operator} takes no values"
    elif operator in ("Gt", "Lt") and (len(values) != 1 or not _INTEGER.match(values[0])):
        wrong = f"{operator} needs exactly one value, a whole number as text"
    if wrong is not None:
        yield Violation(rule=Rule.VAL7, path=f"{path}.values", message=wrong)
    elif operator in ("In", "NotIn"):
        for index, value in enumerate(values):
            if not is_label_value(value):
                message = f"{shown(value)!r} is not a label value: {LABEL_VALUE_SYNTAX}"
                yield Violation(rule=Rule.VAL7, path=f"{path}.values[{index}]", message=message)


def _field(expression: Mapping[str, object], path: str) -> Iterator[Violation]:
    """Kubernetes matches one field of a node, its name, against one value."""
    if expression.get("key") != _NODE_NAME_FIELD:
        message = f"must be {_NODE_NAME_FIELD}, not {shown(text(expression.get('key')))!r}"
        yield Violation(rule=Rule.VAL7, path=f"{path}.key", message=message)
    if expression.get("operator") not in ("In", "NotIn"):
        message = f"must be In or NotIn, not {shown(text(expression.get('operator')))!r}"
        yield Violation(rule=Rule.VAL7, path=f"{path}.operator", message=message)
    if len(sequence(expression.get("values"))) != 1:
        yield Violation(rule=Rule.VAL7, path=f"{path}.values", message="needs exactly one value, the name of a node")


def _toleration(toleration: Mapping[str, object], path: str, limits: PodLimits) -> Iterator[Violation]:
    key, operator = text(toleration.get("key")), text(toleration.get("operator")) or "Equal"
    value = text(toleration.get("value"))
    if key and not is_qualified_name(key):
        message = f"{shown(key)!r} is not a taint key: {QUALIFIED_NAME_SYNTAX}"
        yield Violation(rule=Rule.SELECTOR, path=f"{path}.key", message=message)
    if not key and operator != "Exists":
        message = "must be Exists where there is no key"
        yield Violation(rule=Rule.SELECTOR, path=f"{path}.operator", message=message)
    if operator == "Exists" and value:
        yield Violation(rule=Rule.SELECTOR, path=f"{path}.value", message="must be empty with the operator Exists")
    elif not is_label_value(value):
        message = f"{shown(value)!r} is not a taint value: {LABEL_VALUE_SYNTAX}"
        yield Violation(rule=Rule.SELECTOR, path=f"{path}.value", message=message)
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        message = "is only possible with the effect NoExecute"
        yield Violation(rule=Rule.SELECTOR, path=f"{path}.tolerationSeconds", message=message)
    if key in limits.restricted_toleration_keys:
        message = f"tolerations of {shown(key)!r} are reserved to operators"
        yield Violation(rule=Rule.VAL9, path=f"{path}.key", message=message)
    elif not key and operator == "Exists" and limits.restricted_toleration_keys:
        reserved = ", ".join(sorted(limits.restricted_toleration_keys))
        message = f"a toleration of every taint is refused, since {reserved} are reserved to operators"
        yield Violation(rule=Rule.VAL9, path=path, message=message)
