"""`argosy-admin dev up|down|status|reset`: the whole stack on one machine, kept in a state directory (.dev).

Without --settings the stack is that of infra/demo.yaml. Data is kept until `dev reset`.
"""

import os
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from app.admin.errors import AdminError, AlreadyRunningError, ToolMissingError
from app.admin.invocation import invocation_of
from app.admin.kafka_jars import ensure_kafka_jars, installed_jars, kafka_version
from app.admin.kube_binaries import ensure_kube_binaries
from app.admin.launch import run_stack, settings_for_dev, start_in_background, stop_stack
from app.admin.state import ProcessState, StateDirectory
from app.settings import Settings

EXIT_NOT_UP = 1
KUBE_HELP = "With a real Kubernetes API server beside the other clusters (built by Go at the first time)."
MIB = 1024 * 1024

app = typer.Typer(no_args_is_help=True, help="The whole stack on this machine.")


def say(line: str) -> None:
    """A line with the time, at once."""
    typer.echo(f"{time.strftime('%H:%M:%S')} {line}")


@app.command("up")
def up(
    context: typer.Context,
    foreground: Annotated[bool, typer.Option(help="Stay in the foreground; Ctrl-C stops everything.")] = False,
    kube: Annotated[bool, typer.Option("--kube", help=KUBE_HELP)] = False,
) -> None:
    """Start everything and return when it is ready."""
    if kube:
        with_kube()
    settings, directory = _local(context)
    if foreground:
        run_stack(settings, directory, say)
        return
    start_in_background(invocation_of(context).settings_path, directory, typer.echo)
    state = directory.read()
    for name, url in (state.urls if state else {}).items():
        typer.echo(f"{name:<10} {url}")
    typer.echo(f"settings   {directory.settings_file}  (export ARGOSY_SETTINGS=… for the other commands)")


def with_kube() -> None:
    """From here on the settings of this process, and of the supervisor that it may start, ask for a Kubernetes."""
    os.environ["ARGOSY_DEV__KUBE"] = "true"


@app.command("fetch")
def fetch(
    kube: Annotated[bool, typer.Option("--kube", help="Also build the local Kubernetes with Go.")] = False,
    kube_if_possible: Annotated[
        bool, typer.Option("--kube-if-possible", help="The same; without Go one line.")
    ] = False,
) -> None:
    """Fetch the Kafka jars now instead of at the first start."""
    if kube or kube_if_possible:
        try:
            ensure_kube_binaries(typer.echo)
        except ToolMissingError as error:
            if kube:
                raise
            typer.echo(f"no local Kubernetes: {error}")
    if installed_jars() is None:
        typer.echo(f"fetching Kafka {kafka_version()} with Maven (44 MB, once)")
        ensure_kafka_jars()


@app.command("supervise", hidden=True)
def supervise(context: typer.Context, state_dir: Path) -> None:
    """The supervisor that `dev up` starts in the background."""
    settings = settings_for_dev(invocation_of(context).settings_path)
    run_stack(settings, StateDirectory(state_dir), say)


@app.command("down")
def down(context: typer.Context) -> None:
    """Stop everything in reverse order; the data is kept."""
    settings, directory = _local(context)
    typer.echo("stopped" if stop_stack(directory, settings.dev.stop_timeout_s, typer.echo) else "nothing runs")


@app.command("status")
def status(context: typer.Context) -> None:
    """Show every process; exit code 1 when the stack is not up."""
    _settings, directory = _local(context)
    state = directory.read()
    if state is None:
        typer.echo(f"no stack was started in {directory.path}")
        raise typer.Exit(EXIT_NOT_UP)
    supervised = directory.supervisor() is not None
    phase = state.phase
    if not supervised and phase in ("starting", "up", "stopping"):
        phase = "its supervisor died (argosy-admin dev down stops what it left)"
    typer.echo(f"{directory.path}: {phase}{f': {state.failure}' if state.failure else ''}")
    Console().print(_table(state.processes))
    typer.echo(f"logs in {directory.logs}")
    if not (supervised and phase == "up"):
        raise typer.Exit(EXIT_NOT_UP)


@app.command("reset")
def reset(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete all data, logs, ports and secrets of the stack. It must not run."""
    _settings, directory = _local(context)
    if directory.supervisor() is not None or directory.left_over():
        raise AlreadyRunningError(f"the stack in {directory.path} runs: argosy-admin dev down stops it")
    if not directory.path.exists():
        typer.echo(f"there is nothing in {directory.path}")
        return
    if not directory.state_file.is_file() and any(directory.path.iterdir()):
        raise AdminError(f"{directory.path} is no state directory of a stack: it is left alone")
    if not yes:
        typer.confirm(f"delete all jobs, queues and logs in {directory.path}?", abort=True)
    directory.delete()
    typer.echo(f"deleted {directory.path}")


def _local(context: typer.Context) -> tuple[Settings, StateDirectory]:
    settings = settings_for_dev(invocation_of(context).settings_path)
    return settings, StateDirectory(settings.dev.state_dir)


def _table(processes: tuple[ProcessState, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("process", "state", "pid", "up", "restarts", "memory MiB", "cpu s", "where"):
        table.add_column(column, justify="right" if column in ("pid", "restarts", "memory MiB", "cpu s") else "left")
    for process in processes:
        found = process.record.find() if process.record else None
        state = process.state if found or process.state not in ("ready", "starting") else "gone"
        table.add_row(
            process.name,
            f"{state} ({process.exit_code})" if state in ("halted", "waiting") else state,
            *_figures(found),
            str(process.restarts),
            *_usage(found),
            process.url,
        )
    return table


def _figures(found: psutil.Process | None) -> tuple[str, str]:
    if found is None:
        return "", ""
    return str(found.pid), f"{time.time() - found.create_time():.0f} s"


def _usage(found: psutil.Process | None) -> tuple[str, str]:
    if found is None:
        return "", ""
    try:
        cpu = found.cpu_times()
        return f"{found.memory_info().rss / MIB:.0f}", f"{cpu.user + cpu.system:.1f}"
    except psutil.Error:
        return "", ""
