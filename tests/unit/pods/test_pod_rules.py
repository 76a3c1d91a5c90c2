"""Rules about resources, containers, volumes and placement, each with what it refuses and what it lets pass."""

from typing import Any

import pytest

from app.pods.constraints import NODE_OPERATORS
from app.pods.limits import PodLimits
from tests.unit.pods.specs import a_container, a_spec, found, the_message, with_resources

RESOURCES = "containers[0].resources"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
TERMS = f"affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"


@pytest.mark.parametrize(
    ("requests", "limits", "want"),
    [
        (None, None, None),
        ({}, {}, None),
        ({"cpu": "1"}, {"cpu": "1000m"}, None),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, None),
        (None, {"cpu": "1", "nvidia.com/gpu": 1}, None),
        ({"cpu": "1"}, {"cpu": "1", "memory": "1Gi"}, None),
        ({"cpu": "0"}, {"cpu": "0"}, None),
        ({"memory": "1Mi"}, {"memory": "1Mi"}, None),
        ({"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "4Mi"}, None),
        ({"cpu": "1"}, None, "requests.cpu"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1"}, "requests.memory"),
        ({"cpu": "2"}, {"cpu": "1"}, "limits.cpu"),
        ({"cpu": "1"}, {"cpu": "1001m"}, "limits.cpu"),
        ({"cpu": "-1"}, {"cpu": "1"}, "requests.cpu"),
        ({"cpu": "1"}, {"cpu": "-1"}, "limits.cpu"),
        (None, {"cpu": "-1"}, "limits.cpu"),
        ({"memory": "1023Ki"}, {"memory": "1023Ki"}, "requests.memory"),
        (None, {"memory": "1Ki"}, "limits.memory"),
        ({"memory": "0"}, {"memory": "0"}, "requests.memory"),
        ({"memory": "8Ei"}, {"memory": "8Ei"}, "requests.memory"),
        ({"nvidia.com/gpu": "500m"}, {"nvidia.com/gpu": "500m"}, 'requests["nvidia.com/gpu"]'),
        ({"disk": "1"}, {"disk": "1"}, "requests.disk"),
        ({"a b/c": "1"}, {"a b/c": "1"}, 'requests["a b/c"]'),
    ],
)
def test_val3_requests_and_limits(requests: Any, limits: Any, want: str | None) -> None:
    spec = a_spec(containers=[with_resources(requests, limits)])
    assert found(spec) == (set() if want is None else {("VAL3", f"{RESOURCES}.{want}")})


def test_val3_holds_for_init_containers_and_sidecars_too() -> None:
    bad = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}
    spec = a_spec(
        initContainers=[
            a_container(name="a", resources=bad),
            a_container(name="b", resources=bad, restartPolicy="Always"),
        ]
    )
    assert found(spec) == {("VAL3", f"initContainers[{n}].resources.limits.cpu") for n in (0, 1)}


def test_val3_a_limit_may_be_above_the_request_as_far_as_the_installation_allows() -> None:
    limits = PodLimits(oversubscription_max={"cpu": 1.5})
    assert found(a_spec(containers=[with_resources({"cpu": "2"}, {"cpu": "3"})]), limits) == set()
    over = a_spec(containers=[with_resources({"cpu": "2"}, {"cpu": "3001m"})])
    assert found(over, limits) == {("VAL3", f"{RESOURCES}.limits.cpu")}
    assert the_message(over, limits) == "the limit is more than 1.5 times the request"


def test_val3_pieces_of_devices_are_never_oversubscribed() -> None:
    limits = PodLimits(oversubscription_max={"nvidia.com/gpu": 2.0})
    spec = a_spec(containers=[with_resources({"nvidia.com/gpu": 1}, {"nvidia.com/gpu": 2})])
    assert found(spec, limits) == {("VAL3", f'{RESOURCES}.limits["nvidia.com/gpu"]')}


def test_val3_one_tenth_more_is_exactly_one_tenth_more() -> None:
    limits = PodLimits(oversubscription_max={"cpu": 1.1, "memory": 1.15})
    assert found(a_spec(containers=[with_resources({"cpu": "3"}, {"cpu": "3300m"})]), limits) == set()
    assert found(a_spec(containers=[with_resources({"memory": "20Mi"}, {"memory": "23Mi"})]), limits) == set()


def test_val3_a_pod_cannot_ask_for_more_than_can_be_counted() -> None:
    half = {"memory": "5Pi"}
    assert found(a_spec(containers=[with_resources(half, half)])) == set()
    both = a_spec(containers=[with_resources(half, half, name="a"), with_resources(half, half, name="b")])
    assert found(both) == {("VAL3", "")}


def test_floating_resources_of_the_installation_may_have_plain_names() -> None:
    spec = a_spec(containers=[with_resources({"licences": 1}, {"licences": 1})])
    assert found(spec, PodLimits(floating_resources=frozenset({"licences"}))) == set()


def test_overhead_is_held_to_the_same_rules() -> None:
    assert found(a_spec(overhead={"cpu": "100m"})) == set()
    assert found(a_spec(overhead={"cpu": "-1", "x": "1"})) == {("VAL3", "overhead.cpu"), ("VAL3", "overhead.x")}


def test_dynamic_resource_claims_are_refused_by_name() -> None:
    spec = a_spec(containers=[a_container(resources={"claims": [{"name": "gpu"}]})])
    assert found(spec) == {("UNSUPPORTED", f"{RESOURCES}.claims")}


@pytest.mark.parametrize(
    ("cpu", "sidecar", "good"), [("1500m", False, True), ("1", False, False), (None, False, False), ("1", True, True)]
)
def test_val4_init_containers_ask_for_a_fraction_of_a_cpu_where_the_installation_wants_it(
    cpu: str | None, sidecar: bool, good: bool
) -> None:
    amounts = None if cpu is None else {"cpu": cpu}
    init = with_resources(amounts, amounts, name="init", restartPolicy="Always" if sidecar else None)
    spec = a_spec(initContainers=[init])
    want = set() if good else {("VAL4", "initContainers[0].resources.requests.cpu")}
    assert found(spec, PodLimits(init_containers_fractional_cpu=True)) == want
    assert found(spec) == set()


def test_names_of_containers_are_unique_over_init_and_main_containers() -> None:
    spec = a_spec(initContainers=[a_container()], containers=[a_container(), a_container(name="other")])
    assert found(spec) == {("DUPLICATE", "containers[0].name")}


def test_val8_a_port_is_exposed_once_by_what_runs_together() -> None:
    port = [{"containerPort": 80}]
    two = a_spec(containers=[a_container(ports=port), a_container(name="b", ports=port)])
    assert found(two) == {("VAL8", "containers[1].ports[0].containerPort")}
    sidecar = a_container(name="s", ports=port, restartPolicy="Always")
    assert found(a_spec(initContainers=[sidecar], containers=[a_container(ports=port)])) == {
        ("VAL8", "containers[0].ports[0].containerPort")
    }
    init = a_container(name="i", ports=port)
    assert found(a_spec(initContainers=[init], containers=[a_container(ports=port)])) == set()


def test_val8_protocols_have_ports_of_their_own() -> None:
    ports = [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
    assert found(a_spec(containers=[a_container(ports=ports)])) == set()
    ports.append({"containerPort": 53})
    assert found(a_spec(containers=[a_container(ports=ports)])) == {("VAL8", "containers[0].ports[2].containerPort")}


def test_port_names_are_unique_in_a_container() -> None:
    ports = [{"containerPort": 80, "name": "web"}, {"containerPort": 81, "name": "web"}]
    assert found(a_spec(containers=[a_container(ports=ports)])) == {("DUPLICATE", "containers[0].ports[1].name")}


@pytest.mark.parametrize(
    ("volumes", "want"),
    [
        ([{"name": "a", "emptyDir": {}}], set()),
        ([{"name": "a"}], set()),
        ([{"name": "a", "emptyDir": None}], set()),
        ([{"name": "a", "emptyDir": {}, "secret": {"secretName": "s"}}], {("ONE_OF", "volumes[0]")}),
        ([{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}], {("DUPLICATE", "volumes[1].name")}),
        ([{"name": "a", "emptyDir": {"medium": "Disk"}}], {("SCHEMA_VALUE", "volumes[0].emptyDir.medium")}),
        (
            [{"name": "a", "persistentVolumeClaim": {}}],
            {("SCHEMA_REQUIRED", "volumes[0].persistentVolumeClaim.claimName")},
        ),
    ],
)
def test_volumes(volumes: list[Any], want: set[tuple[str, str]]) -> None:
    assert found(a_spec(volumes=volumes)) == want


@pytest.mark.parametrize(
    ("container", "want"),
    [
        ({"volumeMounts": [{"name": "data", "mountPath": "/d"}]}, set()),
        (
            {"volumeMounts": [{"name": "date", "mountPath": "/d"}]},
            {("REFERENCE", "containers[0].volumeMounts[0].name")},
        ),
        (
            {"volumeDevices": [{"name": "date", "devicePath": "/d"}]},
            {("REFERENCE", "containers[0].volumeDevices[0].name")},
        ),
        (
            {"volumeMounts": [{"name": "data", "mountPath": "/d"}] * 2},
            {("DUPLICATE", "containers[0].volumeMounts[1].mountPath")},
        ),
        ({"env": [{"name": "A", "value": "b"}, {"name": "A", "value": "c"}]}, set()),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, set()),
        ({"env": [{"name": "A", "valueFrom": {}}]}, {("ONE_OF", "containers[0].env[0].valueFrom")}),
        (
            {"env": [{"name": "A", "value": "b", "valueFrom": {"secretKeyRef": {"key": "k"}}}]},
            {("ONE_OF", "containers[0].env[0].valueFrom")},
        ),
        ({"envFrom": [{"configMapRef": {"name": "c"}, "prefix": "X_"}]}, set()),
        ({"envFrom": [{"prefix": "X_"}]}, {("ONE_OF", "containers[0].envFrom[0]")}),
        ({"readinessProbe": {"exec": {"command": ["true"]}}}, set()),
        ({"readinessProbe": {"periodSeconds": 5}}, {("ONE_OF", "containers[0].readinessProbe")}),
        ({"livenessProbe": {"exec": {}, "tcpSocket": {"port": 80}}}, {("ONE_OF", "containers[0].livenessProbe")}),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}, set()),
        (
            {"lifecycle": {"preStop": {}, "postStart": {}}},
            {("ONE_OF", "containers[0].lifecycle.preStop"), ("ONE_OF", "containers[0].lifecycle.postStart")},
        ),
    ],
)
def test_parts_of_a_container(container: dict[str, Any], want: set[tuple[str, str]]) -> None:
    volumes = [{"name": "data", "emptyDir": {}}]
    assert found(a_spec(containers=[a_container(**container)], volumes=volumes)) == want


