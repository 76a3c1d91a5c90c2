"""Starting and stopping a local stack: the steps behind `argosy-admin dev` and `argosy-admin demo`.

Inputs: settings, the state directory. Outputs: a supervisor that runs in this process, or one of its own in the
background; lines for a person.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.admin.errors import AlreadyRunningError, NotReadyError
from app.admin.kafka_jars import ensure_kafka_jars, installed_jars, kafka_version
from app.admin.kube_binaries import BUILD_TIMEOUT_S, installed_binaries
from app.admin.kube_stack import fetch_kube
from app.admin.plan import Plan, ProcessPlan, Stage, Step
from app.admin.processes import last_lines, spawn
from app.admin.stack import LocalStack, local_stack
from app.admin.state import ProcessState, StateDirectory
from app.admin.supervisor import Supervisor
from app.admin.toolchain import checkout_root, find_java
from app.settings import Settings, load_settings

Report = Callable[[str], None]
BACKGROUND_POLL_S = 0.1
BACKGROUND_BEGIN_S = 30.0
# The supervisor stops stage by stage; each may need its whole time.
STAGES_MAX = 8


def settings_for_dev(path: Path | None) -> Settings:
    """The settings of a local stack: the file named, else infra/demo.yaml. Raises SettingsError, AdminError."""
    return load_settings(path or checkout_root() / "infra" / "demo.yaml", os.environ)


def run_stack(settings: Settings, directory: StateDirectory, report: Report, *, demo: bool = False) -> None:
    """Runs the stack in this process until it is told to stop. Raises AdminError when it cannot be started."""
    with directory.locked():
        stop_left_over(directory, report)
        _fetch_kafka(settings, report)
        fetch_kube(settings, report)
        stack = local_stack(settings, directory, dict(os.environ))
        plan = with_driver(stack) if demo else stack.plan
        Supervisor(plan, directory, report).run()


def start_in_background(settings_path: Path | None, directory: StateDirectory, report: Report) -> None:
    """Starts a supervisor of its own and returns when the stack is up, passing on what it says.

    Raises AlreadyRunningError, NotReadyError (with the supervisor's own reason).
    """
    running = directory.supervisor()
    if running is not None:
        raise AlreadyRunningError(
            f"a stack runs already in {directory.path} (pid {running.pid}): argosy-admin dev status shows it, "
            "argosy-admin dev down stops it"
        )
    directory.create()
    log = directory.logs / "supervisor.log"
    said = log.stat().st_size if log.is_file() else 0
    options = ["--settings", str(settings_path.absolute())] if settings_path else []
    command = [sys.executable, "-m", "app.admin.main", *options, "dev", "supervise", str(directory.path)]
    paths = [str(checkout_root()), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": ":".join(paths), "PYTHONUNBUFFERED": "1"}
    child = spawn("supervisor", command, log=log, environment=environment)
    begun_at = time.monotonic()
    while True:
        said = _pass_on(log, said, report)
        code = child.exit_code()
        state = directory.read()
        ours = state is not None and state.supervisor.pid == child.pid
        if code is not None:
            _pass_on(log, said, report)
            reason = state.failure if state and ours else last_lines(log, 1).removeprefix("argosy-admin: ")
            raise NotReadyError(reason or f"the supervisor ended with code {code} (log: {log})")
        if state and ours and state.phase == "up":
            return
        if not ours and time.monotonic() - begun_at > BACKGROUND_BEGIN_S + _fetch_allowance_s():
            child.kill()
            raise NotReadyError(f"the supervisor did not begin: {last_lines(log)} (log: {log})")
        time.sleep(BACKGROUND_POLL_S)


def stop_stack(directory: StateDirectory, stop_timeout_s: float, report: Report) -> bool:
    """Stops the supervisor, which stops everything; or what a dead supervisor left. False when nothing ran."""
    running = directory.supervisor()
    if running is not None:
        report(f"stopping the stack in {directory.path} (pid {running.pid})")
        if not running.stop(signal.SIGTERM, deadline_s=stop_timeout_s * STAGES_MAX):
            report("the supervisor did not end in time and was killed")
        stop_left_over(directory, report)
        return True
    return stop_left_over(directory, report)


def stop_left_over(directory: StateDirectory, report: Report) -> bool:
    """Stops, in reverse order, what a supervisor that died has left running. False when there is nothing."""
    left: list[ProcessState] = directory.left_over()
    if left:
        report(f"a former supervisor ended without stopping its processes: stopping {len(left)} of them first")
    for process in reversed(left):
        if process.record is not None:
            in_time = process.record.stop(signal.Signals(process.stop_signal), deadline_s=15.0)
            report(f"{process.name} {'stopped' if in_time else 'had to be killed'}")
    return bool(left)


def with_driver(stack: LocalStack) -> Plan:
    """The plan with the demo's driver as its last process; it speaks on our own output."""
    command = (sys.executable, "-m", "app.admin.main", "--settings", str(stack.endpoints.settings_file), "demo-driver")
    paths = [str(checkout_root()), *filter(None, [os.environ.get("PYTHONPATH")])]
    driver = ProcessPlan(
        name="demo",
        command=(*command, stack.endpoints.api_url, stack.endpoints.bootstrap, str(stack.endpoints.state_dir)),
        ready=lambda: True,
        log=None,
        marker="demo-driver",
        environment={**os.environ, "PYTHONPATH": ":".join(paths), "PYTHONUNBUFFERED": "1"},
        stop_signal=signal.SIGINT,
        restart=False,
    )
    return replace(stack.plan, steps=(*stack.plan.steps, Step(stage=Stage(processes=(driver,)))))


def _fetch_kafka(settings: Settings, report: Report) -> None:
    if "bootstrap" in settings.kafka.model_fields_set:
        return
    find_java()
    if installed_jars() is None:
        report(f"fetching Kafka {kafka_version()} with Maven (44 MB, once)")
        ensure_kafka_jars()


def _fetch_allowance_s() -> float:
    """Time for what a first start fetches and builds."""
    kafka_s = 0.0 if installed_jars() else 900.0
    return kafka_s + (0.0 if installed_binaries() or "ARGOSY_DEV__KUBE" not in os.environ else BUILD_TIMEOUT_S)


def _pass_on(log: Path, offset: int, report: Report) -> int:
    """Reports the whole lines of a growing file from `offset`; returns where to go on."""
    with log.open("rb") as file:
        file.seek(offset)
        content = file.read()
    whole, newline, _rest = content.rpartition(b"\n")
    if not newline:
        return offset
    for line in whole.decode(errors="replace").splitlines():
        if not line.startswith("argosy-admin: "):
            report(line)
    return offset + len(whole) + 1
