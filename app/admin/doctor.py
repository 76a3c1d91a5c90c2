"""`argosy-admin doctor`: is this machine ready for the local stack? One line for each thing, and what to do."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from app.admin.errors import AdminError
from app.admin.invocation import invocation_of
from app.admin.kafka_jars import installed_jars, kafka_version
from app.admin.launch import settings_for_dev
from app.admin.postgres_node import postgres_binary
from app.admin.processes import port_owner, port_taken
from app.admin.state import StateDirectory
from app.admin.toolchain import checkout_root, find_java, find_maven
from app.settings import Settings, SettingsError

EXIT_TROUBLE = 1
PYTHON_MIN = (3, 11)
DISK_FREE_GIB_MIN = 5
GIB = 1024**3

app = typer.Typer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    name: str
    ok: bool
    text: str


@app.command()
def doctor(context: typer.Context) -> None:
    """Check Python, Java, Maven, Postgres, ports, disk and settings; exit code 1 when something is missing."""
    findings = examine(invocation_of(context).settings_path)
    for finding in findings:
        typer.echo(f"{'ok ' if finding.ok else 'BAD'}  {finding.name:<10} {finding.text}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(EXIT_TROUBLE)


def examine(settings_path: Path | None) -> list[Finding]:
    """All findings; never raises for what an operator can mend."""
    findings = [
        _finding("python", _python),
        _finding("java", lambda: f"{find_java().path} (Java {find_java().major})"),
        _finding("maven", _maven),
        _finding("kafka", _kafka),
        _finding("postgres", lambda: str(postgres_binary("postgres").parent)),
    ]
    try:
        settings = settings_for_dev(settings_path)
    except (SettingsError, AdminError) as error:
        return [*findings, Finding(name="settings", ok=False, text=str(error))]
    directory = StateDirectory(settings.dev.state_dir)
    findings.append(Finding(name="settings", ok=True, text="valid"))
    findings.append(_finding("disk", lambda: _disk(directory.path)))
    if directory.supervisor() is None:
        findings += [_port(name, port) for name, port in _wanted_ports(settings)]
    return findings


def _finding(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, ok=True, text=look())
    except AdminError as error:
        return Finding(name=name, ok=False, text=str(error))


def _python() -> str:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < PYTHON_MIN:
        raise AdminError(f"Python {version} is too old: use 3.11 or newer")
    return f"{sys.executable} ({version})"


def _maven() -> str:
    present = installed_jars()
    return "not needed: the Kafka jars are there" if present and shutil.which("mvn") is None else str(find_maven())


def _kafka() -> str:
    present = installed_jars()
    return (
        str(present) if present else f"Kafka {kafka_version()} will be fetched at the first start ({checkout_root()})"
    )


def _disk(path: Path) -> str:
    place = path
    while not place.exists():
        place = place.parent
    free_gib = shutil.disk_usage(place).free / GIB
    if free_gib < DISK_FREE_GIB_MIN:
        raise AdminError(f"{free_gib:.1f} GiB free at {place}: the stack wants {DISK_FREE_GIB_MIN} GiB")
    if not os.access(place, os.W_OK):
        raise AdminError(f"{place} is not writable: choose another dev.state_dir")
    return f"{free_gib:.0f} GiB free at {place}"


def _wanted_ports(settings: Settings) -> list[tuple[str, int]]:
    wanted = [("dev.kafka_port", settings.dev.kafka_port), ("dev.postgres_port", settings.dev.postgres_port)]
    if "port" in settings.api.model_fields_set:
        wanted.append(("api.port", settings.api.port))
    return [(name, port) for name, port in wanted if port]


def _port(name: str, port: int) -> Finding:
    if port_taken(port):
        return Finding(name="port", ok=False, text=f"{port} ({name}) is in use{port_owner(port)}: choose another")
    return Finding(name="port", ok=True, text=f"{port} ({name}) is free")
