"""The command line as a user meets it: one line for every mistake, never a stack trace."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.admin.components import COMPONENTS, run_component
from app.admin.kafka_jars import ensure_kafka_jars, kafka_version
from app.admin.main import COMMANDS
from app.admin.toolchain import find_java
from app.settings import Settings

ROOT = Path(__file__).parents[3]


def admin(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.admin.main", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["run", "conductor"], "argosy-admin: there is no component 'conductor'; there are queue-agent, views, api,"),
        (["run", "views"], "argosy-admin: run views needs --app"),
        (["run", "executor"], "argosy-admin: run executor needs --cluster"),
        (["run", "api", "--cluster", "c0"], "argosy-admin: run api takes no option"),
        (
            ["--settings", "absent.yaml", "migrate"],
            "argosy-admin: settings file absent.yaml: No such file or directory",
        ),
    ],
)
def test_a_mistake_is_one_line(words: list[str], want: str) -> None:
    answer = admin(*words)
    assert answer.returncode == 1
    assert answer.stderr.startswith(want)
    assert answer.stderr.count("\n") == 1
    assert answer.stdout == ""


def test_a_wrong_setting_is_named_by_its_path() -> None:
    answer = admin("migrate", ARGOSY_KAFKA__PARTITIONS="0")
    assert answer.returncode == 1
    assert answer.stderr.startswith("argosy-admin: settings (environment): kafka.partitions: Input should be greater")


def test_without_java_the_stack_says_what_to_install(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "JAVA_HOME": "", "ARGOSY_DEV__STATE_DIR": str(tmp_path / "dev")}
    answer = admin("dev", "up", "--foreground", **environment)
    assert answer.returncode == 3
    assert answer.stderr.startswith("argosy-admin: Java is missing: install Java 17 or newer (or set JAVA_HOME)")


def test_an_old_java_is_named(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    answer = admin("doctor", PATH=f"{tmp_path}:/usr/bin:/bin", JAVA_HOME="")
    assert answer.returncode == 1
    assert f"BAD  java       {java} is Java 11: install Java 17 or newer" in answer.stdout


def test_without_maven_the_fetch_says_what_to_install(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.symlink_to(find_java().path)
    environment = {"PATH": str(tmp_path), "JAVA_HOME": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    answer = admin("dev", "fetch", **environment)
    assert answer.returncode == 3
    assert answer.stderr.startswith("argosy-admin: Maven is missing (it fetches the Kafka jars once): install Maven")


def test_a_stack_that_was_never_started_is_said_to_be_none(tmp_path: Path) -> None:
    environment = {"ARGOSY_DEV__STATE_DIR": str(tmp_path / "dev")}
    assert admin("dev", "status", **environment).stdout == f"no stack was started in {tmp_path / 'dev'}\n"
    assert admin("dev", "down", **environment).stdout == "nothing runs\n"
    assert admin("dev", "reset", **environment).stdout == f"there is nothing in {tmp_path / 'dev'}\n"


def test_reset_leaves_a_directory_alone_that_is_no_stack_s(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    answer = admin("dev", "reset", "--yes", ARGOSY_DEV__STATE_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert "is no state directory of a stack: it is left alone" in answer.stderr
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_the_jars_are_fetched_into_the_cache_by_version(tmp_path: Path) -> None:
    libs = tmp_path / f"kafka-{kafka_version()}" / "broker-libs"
    libs.mkdir(parents=True)
    assert ensure_kafka_jars(tmp_path) == libs, "what is there is not fetched again"


def test_every_command_stands_in_a_file_of_its_own() -> None:
    for module in COMMANDS.values():
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_a_component_is_imported_by_name_and_gets_settings_and_argument(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a_component.py").write_text(
        "ran = []\nasync def run(settings, cluster):\n    ran.append((settings.kafka.partitions, cluster))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    executor = COMPONENTS["executor"]
    monkeypatch.setitem(COMPONENTS, "executor", type(executor)(function="a_component:run", argument="cluster"))
    run_component("executor", Settings(), "alpha")
    import a_component  # type: ignore[import-not-found]

    assert a_component.ran == [(12, "alpha")]
