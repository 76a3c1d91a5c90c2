"""Properties of validation, defaults and shapes over generated pod specs."""

import copy
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.pods.canonical import canonical_json, pack_spec, spec_id, unpack_spec
from app.pods.defaults import with_defaults
from app.pods.limits import VIOLATIONS_MAX, PodLimits
from app.pods.prepare import prepare_pod
from app.pods.shape import decode_shape, encode_shape, shape_hash, shape_of
from app.pods.validation import validate_pod_spec

ROOT = Path(__file__).resolve().parents[2]
LIMITS = PodLimits()
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
KEYS = st.sampled_from(["zone", "kubernetes.io/arch", "gpu", "a.b/c"])
VALUES = st.sampled_from(["", "a", "b", "x-1"])
QUANTITIES = st.sampled_from(["1", "500m", 2, "1Gi", "1024Mi", 0.5])
MEMORY = st.sampled_from(["1Gi", "1024Mi", 2**30, "3Gi"])


@st.composite
def expressions(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]))
    expression: dict[str, Any] = {"key": draw(KEYS), "operator": operator}
    if operator in ("In", "NotIn"):
        expression["values"] = draw(st.lists(VALUES, min_size=1, max_size=3))
    elif operator in ("Gt", "Lt"):
        expression["values"] = [str(draw(st.integers(-9, 9)))]
    return expression


