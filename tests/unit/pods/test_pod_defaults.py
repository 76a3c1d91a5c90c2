"""Completing specs, their canonical bytes and all that a submit call prepares."""

import copy
from typing import Any

import orjson
import pytest
import zstandard

from app.domain.commands import ShapeRef, Spec
from app.pods.canonical import PackedSpecError, canonical_json, pack_spec, spec_id, unpack_spec
from app.pods.constraints import Toleration
from app.pods.defaults import with_defaults
from app.pods.limits import STORED_SPEC_BYTES_MAX, PodLimits
from app.pods.prepare import prepare_pod
from app.pods.quantity import resources_of
from tests.unit.pods.specs import a_container, a_spec, with_resources

GPU = Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")
SPOT = Toleration(key="spot", value="true", effect="NoSchedule")
ALL = Toleration(key="batch", operator="Exists")


def completed(spec: dict[str, Any], limits: PodLimits | None = None, priority_class: str = "argosy-default") -> Any:
    return with_defaults(spec, limits or PodLimits(), priority_class=priority_class)


def test_def1_a_container_without_resources_gets_all_defaults() -> None:
    spec = a_spec(containers=[a_container(resources=None)], initContainers=[a_container(name="i", resources={})])
    want = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "8Gi"}
    result = completed(spec)
    for container in (result["containers"][0], result["initContainers"][0]):
        assert container["resources"] == {"requests": want, "limits": want}


def test_def1_fills_only_what_neither_request_nor_limit_names() -> None:
    spec = a_spec(containers=[with_resources({"cpu": "3"}, {"cpu": "3", "nvidia.com/gpu": 1})])
    resources = completed(spec)["containers"][0]["resources"]
    want = {"cpu": "3", "nvidia.com/gpu": "1", "memory": "1Gi", "ephemeral-storage": "8Gi"}
    assert resources == {"requests": want, "limits": want}


def test_def1_the_defaults_are_the_installations() -> None:
    spec = a_spec(containers=[a_container(resources=None)])
    assert completed(spec, PodLimits(default_resources={}))["containers"][0]["resources"] == {
        "requests": {},
        "limits": {},
    }


