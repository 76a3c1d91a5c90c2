"""From settings to a plan, with a broker and a database of one's own (nothing is started)."""

import hashlib
import stat
from pathlib import Path

import pytest

from app.admin.components import COMPONENTS
from app.admin.launch import settings_for_dev, with_driver
from app.admin.plan import ProcessPlan
from app.admin.stack import LocalStack, local_stack
from app.admin.state import StateDirectory
from app.settings import load_settings

EXTERNAL = {
    "ARGOSY_KAFKA__BOOTSTRAP": "127.0.0.1:19092",
    "ARGOSY_POSTGRES__URL": "postgresql://argosy:pass@127.0.0.1:15432/argosy",
    "ARGOSY_VIEWS__APPS": '["history", "leases"]',
}


def build(tmp_path: Path, environment: dict[str, str] | None = None) -> LocalStack:
    demo = Path(__file__).parents[3] / "infra" / "demo.yaml"
    settings = load_settings(demo, {**EXTERNAL, **(environment or {})})
    surroundings = {"PATH": "/usr/bin", "ARGOSY_SETTINGS": "x", "ARGOSY_API__PORT": "1", "ARGOSY_LOG_LEVEL": "DEBUG"}
    return local_stack(settings, StateDirectory(tmp_path / ".dev"), surroundings)


def stages(stack: LocalStack) -> list[list[ProcessPlan]]:
    return [list(step.stage.processes) for step in stack.plan.steps if step.stage]


def test_the_order_is_servers_then_tasks_then_what_needs_them_then_executors(tmp_path: Path) -> None:
    stack = build(tmp_path)
    assert [[process.name for process in stage] for stage in stages(stack)] == [
        [],
        ["queue-agent-0", "views-history", "views-leases", "api", "scheduler-0", "scheduler-1"],
        ["executor-alpha", "executor-bravo", "executor-charlie"],
    ]
    assert [task.name for task in stack.plan.steps[1].tasks] == ["topics", "migrate"]
    assert with_driver(stack).steps[-1].stage.processes[0].name == "demo"  # type: ignore[union-attr]


def test_every_process_runs_a_known_component_with_the_stack_s_settings_and_a_port_of_its_own(tmp_path: Path) -> None:
    stack = build(tmp_path)
    ports = set()
    for process in (process for stage in stages(stack) for process in stage):
        words = process.command
        assert words[words.index("run") + 1] in COMPONENTS
        assert words[words.index("--settings") + 1] == str(stack.endpoints.settings_file)
        assert process.environment is not None
        ports.add(process.environment["ARGOSY_HEALTH__PORT"])
        assert process.environment["ARGOSY_LOG_LEVEL"] == "DEBUG"
        assert "ARGOSY_API__PORT" not in process.environment, "it stands in the file, completed"
        assert "ARGOSY_SETTINGS" not in process.environment
    assert len(ports) == 9


def test_the_settings_file_is_private_complete_and_says_where_everything_is(tmp_path: Path) -> None:
    stack = build(tmp_path)
    path = stack.endpoints.settings_file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = load_settings(path, {})
    assert settings == stack.settings
    assert settings.kafka.bootstrap == EXTERNAL["ARGOSY_KAFKA__BOOTSTRAP"]
    assert settings.postgres.url == EXTERNAL["ARGOSY_POSTGRES__URL"]
    assert settings.executor.api_url == f"http://127.0.0.1:{settings.api.port}"
    assert settings.kafka.partitions == 4
    token = (tmp_path / ".dev" / "secrets" / "alpha.token").read_bytes()
    assert settings.clusters["alpha"].token_sha256 == hashlib.sha256(token).hexdigest()
    fake = settings.clusters["alpha"].fake
    assert fake is not None
    assert sum(group.count for group in fake.node_groups) == 200


def test_a_second_start_keeps_ports_and_tokens(tmp_path: Path) -> None:
    first, second = build(tmp_path), build(tmp_path)
    assert first.settings == second.settings
    assert [process.environment for stage in stages(first) for process in stage] == [
        process.environment for stage in stages(second) for process in stage
    ]


def test_the_number_of_agents_and_schedulers_is_a_setting(tmp_path: Path) -> None:
    stack = build(tmp_path, {"ARGOSY_DEV__QUEUE_AGENTS": "2", "ARGOSY_DEV__SCHEDULERS": "1"})
    agents = [process for process in stages(stack)[1] if process.name.startswith("queue-agent")]
    assert [process.environment["ARGOSY_QUEUE_AGENT__INSTANCE"] for process in agents if process.environment] == [
        "queue-agent-0",
        "queue-agent-1",
    ]
    assert [process.name for process in stages(stack)[1] if process.name.startswith("scheduler")] == ["scheduler-0"]


def test_without_a_settings_file_the_demo_s_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in EXTERNAL:
        monkeypatch.delenv(name, raising=False)
    settings = settings_for_dev(None)
    assert list(settings.clusters) == ["alpha", "bravo", "charlie"]
    assert "bootstrap" not in settings.kafka.model_fields_set