@st.composite
def containers(draw: st.DrawFn, name: str) -> dict[str, Any]:
    container: dict[str, Any] = {"name": name, "image": draw(st.sampled_from(["busybox", "python:3.11"]))}
    amounts = draw(
        st.fixed_dictionaries({}, optional={"cpu": QUANTITIES, "memory": MEMORY, "nvidia.com/gpu": st.just(1)})
    )
    if draw(st.booleans()):
        container["resources"] = {"limits": amounts} | ({"requests": dict(amounts)} if draw(st.booleans()) else {})
    if draw(st.booleans()):
        container["env"] = [{"name": "A", "value": draw(st.text(max_size=5))}]
    return container


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Valid pod specs."""
    spec: dict[str, Any] = {"containers": [draw(containers(f"c{n}")) for n in range(draw(st.integers(1, 3)))]}
    init = [draw(containers(f"i{n}")) for n in range(draw(st.integers(0, 2)))]
    for container in init:
        if draw(st.booleans()):
            container["restartPolicy"] = "Always"
    optional: dict[str, Any] = {
        "initContainers": init,
        "nodeSelector": draw(st.dictionaries(KEYS, VALUES, max_size=3)),
        "tolerations": draw(st.lists(tolerations(), max_size=3)),
        "terminationGracePeriodSeconds": draw(st.sampled_from([None, 0, 30])),
        "activeDeadlineSeconds": draw(st.sampled_from([None, 60])),
        "volumes": draw(st.sampled_from([[], None, [{"name": "v", "emptyDir": {}}]])),
    }
    terms = draw(st.lists(st.lists(expressions(), min_size=1, max_size=3), max_size=3))
    if terms:
        nodes = {"nodeSelectorTerms": [{"matchExpressions": term} for term in terms]}
        optional["affinity"] = {"nodeAffinity": {REQUIRED: nodes}}
    return spec | {key: value for key, value in optional.items() if draw(st.booleans())}


def tolerations() -> st.SearchStrategy[dict[str, Any]]:
    effects = st.sampled_from(["", "NoSchedule", "NoExecute"])
    existing = st.fixed_dictionaries({"key": KEYS, "operator": st.just("Exists")}, optional={"effect": effects})
    equal = st.fixed_dictionaries({"key": KEYS}, optional={"value": VALUES, "effect": effects})
    return existing | equal


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def spots(tree: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every place in a tree."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [way, *(spot for key, member in members for spot in spots(member, (*way, key)))]


def replaced(tree: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    result = copy.copy(tree)
    result[way[0]] = replaced(tree[way[0]], way[1:], value)
    return result


@given(specs())
def test_generated_specs_are_valid(spec: dict[str, Any]) -> None:
    assert validate_pod_spec(spec, path="s", limits=LIMITS) == []


@given(JSON)
def test_no_value_at_all_makes_validation_raise(value: Any) -> None:
    assert 0 < len(validate_pod_spec(value, path="s", limits=LIMITS)) <= VIOLATIONS_MAX


@settings(max_examples=300)
@given(specs(), st.data())
def test_a_spec_with_one_part_replaced_is_refused_with_a_path_or_can_be_used(
    spec: dict[str, Any], data: st.DataObject
) -> None:
    way = data.draw(st.sampled_from(spots(spec)))
    broken = replaced(spec, way, data.draw(JSON))
    violations = validate_pod_spec(broken, path="s", limits=LIMITS)
    assert len(violations) <= VIOLATIONS_MAX
    assert all(each.path.startswith("s") and each.message for each in violations)
    if not violations:
        prepared = prepare_pod(broken, priority_class="argosy-default", pools=(), limits=LIMITS)
        assert decode_shape(prepared.encoded_shape) == prepared.shape


@given(specs())
def test_completing_is_idempotent_valid_and_leaves_the_spec_alone(spec: dict[str, Any]) -> None:
    before = copy.deepcopy(spec)
    once = with_defaults(spec, LIMITS, priority_class="argosy-default")
    assert spec == before
    assert with_defaults(once, LIMITS, priority_class="argosy-default") == once
    assert validate_pod_spec(once, path="s", limits=LIMITS) == []


@given(specs(), specs())
def test_ids_are_equal_exactly_if_the_specs_are(left: dict[str, Any], right: dict[str, Any]) -> None:
    one, other = (with_defaults(spec, LIMITS, priority_class="argosy-default") for spec in (left, right))
    assert (spec_id(canonical_json(one)) == spec_id(canonical_json(other))) == (one == other)
    assert unpack_spec(pack_spec(canonical_json(one))) == one


@given(specs(), specs(), st.sampled_from(["p", "q"]))
def test_hashes_are_equal_exactly_if_the_shapes_are(left: dict[str, Any], right: dict[str, Any], name: str) -> None:
    one, other = shape_of(left, "p", ["x"]), shape_of(right, name, ["x"])
    assert (shape_hash(encode_shape(one)) == shape_hash(encode_shape(other))) == (one == other)
    assert decode_shape(encode_shape(one)) == one


@given(specs(), st.randoms(use_true_random=False))
def test_the_order_in_which_requirements_are_written_does_not_matter(
    spec: dict[str, Any], source: random.Random
) -> None:
    def shuffled(tree: Any) -> Any:
        if isinstance(tree, dict):
            entries = [(key, shuffled(member)) for key, member in tree.items()]
            source.shuffle(entries)
            return dict(entries)
        return [shuffled(member) for member in tree] if isinstance(tree, list) else tree

    other = shuffled(spec)
    for terms in [other.get("affinity", {}).get("nodeAffinity", {}).get(REQUIRED, {}).get("nodeSelectorTerms", [])]:
        source.shuffle(terms)
        for term in terms:
            source.shuffle(term["matchExpressions"])
            for expression in term["matchExpressions"]:
                source.shuffle(expression.get("values", []))
    source.shuffle(other.get("tolerations") or [])
    pools = ["a", "b", "c"]
    source.shuffle(pools)
    assert encode_shape(shape_of(other, "p", pools)) == encode_shape(shape_of(spec, "p", ["a", "b", "c"]))


PRINT_HASHES = """
import json, sys
from app.pods.limits import PodLimits
from app.pods.prepare import prepare_pod
from app.pods.validation import validate_pod_spec
for line in sys.stdin:
    spec = json.loads(line)
    prepared = prepare_pod(spec, priority_class="argosy-default", pools={"a", "b", "c"}, limits=PodLimits())
    wrong = validate_pod_spec(spec | {"x": 1, "y": 2, "nodeName": "n"}, path="s", limits=PodLimits())
    print(prepared.spec_id.hex(), prepared.shape_hash.hex(), prepared.packed_spec.hex(), wrong)
"""


def test_bytes_and_violations_do_not_depend_on_the_hash_seed() -> None:
    drawn: list[str] = []

    @settings(max_examples=20, database=None)
    @given(specs())
    def draw(spec: dict[str, Any]) -> None:
        drawn.append(json.dumps(spec))

    draw()
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PRINT_HASHES],
            input="\n".join(drawn), capture_output=True, text=True, check=True, timeout=60, cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2", "3")
    ]  # fmt: skip
    assert outputs[0].count("\n") == len(drawn)
    assert outputs[0] == outputs[1] == outputs[2]