@pytest.mark.parametrize("field", ["livenessProbe", "readinessProbe", "startupProbe"])
def test_probes_are_for_containers_that_go_on(field: str) -> None:
    probe = {field: {"exec": {"command": ["true"]}}}
    assert found(a_spec(initContainers=[a_container(name="i", **probe)])) == {
        ("INIT_CONTAINER", f"initContainers[0].{field}")
    }
    assert found(a_spec(initContainers=[a_container(name="i", restartPolicy="Always", **probe)])) == set()


def affinity(*terms: Any) -> dict[str, Any]:
    return a_spec(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}})


def expressions(*each: dict[str, Any]) -> dict[str, Any]:
    return {"matchExpressions": list(each)}


@pytest.mark.parametrize(
    ("operator", "values", "want"),
    [
        ("In", ["a", "b"], None),
        ("NotIn", [""], None),
        ("Exists", [], None),
        ("DoesNotExist", None, None),
        ("Gt", ["5"], None),
        ("Lt", ["-5"], None),
        ("In", [], "values"),
        ("NotIn", None, "values"),
        ("In", ["a b"], "values[0]"),
        ("Exists", ["a"], "values"),
        ("DoesNotExist", ["a"], "values"),
        ("Gt", ["five"], "values"),
        ("Gt", ["5", "6"], "values"),
        ("Lt", [], "values"),
        ("Lt", ["1" * 30], "values"),
        ("Equals", ["a"], "operator"),
        ("in", ["a"], "operator"),
    ],
)
def test_val7_required_terms_are_well_formed(operator: str, values: Any, want: str | None) -> None:
    requirement = {"key": "zone", "operator": operator} | ({} if values is None else {"values": values})
    spec = affinity(expressions({"key": "a", "operator": "Exists"}), expressions(requirement))
    assert found(spec) == (set() if want is None else {("VAL7", f"{TERMS}[1].matchExpressions[0].{want}")})


