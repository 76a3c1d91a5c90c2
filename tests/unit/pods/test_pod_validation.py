"""Validation as a whole: paths, order of the checks, bounds, and rules about the pod itself."""

import datetime
from typing import Any

import pytest

from app.domain.limits import POD_SPEC_BYTES_MAX
from app.pods.canonical import canonical_json
from app.pods.limits import VIOLATIONS_MAX, PodLimits
from app.pods.validation import resolve_priority_class, validate_pod_spec, validate_priority_class
from app.pods.violation import Violation, member, shown
from tests.unit.pods.specs import PATH, a_container, a_spec, found, the_message, with_resources


def test_a_good_spec_has_no_violations() -> None:
    assert found(a_spec()) == set()


def test_the_path_of_a_violation_begins_with_the_field_of_the_spec() -> None:
    spec = a_spec(containers=[with_resources({"cpu": "1 core"}, {"cpu": "1"})])
    violations = validate_pod_spec(spec, path=PATH, limits=PodLimits())
    assert [each.path for each in violations] == ["jobs[3].podSpec.containers[0].resources.requests.cpu"]
    assert violations[0].message == "must be a Kubernetes quantity such as 2, 500m or 4Gi, not '1 core'"


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        (None, {("SCHEMA_TYPE", "")}),
        ([], {("SCHEMA_TYPE", "")}),
        ("text", {("SCHEMA_TYPE", "")}),
        ({}, {("SCHEMA_REQUIRED", "containers")}),
        ({"containers": []}, {("SCHEMA_VALUE", "containers")}),
        ({"containers": None}, {("SCHEMA_REQUIRED", "containers")}),
        ({"containers": [None]}, {("SCHEMA_TYPE", "containers[0]")}),
        ({"containers": [{}]}, {("SCHEMA_REQUIRED", "containers[0].name"), ("SCHEMA_REQUIRED", "containers[0].image")}),
        (a_spec(containers=[a_container(image="")]), {("SCHEMA_VALUE", "containers[0].image")}),
        (a_spec(containers=[a_container(name="Main_1")]), {("SCHEMA_VALUE", "containers[0].name")}),
        (a_spec(containers=[a_container(name="n" * 64)]), {("SCHEMA_VALUE", "containers[0].name")}),
        (a_spec(containers=[a_container(command="sleep 5")]), {("SCHEMA_TYPE", "containers[0].command")}),
        (
            a_spec(containers=[a_container(imagePulPolicy="Always")]),
            {("SCHEMA_UNKNOWN_FIELD", "containers[0].imagePulPolicy")},
        ),
        (
            a_spec(containers=[a_container(imagePullPolicy="Sometimes")]),
            {("SCHEMA_VALUE", "containers[0].imagePullPolicy")},
        ),
        (
            a_spec(containers=[a_container(env=[{"name": "A", "value": 5}])]),
            {("SCHEMA_TYPE", "containers[0].env[0].value")},
        ),
        (a_spec(containers=[a_container(env=[{"name": "A=B"}])]), {("SCHEMA_VALUE", "containers[0].env[0].name")}),
        (
            a_spec(containers=[a_container(ports=[{"containerPort": 0}])]),
            {("SCHEMA_VALUE", "containers[0].ports[0].containerPort")},
        ),
        (
            a_spec(containers=[a_container(ports=[{"containerPort": "http"}])]),
            {("SCHEMA_TYPE", "containers[0].ports[0].containerPort")},
        ),
        (a_spec(nodeSelector={"a": True}), {("SCHEMA_TYPE", "nodeSelector.a")}),
        (a_spec(activeDeadlineSeconds=0), {("SCHEMA_VALUE", "activeDeadlineSeconds")}),
        (a_spec(activeDeadlineSeconds="1h"), {("SCHEMA_TYPE", "activeDeadlineSeconds")}),
        (a_spec(priority=2**40), {("SCHEMA_VALUE", "priority")}),
        (a_spec(dnsPolicy="none"), {("SCHEMA_VALUE", "dnsPolicy")}),
        (a_spec(**{"strange field/x": 1}), {("SCHEMA_UNKNOWN_FIELD", '["strange field/x"]')}),
    ],
)
def test_the_schema_names_the_field(spec: object, want: set[tuple[str, str]]) -> None:
    assert found(spec) == {(rule, path) for rule, path in want}


def test_a_value_that_is_wrong_in_two_ways_is_named_once() -> None:
    violations = validate_pod_spec(a_spec(hostname="X" * 64), path=PATH, limits=PodLimits())
    assert [each.path for each in violations] == [f"{PATH}.hostname"]


