"""Taints, tolerations and required node affinity between Kubernetes' JSON and the values that scheduling uses."""

from app.domain.clusters import Taint
from app.pods.constraints import NODE_OPERATORS, NodeRequirement, NodeTerm, Toleration
from app.scheduling.errors import RoundError
from app.scheduling.json_object import JsonObject
from app.scheduling.matching import EFFECTS, whole_number

ITEMS_MAX = 1000
"""Taints of a node, tolerations, terms, expressions and values of a job: at most so many each."""
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_NAME_FIELD = "metadata.name"
_OPERATORS = tuple(sorted(NODE_OPERATORS))

Json = dict[str, object]


def read_taints(owner: JsonObject, name: str) -> tuple[Taint, ...]:
    """A list of taints."""
    taints = []
    for item in owner.nested_list(name, most=ITEMS_MAX):
        key, value = item.text("key"), item.label_value("value")
        taints.append(Taint(key=key, value=value, effect=item.one_of("effect", EFFECTS)))
        item.end()
    return tuple(taints)


def read_tolerations(owner: JsonObject, name: str) -> tuple[Toleration, ...]:
    """A list of tolerations. tolerationSeconds says how long a pod stays, not where it may go: it is left out."""
    tolerations = []
    for item in owner.nested_list(name, most=ITEMS_MAX):
        key, value = item.label_value("key"), item.label_value("value")
        operator = item.one_of("operator", ("Exists", "Equal"), "Equal")
        effect = item.one_of("effect", ("", *EFFECTS), "")
        if item.has("tolerationSeconds"):
            item.integer("tolerationSeconds")
        item.end()
        if not key and operator != "Exists":
            raise RoundError(item.path_of("operator"), "must be Exists when the key is empty")
        if value and operator == "Exists":
            raise RoundError(item.path_of("value"), "must be empty when the operator is Exists")
        tolerations.append(Toleration(key=key, operator=operator, value=value, effect=effect))
    return tuple(tolerations)


def read_affinity(owner: JsonObject, name: str) -> tuple[NodeTerm, ...]:
    """The required terms of a nodeAffinity (or of an affinity that holds one); none when it is absent or null."""
    if not owner.has(name):
        return ()
    affinity = owner.nested(name)
    if affinity.has("nodeAffinity"):
        wrapper, affinity = affinity, affinity.nested("nodeAffinity")
        wrapper.end()
    if not affinity.has(_REQUIRED):
        affinity.end()
        return ()
    required = affinity.nested(_REQUIRED)
    affinity.end()
    terms = []
    for item in required.nested_list("nodeSelectorTerms", most=ITEMS_MAX):
        expressions = tuple(_read_requirement(each) for each in item.nested_list("matchExpressions", most=ITEMS_MAX))
        fields = tuple(_read_field(each) for each in item.nested_list("matchFields", most=ITEMS_MAX))
        item.end()
        terms.append(NodeTerm(expressions=_sorted_set(expressions), fields=_sorted_set(fields)))
    required.end()
    if not terms:
        raise RoundError(required.path_of("nodeSelectorTerms"), "must have at least one term")
    return tuple(terms)


def _sorted_set(requirements: tuple[NodeRequirement, ...]) -> tuple[NodeRequirement, ...]:
    return tuple(sorted(set(requirements)))


def _read_requirement(item: JsonObject) -> NodeRequirement:
    key, operator = item.text("key"), item.one_of("operator", _OPERATORS)
    path = item.path_of("values")
    values: list[str] = []
    for index, value in enumerate(item.items("values", most=ITEMS_MAX)):
        if not isinstance(value, str):
            raise RoundError(f"{path}[{index}]", "must be a text")
        values.append(value)
    item.end()
    if operator in ("In", "NotIn") and not values:
        raise RoundError(path, f"must not be empty with {operator}")
    if operator in ("Exists", "DoesNotExist") and values:
        raise RoundError(path, f"must be empty with {operator}")
    if operator in ("Gt", "Lt") and (len(values) != 1 or whole_number(values[0]) is None):
        raise RoundError(path, f"must be one whole number as a text with {operator}")
    return NodeRequirement(key=key, operator=operator, values=tuple(sorted(set(values))))


def _read_field(item: JsonObject) -> NodeRequirement:
    requirement = _read_requirement(item)
    if requirement.key != _NAME_FIELD:
        raise RoundError(item.path_of("key"), f"must be {_NAME_FIELD}, the only field of nodes that can be matched")
    if requirement.operator not in ("In", "NotIn"):
        raise RoundError(item.path_of("operator"), "must be In or NotIn for a field")
    return requirement


def write_taint(taint: Taint) -> Json:
    """A taint as Kubernetes' JSON."""
    return {"key": taint.key, "value": taint.value, "effect": taint.effect}


def write_toleration(toleration: Toleration) -> Json:
    """A toleration as Kubernetes' JSON."""
    fields = ("key", "operator", "value", "effect")
    return {name: getattr(toleration, name) for name in fields if getattr(toleration, name)}


def write_affinity(terms: tuple[NodeTerm, ...]) -> Json | None:
    """Required terms as Kubernetes' nodeAffinity."""
    if not terms:
        return None
    return {_REQUIRED: {"nodeSelectorTerms": [_write_term(term) for term in terms]}}


def _write_term(term: NodeTerm) -> Json:
    written: Json = {}
    if term.expressions:
        written["matchExpressions"] = [_write_requirement(requirement) for requirement in term.expressions]
    if term.fields:
        written["matchFields"] = [_write_requirement(requirement) for requirement in term.fields]
    return written


def _write_requirement(requirement: NodeRequirement) -> Json:
    written: Json = {"key": requirement.key, "operator": requirement.operator}
    if requirement.values:
        written["values"] = list(requirement.values)
    return written