def test_val7_every_operator_of_kubernetes_is_understood() -> None:
    assert {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"} == NODE_OPERATORS


def test_val7_the_rest_of_a_term() -> None:
    assert found(affinity({})) == {("VAL7", f"{TERMS}[0]")}
    assert found(affinity()) == {("SCHEMA_VALUE", TERMS)}
    bad_key = expressions({"key": "a b", "operator": "Exists"})
    assert found(affinity(bad_key)) == {("VAL7", f"{TERMS}[0].matchExpressions[0].key")}
    missing = expressions({"operator": "Exists"})
    assert found(affinity(missing)) == {("SCHEMA_REQUIRED", f"{TERMS}[0].matchExpressions[0].key")}


def test_val7_the_only_field_of_a_node_is_its_name() -> None:
    def of(**changes: Any) -> set[tuple[str, str]]:
        return found(
            affinity({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]} | changes]})
        )

    where = f"{TERMS}[0].matchFields[0]"
    assert of() == set()
    assert of(key="spec.x") == {("VAL7", f"{where}.key")}
    assert of(operator="Exists") == {("VAL7", f"{where}.operator")}
    assert of(values=["a", "b"]) == {("VAL7", f"{where}.values")}


def test_val7_preferred_node_affinity_is_refused() -> None:
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    term = {"weight": 1, "preference": expressions({"key": "a", "operator": "Exists"})}
    spec = a_spec(affinity={"nodeAffinity": {preferred: [term]}})
    assert found(spec) == {("VAL7", f"affinity.nodeAffinity.{preferred}")}
    assert found(a_spec(affinity={"nodeAffinity": {preferred: []}})) == set()


