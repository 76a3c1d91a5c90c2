"""Shapes: what they hold, and when two are the same."""

from typing import Any

import pytest

from app.pods.constraints import NodeRequirement, NodeTerm, Toleration
from app.pods.shape import SHAPE_BYTES_MAX, Shape, ShapeError, decode_shape, encode_shape, shape_hash, shape_of
from tests.unit.pods.specs import a_container, a_spec, with_resources

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def affinity(*terms: Any) -> dict[str, Any]:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


def test_a_shape_holds_all_that_placing_depends_on() -> None:
    spec = a_spec(
        containers=[with_resources(None, {"cpu": "2", "memory": "1Gi"})],
        nodeSelector={"zone": "b", "arch": "amd64"},
        affinity=affinity(
            {
                "matchExpressions": [{"key": "gpu", "operator": "In", "values": ["b", "a", "b"]}],
                "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}],
            }
        ),
        tolerations=[{"key": "x", "effect": "NoExecute", "tolerationSeconds": 5}, {"operator": "Exists"}],
    )
    assert shape_of(spec, "high", ["p2", "p1", "p2"]) == Shape(
        priority_class="high",
        requests=(("cpu", 2000), ("memory", 2**30)),
        node_selector=(("arch", "amd64"), ("zone", "b")),
        affinity=(
            NodeTerm(
                expressions=(NodeRequirement(key="gpu", operator="In", values=("a", "b")),),
                fields=(NodeRequirement(key="metadata.name", operator="NotIn", values=("n1",)),),
            ),
        ),
        tolerations=(
            Toleration(operator="Exists"),
            Toleration(key="x", effect="NoExecute"),
        ),
        pools=("p1", "p2"),
    )


def test_what_does_not_matter_for_placing_does_not_change_the_shape() -> None:
    one = a_spec(containers=[a_container(name="a", image="x", env=[{"name": "A", "value": "b"}])], hostname="h")
    other = a_spec(containers=[a_container(name="b", image="y")], volumes=[{"name": "v", "emptyDir": {}}])
    assert shape_of(one, "p", []) == shape_of(other, "p", [])


def test_equal_amounts_written_differently_are_one_shape() -> None:
    one = a_spec(containers=[with_resources(None, {"cpu": "1000m", "memory": "1024Mi"})])
    other = a_spec(containers=[with_resources(None, {"cpu": 1, "memory": "1Gi"})])
    assert encode_shape(shape_of(one, "p", [])) == encode_shape(shape_of(other, "p", []))


@pytest.mark.parametrize(
    ("spec", "priority_class", "pools"),
    [
        (a_spec(containers=[with_resources(None, {"cpu": "1001m", "memory": "1Gi"})]), "p", []),
        (a_spec(nodeSelector={"a": "b"}), "p", []),
        (a_spec(affinity=affinity({"matchExpressions": [{"key": "a", "operator": "Exists"}]})), "p", []),
        (a_spec(tolerations=[{"key": "a"}]), "p", []),
        (a_spec(), "q", []),
        (a_spec(), "p", ["pool"]),
    ],
    ids=["requests", "selector", "affinity", "tolerations", "class", "pools"],
)
def test_every_part_of_a_shape_changes_its_hash(spec: dict[str, Any], priority_class: str, pools: list[str]) -> None:
    plain = encode_shape(shape_of(a_spec(), "p", []))
    assert shape_hash(encode_shape(shape_of(spec, priority_class, pools))) != shape_hash(plain)


def test_a_term_that_matches_nothing_is_not_the_absence_of_terms() -> None:
    shape = shape_of(a_spec(affinity=affinity({})), "p", [])
    assert shape.affinity == (NodeTerm(),)
    assert decode_shape(encode_shape(shape)) == shape


def test_the_bytes_of_a_shape_are_pinned_for_they_stand_in_the_log() -> None:
    spec = a_spec(
        nodeSelector={"zone": "b"},
        affinity=affinity({"matchExpressions": [{"key": "a", "operator": "In", "values": ["2", "1"]}]}),
        tolerations=[{"key": "gpu", "operator": "Exists"}, {"key": "a", "value": "b"}],
    )
    encoded = encode_shape(shape_of(spec, "argosy-default", ["cpu"]))
    assert encoded == (
        b'{"priority_class":"argosy-default","requests":[["cpu",1000],["memory",1073741824]],'
        b'"node_selector":[["zone","b"]],'
        b'"affinity":[{"expressions":[{"key":"a","operator":"In","values":["1","2"]}]}],'
        b'"tolerations":[{"key":"a","value":"b"},{"key":"gpu","operator":"Exists"}],"pools":["cpu"]}'
    )
    assert shape_hash(encoded).hex() == "d9e177a69d08dbb32f4d774ad352035f"


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"priority_class":1}',
        b"\xff",
        b'{"priority_class":"' + b"p" * SHAPE_BYTES_MAX + b'"}',
    ],
    ids=["nothing", "cut", "array", "no class", "wrong type", "no text", "too large"],
)
def test_bytes_that_are_no_shape_are_a_typed_error(encoded: bytes) -> None:
    with pytest.raises(ShapeError):
        decode_shape(encoded)


def test_terms_are_sorted_whatever_the_order_they_were_written_in() -> None:
    terms = [{"matchExpressions": [{"key": f"k{number}", "operator": "Exists"}]} for number in range(9)]
    shape = shape_of(a_spec(affinity=affinity(*reversed(terms))), "p", [])
    assert [term.expressions[0].key for term in shape.affinity] == [f"k{number}" for number in range(9)]


def test_a_field_that_a_newer_version_added_is_passed_over() -> None:
    assert decode_shape(b'{"priority_class":"p","newer":1}') == Shape(priority_class="p")