def test_a_limit_above_its_request_stays() -> None:
    limits = PodLimits(oversubscription_max={"cpu": 2.0}, default_resources={})
    result = completed(a_spec(containers=[with_resources({"cpu": "1"}, {"cpu": "2"})]), limits)
    assert result["containers"][0]["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}


@pytest.mark.parametrize(
    ("given", "gpu", "want_s"),
    [(None, None, 72 * 3600), (None, "1", 336 * 3600), (None, "0", 72 * 3600), (60, "1", 60), (10**6, None, 10**6)],
)
def test_def2_the_deadline_is_the_users_or_depends_on_the_resources(
    given: int | None, gpu: str | None, want_s: int
) -> None:
    amounts = {"cpu": "1"} | ({} if gpu is None else {"nvidia.com/gpu": gpu})
    spec = a_spec(containers=[a_container(), with_resources(amounts, amounts, name="b")], activeDeadlineSeconds=given)
    assert completed(spec)["activeDeadlineSeconds"] == want_s


def test_def2_the_longest_of_several_deadlines_holds() -> None:
    limits = PodLimits(deadline_by_resource_s={"a/x": 50, "a/y": 70, "a/z": 90}, deadline_default_s=100)
    amounts = {"a/x": 1, "a/y": 1}
    assert completed(a_spec(containers=[with_resources(amounts, amounts)]), limits)["activeDeadlineSeconds"] == 70


def test_def3_tolerations_come_from_the_installation_the_class_and_the_resources() -> None:
    limits = PodLimits(
        tolerations=(ALL,),
        tolerations_by_priority_class={"argosy-preemptible": (SPOT,)},
        tolerations_by_resource={"nvidia.com/gpu": (GPU,)},
    )
    gpu = a_spec(containers=[with_resources(None, {"nvidia.com/gpu": 1})], tolerations=[{"key": "own"}])
    assert completed(gpu, limits, "argosy-preemptible")["tolerations"] == [
        {"key": "own"},
        {"key": "batch", "operator": "Exists"},
        {"key": "spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]
    assert completed(a_spec(), limits)["tolerations"] == [{"key": "batch", "operator": "Exists"}]
    assert "tolerations" not in completed(a_spec())


@pytest.mark.parametrize(("given", "want"), [(None, 1), (0, 1), (30, 30)])
def test_val6_no_grace_period_becomes_the_least(given: int | None, want: int) -> None:
    assert completed(a_spec(terminationGracePeriodSeconds=given))["terminationGracePeriodSeconds"] == want


def test_pods_are_not_restarted() -> None:
    assert completed(a_spec())["restartPolicy"] == "Never"


def test_the_given_spec_stays_as_it_is() -> None:
    spec = a_spec(
        containers=[with_resources(None, {"cpu": 1})], volumes=[{"name": "a", "emptyDir": None}], overhead={"cpu": 1}
    )
    before = copy.deepcopy(spec)
    result = completed(spec)
    assert spec == before
    result["containers"][0]["command"].append("x")
    assert spec == before


def test_completing_twice_changes_nothing() -> None:
    limits = PodLimits(tolerations=(ALL,), tolerations_by_resource={"cpu": (GPU,)})
    once = completed(a_spec(containers=[with_resources(None, {"cpu": 0.5})], overhead={"memory": 5}), limits)
    assert completed(once, limits) == once


def test_nulls_vanish_and_quantities_become_texts() -> None:
    spec = a_spec(
        containers=[with_resources({"cpu": 0.5, "memory": 1e9}, {"cpu": 0.5, "memory": 1e9}, env=None)],
        overhead={"cpu": 1},
        activeDeadlineSeconds=60.0,
        affinity={"nodeAffinity": None},
    )
    result = completed(spec)
    assert result["containers"][0]["resources"]["requests"] == {
        "cpu": "0.5",
        "memory": "1000000000",
        "ephemeral-storage": "8Gi",
    }
    assert result["overhead"] == {"cpu": "1"}
    assert result["activeDeadlineSeconds"] == 60
    assert type(result["activeDeadlineSeconds"]) is int
    assert result["affinity"] == {}


def test_canonical_bytes_and_ids_do_not_depend_on_the_order_of_keys() -> None:
    left, right = {"b": [{"y": 1, "x": "ü"}], "a": 2}, {"a": 2, "b": [{"x": "ü", "y": 1}]}
    assert canonical_json(left) == canonical_json(right) == '{"a":2,"b":[{"x":"ü","y":1}]}'.encode()
    assert spec_id(canonical_json(left)).hex() == "bc3a57615329c78e21fa9bc6070f7262"
    assert spec_id(canonical_json({"a": 2})) != spec_id(canonical_json(left))


def test_a_packed_spec_unpacks_to_itself() -> None:
    spec = completed(a_spec())
    packed = pack_spec(canonical_json(spec))
    assert unpack_spec(packed) == spec
    assert len(packed) < len(canonical_json(spec))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"not zstd",
        pack_spec(canonical_json(a_spec()))[:-3],
        zstandard.compress(b"{"),
        zstandard.compress(b"[1]"),
        zstandard.compress(b""),
        zstandard.ZstdCompressor(write_content_size=False).compress(b"{}"),
        zstandard.compress(b'{"a":"' + b"x" * STORED_SPEC_BYTES_MAX + b'"}'),
    ],
    ids=["empty", "foreign", "cut", "no json", "no object", "nothing", "no size", "too large"],
)
def test_bytes_that_are_no_packed_spec_are_a_typed_error(packed: bytes) -> None:
    with pytest.raises(PackedSpecError):
        unpack_spec(packed)


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    honest = zstandard.ZstdCompressor(write_content_size=True, write_checksum=False).compress(
        b'{"a":"' + b"x" * 90 + b'"}'
    )
    assert zstandard.frame_content_size(honest) == 98
    lying = bytearray(honest)
    lying[5] = 3
    with pytest.raises(PackedSpecError):
        unpack_spec(bytes(lying))


def test_prepare_gives_everything_that_a_record_carries() -> None:
    spec = a_spec(containers=[with_resources(None, {"cpu": "2", "nvidia.com/gpu": 1})])
    prepared = prepare_pod(spec, priority_class="argosy-default", pools=["gpu"], limits=PodLimits())
    stored = completed(spec)
    assert unpack_spec(prepared.packed_spec) == stored
    assert prepared.spec_id == spec_id(canonical_json(stored))
    assert prepared.deadline_s == 336 * 3600
    assert prepared.shape.pools == ("gpu",)
    assert prepared.shape.resources == resources_of(
        {"cpu": "2", "nvidia.com/gpu": "1", "memory": "1Gi", "ephemeral-storage": "8Gi"}
    )
    assert (len(prepared.spec_id), len(prepared.shape_hash)) == (16, 16)
    assert orjson.loads(prepared.encoded_shape)["priority_class"] == "argosy-default"
    assert prepared.spec == Spec(spec_id=prepared.spec_id, body=prepared.packed_spec)
    assert prepared.shape_ref == ShapeRef(
        shape_hash=prepared.shape_hash, cpu_milli=2000, memory_bytes=2**30, storage_bytes=2**33, gpus=1
    )