def test_an_unknown_field_comes_with_the_name_that_was_meant() -> None:
    assert the_message(a_spec(tolerationz=[])).endswith("did you mean tolerations?")


def test_all_errors_are_named_at_once_those_of_the_schema_and_those_of_the_rules() -> None:
    spec = a_spec(
        containers=[
            a_container(imagePulPolicy="Always", volumeMounts=[{"name": "data", "mountPath": "/data"}]),
            with_resources({"cpu": "2"}, {"cpu": "1"}),
        ],
        nodeName="n7",
        restartPolicy="OnFailure",
        terminationGracePeriodSeconds=900,
        tolerations=[{"operator": "Equal"}],
    )
    assert found(spec) == {
        ("SCHEMA_UNKNOWN_FIELD", "containers[0].imagePulPolicy"),
        ("REFERENCE", "containers[0].volumeMounts[0].name"),
        ("DUPLICATE", "containers[1].name"),
        ("VAL3", "containers[1].resources.limits.cpu"),
        ("UNSUPPORTED", "nodeName"),
        ("RESTART", "restartPolicy"),
        ("VAL6", "terminationGracePeriodSeconds"),
        ("SELECTOR", "tolerations[0].operator"),
    }


def test_what_the_schema_says_of_a_field_is_not_said_again_by_a_rule() -> None:
    spec = a_spec(terminationGracePeriodSeconds="5m", nodeSelector="gpu", priorityClassName=["a"])
    rules = {rule for rule, _ in found(spec)}
    assert rules == {"SCHEMA_TYPE"}


def test_null_means_absent_for_members_of_objects_but_not_in_lists() -> None:
    assert found(a_spec(affinity=None, volumes=None, nodeSelector={"a": None})) == set()
    assert found(a_spec(volumes=[{"name": "a", "emptyDir": {}, "secret": None}])) == set()
    assert found(a_spec(tolerations=[None])) == {("SCHEMA_TYPE", "tolerations[0]")}


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert found(a_spec(activeDeadlineSeconds=60.0)) == set()
    assert found(a_spec(activeDeadlineSeconds=60.5)) == {("SCHEMA_TYPE", "activeDeadlineSeconds")}


@pytest.mark.parametrize(
    "value",
    [
        {1: "key is no text"},
        "\ud800",
        2**70,
        object(),
        {"containers"},
        datetime.datetime(2026, 1, 1),
        float("nan"),
        float("-inf"),
        (1, 2),
    ],
    ids=str,
)
def test_values_that_json_does_not_know_are_a_violation_and_never_an_exception(value: Any) -> None:
    assert {rule for rule, _ in found(a_spec(hostname=value))} == {"SCHEMA_TYPE"}
    assert {rule for rule, _ in found(value)} == {"SCHEMA_TYPE"}


def test_a_spec_nested_without_end_is_a_violation() -> None:
    spec: dict[str, Any] = {}
    spec["affinity"] = spec
    assert found(spec) == {("SCHEMA_TYPE", "")}


def test_val2_a_spec_may_have_256_kib_and_not_a_byte_more() -> None:
    room = POD_SPEC_BYTES_MAX - len(canonical_json(a_spec(containers=[a_container(args=[""])])))
    assert found(a_spec(containers=[a_container(args=["x" * room])])) == set()
    large = a_spec(containers=[a_container(args=["x" * (room + 1)])])
    assert found(large) == {("VAL2", "")}
    assert the_message(large) == "has 262,145 bytes, at most 262,144 are allowed"


def test_violations_are_bounded_and_say_so() -> None:
    spec = a_spec(containers=[a_container(name="A", badField=number) for number in range(1000)])
    violations = validate_pod_spec(spec, path=PATH, limits=PodLimits())
    assert len(violations) == VIOLATIONS_MAX
    assert violations[-1].rule == "TOO_MANY"


def test_exactly_as_many_violations_as_are_listed_are_all_listed() -> None:
    spec = a_spec(containers=[a_container(name=f"c{n}", bad=1) for n in range(VIOLATIONS_MAX)])
    violations = validate_pod_spec(spec, path=PATH, limits=PodLimits())
    assert len(violations) == VIOLATIONS_MAX
    assert {each.rule for each in violations} == {"SCHEMA_UNKNOWN_FIELD"}


@pytest.mark.parametrize(
    ("seconds", "good"), [(None, True), (0, True), (1, True), (300, True), (301, False), (-1, False)]
)
def test_val6_the_grace_period_is_absent_zero_or_from_1_s_to_5_min(seconds: int | None, good: bool) -> None:
    want = set() if good else {("VAL6", "terminationGracePeriodSeconds")}
    assert found(a_spec(terminationGracePeriodSeconds=seconds)) == want


