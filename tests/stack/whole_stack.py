"""A whole local stack as its user starts it: `argosy-admin --settings FILE dev up` in a process of its own.

Inputs: a directory that the Postgres uid can reach, and settings beside those of the directory. Outputs: where it can
be reached, its processes by name, and verbs of a fault test. It dies with the thread that started it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from app.admin.launch import stop_left_over
from app.admin.processes import free_port
from app.admin.state import ProcessState, StackState, StateDirectory
from app.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 150.0
POLL_INTERVAL_S = 0.05


class StackFailedError(Exception):
    """the stack did not start; the message is what its supervisor said last"""


class WholeStack:
    """`start` returns when everything is ready. Ports, data and secrets stay the same over `stop` and `start`."""

    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        self.directory = directory
        self.state_directory = StateDirectory(directory / "state")
        self.settings_file = directory / "settings.yaml"
        self.output = directory / "supervisor.log"
        self._process: subprocess.Popen[bytes] | None = None
        # The usual port would be another stack's, if one runs on this machine.
        own = {
            **settings,
            "api": {"port": free_port(), **settings.get("api", {})},
            "dev": {**settings.get("dev", {}), "state_dir": str(self.state_directory.path)},
        }
        self.settings_file.write_text(yaml.safe_dump(own), encoding="utf-8")

    def start(self) -> None:
        """Raises StackFailedError."""
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        command = [sys.executable, "-m", "app.admin.main", "--settings", str(self.settings_file)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ARGOSY_")}
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*prefix, *command, "dev", "up", "--foreground"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self.output.read_text(errors="replace")
                self.stop()
                raise StackFailedError(f"the stack in {self.directory} did not start:\n{said[-4000:]}")
            time.sleep(POLL_INTERVAL_S)

    def stop(self) -> None:
        """Everything in reverse order; the data is kept."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        stop_left_over(self.state_directory, lambda _line: None)

    def state(self) -> StackState:
        state = self.state_directory.read()
        assert state is not None, "the stack was never started"
        return state

    @property
    def settings(self) -> Settings:
        """Those that the components run with."""
        return load_settings(self.state_directory.settings_file, {})

    @property
    def api_url(self) -> str:
        return self.state().urls["api"]

    @property
    def graphql_url(self) -> str:
        return self.state().urls["graphql"]

    @property
    def bootstrap(self) -> str:
        return self.settings.kafka.bootstrap

    @property
    def database_url(self) -> str:
        return self.settings.postgres.url

    def token(self, cluster: str) -> str:
        """The bearer token of a cluster's executor."""
        path, _sha256 = self.state_directory.token(cluster)
        return path.read_text().strip()

    def executor_directory(self) -> Path:
        """Where fake clusters keep their journals, one folder a cluster."""
        return self.settings.executor.data_dir

    def components(self) -> list[str]:
        """Names of the processes that are Argosy's own."""
        return [process.name for process in self.state().processes if process.name not in ("kafka", "postgres")]

    def process(self, name: str) -> ProcessState:
        (found,) = [process for process in self.state().processes if process.name == name]
        return found

    def is_ready(self, name: str) -> bool:
        process = self.process(name)
        return process.state == "ready" and process.record is not None and process.record.find() is not None

    def kill(self, name: str) -> int:
        """SIGKILL to the process that runs under this name now; the supervisor starts it again. Returns its pid."""
        record = self.process(name).record
        process = record.find() if record is not None else None
        assert process is not None, f"{name} does not run"
        process.kill()
        return process.pid

    def usage(self) -> dict[str, tuple[float, int]]:
        """CPU seconds and resident bytes of each process now, with its children's."""
        found = {}
        for state in self.state().processes:
            process = state.record.find() if state.record is not None else None
            if process is None:
                continue
            family = [process, *process.children(recursive=True)]
            cpu_s, resident = 0.0, 0
            for member in family:
                try:
                    times = member.cpu_times()
                    cpu_s += times.user + times.system
                    resident += member.memory_info().rss
                except psutil.Error:
                    continue
            found[state.name] = (cpu_s, resident)
        return found

    def _is_up(self) -> bool:
        state = self.state_directory.read()
        ours = state is not None and self._process is not None and state.supervisor.pid == self._process.pid
        return ours and state is not None and state.phase == "up"


def eventually(condition: Callable[[], bool], what: str, *, within_s: float) -> None:
    """Waits for the condition. Fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(POLL_INTERVAL_S)


@contextmanager
def running_stack(directory: Path, settings: Mapping[str, Any]) -> Iterator[WholeStack]:
    """A stack that is up; nothing of it runs afterwards."""
    stack = WholeStack(directory, settings)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


def fake_cluster(
    nodes: int, *, cpu: str = "32", memory: str = "256Gi", start_delay_ms: int = 300, more: Sequence[object] = ()
) -> dict[str, Any]:
    """Settings of a fake cluster of equal nodes, and `more` groups of nodes."""
    group = {"name": "cpu", "count": nodes, "cpu": cpu, "memory": memory}
    return {"fake": {"start_delay_ms": start_delay_ms, "node_groups": [group, *more]}}