@pytest.mark.parametrize(
    ("key", "value", "good"),
    [("zone", "a", True), ("a.b/zone", "", True), ("-zone", "a", False), ("zone", "a b", False), ("A/B/c", "x", False)],
)
def test_node_selectors_are_labels(key: str, value: str, good: bool) -> None:
    rules = {rule for rule, _ in found(a_spec(nodeSelector={key: value}))}
    assert rules == (set() if good else {"SELECTOR"})


@pytest.mark.parametrize(
    ("toleration", "want"),
    [
        ({"key": "gpu", "operator": "Exists"}, None),
        ({"key": "gpu", "value": "true", "effect": "NoSchedule"}, None),
        ({"operator": "Exists"}, None),
        ({"key": "gpu", "effect": "NoExecute", "tolerationSeconds": 5}, None),
        ({"key": "gpu", "effect": "", "operator": ""}, None),
        ({}, ("SELECTOR", "operator")),
        ({"operator": "Equal", "value": "x"}, ("SELECTOR", "operator")),
        ({"key": "gpu", "operator": "Exists", "value": "x"}, ("SELECTOR", "value")),
        ({"key": "g u"}, ("SELECTOR", "key")),
        ({"key": "gpu", "value": "a b"}, ("SELECTOR", "value")),
        ({"key": "gpu", "tolerationSeconds": 5}, ("SELECTOR", "tolerationSeconds")),
        ({"key": "gpu", "operator": "Lt", "value": "5"}, ("SCHEMA_VALUE", "operator")),
        ({"key": "gpu", "effect": "Never"}, ("SCHEMA_VALUE", "effect")),
    ],
    ids=str,
)
def test_tolerations(toleration: dict[str, Any], want: tuple[str, str] | None) -> None:
    violations = found(a_spec(tolerations=[toleration]))
    assert violations == (set() if want is None else {(want[0], f"tolerations[0].{want[1]}")})


def test_val9_reserved_taints_are_not_tolerated_by_users_not_even_by_a_toleration_of_everything() -> None:
    limits = PodLimits(restricted_toleration_keys=frozenset({"maintenance"}))
    assert found(a_spec(tolerations=[{"key": "gpu", "operator": "Exists"}]), limits) == set()
    assert found(a_spec(tolerations=[{"key": "maintenance"}]), limits) == {("VAL9", "tolerations[0].key")}
    assert found(a_spec(tolerations=[{"operator": "Exists"}]), limits) == {("VAL9", "tolerations[0]")}