def test_val6_the_bounds_are_the_installations() -> None:
    limits = PodLimits(grace_period_min_s=10, grace_period_max_s=20)
    assert found(a_spec(terminationGracePeriodSeconds=5), limits) == {("VAL6", "terminationGracePeriodSeconds")}
    assert found(a_spec(terminationGracePeriodSeconds=20), limits) == set()


@pytest.mark.parametrize(("policy", "good"), [(None, True), ("Never", True), ("Always", False), ("OnFailure", False)])
def test_pods_are_never_restarted_in_place(policy: str | None, good: bool) -> None:
    assert found(a_spec(restartPolicy=policy)) == (set() if good else {("RESTART", "restartPolicy")})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nodeName", "n1"),
        ("schedulingGates", [{"name": "wait"}]),
        ("ephemeralContainers", [{"name": "debug", "image": "busybox"}]),
        ("resourceClaims", [{"name": "gpu", "resourceClaimName": "gpu"}]),
        ("resources", {"requests": {"cpu": "1"}}),
        ("schedulingGroup", {"podGroupName": "g"}),
    ],
)
def test_fields_that_a_job_cannot_use_are_refused_by_name(field: str, value: Any) -> None:
    assert found(a_spec(**{field: value})) == {("UNSUPPORTED", field)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hostNetwork", True),
        ("hostPID", True),
        ("shareProcessNamespace", True),
        ("imagePullSecrets", [{"name": "registry"}]),
        ("runtimeClassName", "gvisor"),
        ("serviceAccountName", "builder"),
        ("securityContext", {"runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}),
        ("topologySpreadConstraints", [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]),
        (
            "affinity",
            {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}},
        ),
        ("schedulerName", "default-scheduler"),
    ],
)
def test_what_armada_accepts_is_accepted(field: str, value: Any) -> None:
    assert found(a_spec(**{field: value})) == set()


def test_a_pull_secret_needs_a_name() -> None:
    assert found(a_spec(imagePullSecrets=[{}])) == {("SCHEMA_REQUIRED", "imagePullSecrets[0].name")}


def test_val5_the_priority_class_of_a_spec_is_one_of_the_installation() -> None:
    assert found(a_spec(priorityClassName="argosy-preemptible")) == set()
    assert found(a_spec(priorityClassName="")) == set()
    assert found(a_spec(priorityClassName="urgent")) == {("VAL5", "priorityClassName")}
    assert "argosy-default, argosy-preemptible" in the_message(a_spec(priorityClassName="urgent"))


def test_val5_the_class_of_a_job_is_its_own_or_that_of_the_spec_or_the_default() -> None:
    limits = PodLimits()
    own = a_spec(priorityClassName="argosy-preemptible")
    path = "jobs[0].priorityClass"
    assert resolve_priority_class(a_spec(), None, path=path, limits=limits) == ("argosy-default", [])
    assert resolve_priority_class(own, None, path=path, limits=limits) == ("argosy-preemptible", [])
    assert resolve_priority_class(a_spec(), "argosy-preemptible", path=path, limits=limits) == (
        "argosy-preemptible",
        [],
    )
    assert resolve_priority_class(own, "argosy-preemptible", path=path, limits=limits)[1] == []
    (violation,) = resolve_priority_class(own, "argosy-default", path=path, limits=limits)[1]
    assert (violation.rule, violation.path) == ("VAL5", path)
    assert [each.rule for each in validate_priority_class("x", path=path, limits=limits)] == ["VAL5"]
    assert resolve_priority_class("no object", None, path=path, limits=limits) == ("argosy-default", [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"pod_spec_bytes_max": 0},
        {"pod_spec_bytes_max": POD_SPEC_BYTES_MAX + 1},
        {"grace_period_min_s": 0},
        {"grace_period_min_s": 10, "grace_period_max_s": 5},
        {"priority_class_default": "none"},
        {"oversubscription_max": {"cpu": 0.5}},
        {"deadline_default_s": 0},
    ],
    ids=str,
)
def test_limits_that_contradict_each_other_are_refused_at_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|is not in"):
        PodLimits(**wrong)


def test_keys_that_are_not_plain_words_stand_in_quotes_in_a_path() -> None:
    assert member("a", "b") == "a.b"
    assert member("a", 3) == "a[3]"
    assert member("a", "nvidia.com/gpu") == 'a["nvidia.com/gpu"]'


def test_texts_of_users_are_shown_short_and_on_one_line() -> None:
    assert shown("a\nb") == "a\\nb"
    assert shown("x" * 81) == "x" * 80 + "…"


def test_a_violation_is_a_value() -> None:
    assert Violation(rule="VAL2", path="a", message="m") == Violation(rule="VAL2", path="a", message="m")
