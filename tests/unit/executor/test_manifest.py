"""The pod that is made of a lease."""

import json
from typing import Any, cast

import pytest
from msgspec import Raw

from app.executor.kubernetes import PodManifest
from app.executor.manifest import ManifestError, ManifestRules, build_manifest
from app.executor.pod_object import run_of_pod
from app.executor.protocol import Lease, LeaseGang
from tests.unit.executor.builders import CLUSTER, LOG, a_lease, an_id

SPEC: dict[str, Any] = {
    "initContainers": [{"name": "init", "image": "busybox"}],
    "containers": [
        {
            "name": "main",
            "image": "busybox",
            "env": [{"name": "MINE", "value": "1"}, {"name": "ARGOSY_JOB_ID", "value": "forged"}],
            "resources": {"requests": {"cpu": "1", "licence": "2"}, "limits": {"cpu": "1", "licence": "2"}},
        }
    ],
}


def made(
    spec: object = SPEC, rules: ManifestRules | None = None, node_labels: dict[str, str] | None = None, **more: Any
) -> PodManifest:
    lease: Lease = a_lease(1, pod_spec=Raw(json.dumps(spec).encode()), **more)
    return build_manifest(
        lease, log=LOG, cluster=CLUSTER, rules=rules or ManifestRules(), node_labels=node_labels or {}
    )


def part(manifest: PodManifest, name: str) -> dict[str, Any]:
    return cast(dict[str, Any], manifest.body[name])


def test_the_pod_is_named_after_its_run_and_bound_to_its_node() -> None:
    manifest = made()
    assert manifest.name == f"argosy-{an_id(1)}"
    assert part(manifest, "spec")["nodeName"] == "n0"
    assert part(manifest, "spec")["restartPolicy"] == "Never"


def test_the_pod_carries_what_a_later_instance_needs() -> None:
    manifest = made()
    metadata = part(manifest, "metadata")
    assert run_of_pod(manifest.name, metadata["labels"], metadata["annotations"]) == manifest.run


@pytest.mark.parametrize(
    "missing", ["argosy.io/log", "argosy.io/cluster", "argosy.io/position", "argosy.io/run-id", "argosy.io/attempt"]
)
def test_a_pod_without_a_whole_identity_is_no_run(missing: str) -> None:
    manifest = made()
    metadata = part(manifest, "metadata")
    labels = {key: value for key, value in metadata["labels"].items() if key != missing}
    annotations = {key: value for key, value in metadata["annotations"].items() if key != missing}
    assert run_of_pod(manifest.name, labels, annotations) is None
    assert run_of_pod("argosy-else", metadata["labels"], metadata["annotations"]) is None


def test_every_container_knows_its_job() -> None:
    spec = part(made(), "spec")
    for container in [*spec["initContainers"], *spec["containers"]]:
        values = {entry["name"]: entry["value"] for entry in container["env"]}
        assert values["ARGOSY_JOB_ID"] == values["ARMADA_JOB_ID"] == an_id(1)
        assert len(values) == len(container["env"])
    assert {"name": "MINE", "value": "1"} in spec["containers"][0]["env"]


def test_every_container_of_a_gang_knows_it_and_the_value_that_its_nodes_share() -> None:
    gang = LeaseGang(id="g", cardinality=4, uniformity_label="zone")
    manifest = made(gang=gang, node_labels={"zone": "west", "other": "x"})
    for container in part(manifest, "spec")["containers"]:
        values = {entry["name"]: entry["value"] for entry in container["env"]}
        for prefix in ("ARGOSY_GANG", "ARMADA_GANG"):
            assert values[f"{prefix}_ID"] == "g"
            assert values[f"{prefix}_CARDINALITY"] == "4"
            assert values[f"{prefix}_NODE_UNIFORMITY_LABEL_NAME"] == "zone"
            assert values[f"{prefix}_NODE_UNIFORMITY_LABEL_VALUE"] == "west"
    annotations = part(manifest, "metadata")["annotations"]
    assert annotations["argosy.io/gang-id"] == "g"
    assert annotations["argosy.io/gang-cardinality"] == "4"


def test_a_job_of_no_gang_hears_of_none() -> None:
    manifest = made(gang=None)
    assert "GANG" not in json.dumps(manifest.body)
    without = part(made(gang=LeaseGang(id="g", cardinality=2)), "spec")["containers"][0]["env"]
    assert not [entry for entry in without if "UNIFORMITY" in entry["name"]]


def test_labels_of_the_job_may_not_forge_identity() -> None:
    manifest = made(
        labels={"argosy.io/run-id": "x", "team": "a"}, annotations={"fake-cluster/run-ms": "5"}, queue="not a label!"
    )
    metadata = part(manifest, "metadata")
    assert metadata["labels"]["argosy.io/run-id"] == an_id(1)
    assert metadata["labels"]["team"] == "a"
    assert "argosy.io/queue" not in metadata["labels"]
    assert metadata["annotations"]["argosy.io/queue"] == "not a label!"
    assert metadata["annotations"]["fake-cluster/run-ms"] == "5"


@pytest.mark.parametrize(
    ("own", "lease", "want"), [(None, None, None), (None, 5, 5), (3, 5, 3), (9, 5, 5), (9, None, 9), (9, 0, 9)]
)
def test_the_earlier_deadline_counts(own: int | None, lease: int | None, want: int | None) -> None:
    spec = {**SPEC, **({} if own is None else {"activeDeadlineSeconds": own})}
    assert part(made(spec, deadline_seconds=lease), "spec").get("activeDeadlineSeconds") == want


def test_resources_that_kubernetes_does_not_know_are_stripped() -> None:
    manifest = made(rules=ManifestRules(stripped_resources=frozenset({"licence"})))
    assert part(manifest, "spec")["containers"][0]["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}


@pytest.mark.parametrize(("override", "want"), [(None, "urgent"), ("", None), ("other", "other")])
def test_the_priority_class_can_be_replaced(override: str | None, want: str | None) -> None:
    spec = {**SPEC, "priorityClassName": "urgent"}
    manifest = made(spec, rules=ManifestRules(priority_class=override))
    assert part(manifest, "spec").get("priorityClassName") == want


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ([], "podSpec is not a JSON object"),
        ({}, "podSpec.containers"),
        ({"containers": []}, "podSpec.containers"),
        ({"containers": [1]}, "podSpec.containers must be a list of objects"),
        ({"containers": [{}], "initContainers": {}}, "podSpec.initContainers"),
    ],
)
def test_what_cannot_be_a_pod_names_the_field(spec: object, want: str) -> None:
    with pytest.raises(ManifestError, match=want):
        made(spec)


def test_what_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ManifestError, match="services"):
        made(services=(Raw(b"{}"),))


def test_the_pod_carries_armadas_names_beside_ours() -> None:
    metadata = part(made(), "metadata")
    wanted = {
        "armada_job_id": an_id(1),
        "armada_job_run_id": an_id(1),
        "armada_queue_id": "q",
        "armada_pod_number": "0",
    }
    assert wanted.items() <= metadata["labels"].items()
    assert metadata["annotations"]["armada_jobset_id"] == "s"
