"""Reading settings: what wins, and what a user reads when a key is wrong."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from app.settings import Settings, SettingsError, load_settings
from app.settings.api import GLOBAL_VERBS, is_loopback

UNITS = ("_s", "_ms", "_bytes", "_bytes_max", "_mib", "_max", "_per_s", "_tokens", "_fraction_max")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refusal(environment: dict[str, str], path: Path | None = None) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environment)
    assert "\n" not in str(caught.value)
    return caught.value


def models(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """The model and every model that its fields name."""
    if model not in seen:
        seen.add(model)
        for field in model.model_fields.values():
            for inner in inner_models(field.annotation):
                models(inner, seen)
    return seen


def inner_models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in inner_models(argument)]


def test_without_file_and_environment_the_defaults_are_a_valid_installation() -> None:
    settings = load_settings(None, {})
    assert settings.kafka.partitions == 12
    assert settings.scheduler.pools.keys() == {"default"}
    assert settings.scheduler.priority_classes["argosy-default"].preemptible is False
    assert settings.scheduler.priority_classes["argosy-preemptible"].preemptible is True
    assert settings.jobs.deadline_by_resource_s == {"nvidia.com/gpu": 336 * 3600}


def test_the_environment_wins_over_the_file_and_leaves_its_other_keys(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.yaml", "kafka: {bootstrap: 'k1:9092,k2:9092', partitions: 4}\nscheduler: {max_attempts: 2}\n"
    )
    settings = load_settings(path, {"ARGOSY_KAFKA__PARTITIONS": "8", "HOME": "/"})
    assert settings.kafka.bootstrap == "k1:9092,k2:9092"
    assert settings.kafka.partitions == 8
    assert settings.scheduler.max_attempts == 2
    assert settings.kafka.model_fields_set == {"bootstrap", "partitions"}


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path / "a.yaml", "# nothing\n"), {}) == load_settings(None, {})


def test_a_nested_value_and_a_list_can_come_from_the_environment() -> None:
    groups = '[{"name": "gpu", "count": 3, "gpus": 8, "taints": [{"key": "gpu"}]}]'
    settings = load_settings(
        None, {"ARGOSY_CLUSTERS__C0__FAKE__NODE_GROUPS": groups, "ARGOSY_SCHEDULER__POOLS__DEFAULT__LOOKBACK": "7"}
    )
    fake = settings.clusters["c0"].fake
    assert fake is not None
    assert fake.node_groups[0].taints[0].effect == "NoSchedule"
    assert settings.scheduler.pools["default"].lookback == 7


def test_variables_that_are_no_settings_are_left_alone() -> None:
    environment = {"ARGOSY_TOKEN": "x", "ARGOSY_TEST_BOOTSTRAP": "x", "ARGOSY_SETTINGS": "x"}
    assert load_settings(None, environment) == load_settings(None, {})


def test_settings_are_frozen() -> None:
    settings = load_settings(None, {})
    with pytest.raises(ValueError, match="frozen"):
        settings.kafka.partitions = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environment", "want_path", "want_text"),
    [
        (
            {"ARGOSY_KAFAK__BOOTSTRAP": "a:1"},
            "kafak",
            "environment ARGOSY_KAFAK__BOOTSTRAP: there is no section 'kafak'",
        ),
        ({"ARGOSY_KAFKA__BOOSTRAP": "a:1"}, "kafka.boostrap", "kafka.boostrap: unknown key"),
        ({"ARGOSY_KAFKA__BOOTSTRAP": "a"}, "kafka.bootstrap", "kafka.bootstrap: String should match pattern"),
        ({"ARGOSY_KAFKA__PARTITIONS": "many"}, "kafka.partitions", "kafka.partitions: Input should be a valid integer"),
        ({"ARGOSY_EXECUTOR__LEASE_WAIT_MS": "0"}, "executor.lease_wait_ms", "greater than or equal to 1"),
        ({"ARGOSY_KAFKA__PARTITIONS": "257"}, "kafka.partitions", "less than or equal to 256"),
        ({"ARGOSY_SCHEDULER__POOLS__GPU__LOOKBACK": "0"}, "scheduler.pools.gpu.lookback", "greater than or equal to 1"),
        ({"ARGOSY_SCHEDULER__POOLS": '{"a":'}, "scheduler.pools", "environment ARGOSY_SCHEDULER__POOLS: not JSON"),
        ({"ARGOSY_SCHEDULER__POOLS": "{}"}, "scheduler.pools", "should have at least 1 item"),
        ({"ARGOSY_SCHEDULER__CPU_FRACTION_MAX": "nan"}, "scheduler.cpu_fraction_max", "finite number"),
        ({"ARGOSY_SCHEDULER__DEFAULT_PRIORITY_CLASS": "best"}, "scheduler", "'best' is not a key of priority_classes"),
        ({"ARGOSY_API__HOST": "0.0.0.0"}, "api", "anonymous must be false when host is not a loopback address"),
        ({"ARGOSY_API__HOST": "argosy.example"}, "api", "anonymous must be false"),
        ({"ARGOSY_CLUSTERS__C0__TOKEN_SHA256": "secret"}, "clusters.c0.token_sha256", "should match pattern"),
        ({"ARGOSY_POSTGRES__URL": "mysql://x/y"}, "postgres.url", "should match pattern"),
        ({"ARGOSY_VIEWS__APPS": '["History"]'}, "views.apps.0", "should match pattern"),
        (
            {"ARGOSY_CLUSTERS__C0__FAKE__NODE_GROUPS": '[{"name": "n", "count": 1, "pool": "gpu"}]'},
            "",
            "clusters.c0.fake: node group 'n' names pool 'gpu', which is not a key of scheduler.pools",
        ),
        (
            {"ARGOSY_API__TOKENS": '[{"sha256": "' + "0" * 64 + '", "user": "a", "verbs": ["rule"]}]'},
            "api.tokens.0",
            "unknown verb 'rule'",
        ),
    ],
)
def test_a_wrong_value_is_one_line_with_the_path_of_its_key(
    environment: dict[str, str], want_path: str, want_text: str
) -> None:
    error = refusal(environment)
    assert error.paths == (want_path,)
    assert want_text in str(error)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("kafka:\n  bootstrap: [\n", r"line 3: "),
        ("- kafka\n", r"must hold named sections"),
        ("kafka: 3\n", r"kafka: Input should be a valid dictionary"),
        ("kafka:\n  partitions: 4\n  topics: 3\nqueues: {}\n", r"kafka\.topics: unknown key; queues: unknown key"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, text: str, want: str) -> None:
    path = write(tmp_path / "argosy.yaml", text)
    error = refusal({}, path)
    assert str(path) in str(error)
    assert re.search(want, str(error))


def test_an_absent_or_binary_file_is_named(tmp_path: Path) -> None:
    assert str(refusal({}, tmp_path / "none.yaml")).endswith("none.yaml: No such file or directory")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in str(refusal({}, tmp_path / "b.yaml"))


def test_the_password_of_the_database_is_not_in_the_representation_or_an_error() -> None:
    environment = {"ARGOSY_POSTGRES__URL": "postgresql://u:hunter2@h/d"}
    assert "hunter2" not in repr(load_settings(None, environment))
    assert "hunter2" not in str(refusal({"ARGOSY_POSTGRES__URL": "mysql://u:hunter2@h/d"}))


def test_a_star_grants_every_global_verb() -> None:
    tokens = '[{"sha256": "' + "a" * 64 + '", "user": "root", "verbs": ["*"]}]'
    (token,) = load_settings(None, {"ARGOSY_API__TOKENS": tokens}).api.tokens
    assert token.granted_verbs() == GLOBAL_VERBS


@pytest.mark.parametrize(
    ("host", "want"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("db1", False)],
)
def test_only_addresses_of_this_machine_are_loopback(host: str, want: bool) -> None:
    assert is_loopback(host) is want


def test_every_field_has_a_text_and_every_number_of_time_or_size_names_its_unit() -> None:
    found = models(Settings, set())
    assert len(found) > 15
    for model in found:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no text"
            if re.search(r"time|delay|interval|timeout|retention|silent|bytes|pause|wait", name) and name != "runtime":
                assert name.endswith(UNITS), f"{model.__name__}.{name} does not end in its unit"
