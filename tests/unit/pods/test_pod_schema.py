"""The committed schema is what the generator makes of the installed Kubernetes client."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes.client.models.v1_pod_spec import V1PodSpec

from app.pods.schema import is_schema_valid, pod_spec_schema
from app.pods.tree import mapping
from tests.unit.pods.specs import a_container, a_spec

ROOT = Path(__file__).resolve().parents[3]
GENERATOR = ROOT / "infra" / "kube" / "generate_pod_schema.py"


def test_the_committed_schema_is_the_generators_output() -> None:
    committed = (ROOT / "app" / "pods" / "pod_spec.schema.json").read_text(encoding="utf-8")
    assert runpy.run_path(str(GENERATOR))["generate"]() == committed, f"run {GENERATOR.relative_to(ROOT)}"


def test_the_generator_says_whether_the_committed_schema_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "pod_spec.schema.json is up to date\n")


def test_every_field_of_the_clients_pod_spec_is_known() -> None:
    known = set(mapping(mapping(mapping(pod_spec_schema()["$defs"])["PodSpec"])["properties"]))
    assert known == set(V1PodSpec.attribute_map.values())


def test_every_definition_refuses_unknown_fields() -> None:
    for name, definition in mapping(pod_spec_schema()["$defs"]).items():
        if mapping(definition).get("type") == "object":
            assert mapping(definition)["additionalProperties"] is False, name


@pytest.mark.parametrize("quantity", ["1", "500m", "1.5Gi", "1e3", 2, 0.5])
def test_quantities_may_be_texts_or_numbers(quantity: str | float) -> None:
    resources = {"requests": {"cpu": quantity}, "limits": {"cpu": quantity}}
    assert is_schema_valid(a_spec(containers=[a_container(resources=resources)]))


@pytest.mark.parametrize("quantity", ["", "1 Gi", "1GB", "one", True, [], "1" * 65])
def test_other_quantities_are_not_valid(quantity: object) -> None:
    assert not is_schema_valid(a_spec(overhead={"cpu": quantity}))


def test_the_clients_model_reads_what_the_schema_accepts() -> None:
    probe = {"httpGet": {"port": "http", "path": "/healthz"}, "periodSeconds": 5}
    spec = a_spec(
        containers=[a_container(livenessProbe=probe, ports=[{"containerPort": 80, "name": "http"}])],
        volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}],
    )
    assert is_schema_valid(spec)
    assert V1PodSpec.model_validate(spec).containers[0].liveness_probe is not None
