"""Child processes of the local stack: start in a session of their own, recognise again, stop by pid.

Inputs: commands, log files. Outputs: `Child` (ours, can be waited for) and `ProcessRecord` (what a state file keeps; a
pid alone may be somebody else's by now, so start time and a marker of the command line are checked too).
Also free ports, because a port is what a child needs before it exists.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from app.admin.errors import AdminError

LOOPBACK = "127.0.0.1"
# Below Linux's range for outgoing connections: a port that was free stays free until its owner binds it again.
FREE_PORT_MIN, FREE_PORT_MAX = 20_000, 31_999
START_TIME_TOLERANCE_S = 2.0
TAIL_BYTES = 16_384
GONE_POLL_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """A process as a state file remembers it. `marker`: text of its command line; `started`: Unix time in seconds."""

    name: str
    pid: int
    started: float
    marker: str

    def find(self) -> psutil.Process | None:
        """The process when it still runs and is the one recorded, else None (gone, a zombie, or the pid is reused)."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            same = abs(process.create_time() - self.started) <= START_TIME_TOLERANCE_S
            return process if same and self.marker in " ".join(process.cmdline()) else None
        except psutil.NoSuchProcess:
            return None

    def stop(self, number: signal.Signals = signal.SIGTERM, *, deadline_s: float) -> bool:
        """Signals the process and waits; SIGKILL to its session after `deadline_s`. False when it had to be killed."""
        process = self.find()
        if process is None:
            return True
        process.send_signal(number)
        if self._gone_within(deadline_s):
            return True
        _kill_session(self.pid)
        self._gone_within(deadline_s)
        return False

    def _gone_within(self, deadline_s: float) -> bool:
        # Not psutil's wait: a process whose parent does not collect it stays a zombie, and counts as gone here.
        deadline = time.monotonic() + deadline_s
        while self.find() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(GONE_POLL_INTERVAL_S)
        return True


class Child:
    """A process that this one started."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], *, marker: str) -> None:
        self._popen = popen
        try:
            started = psutil.Process(popen.pid).create_time()
        except psutil.NoSuchProcess:
            started = time.time()
        self.record = ProcessRecord(name=name, pid=popen.pid, started=started, marker=marker)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative = the signal that ended it."""
        return self._popen.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal; does nothing when the process has ended."""
        self._popen.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, deadline_s: float) -> bool:
        """Signals and waits; SIGKILL to the whole session after `deadline_s`. False when it had to be killed."""
        self._popen.send_signal(number)
        if self.wait(deadline_s):
            return True
        self.kill()
        return False

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within `timeout_s`."""
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL to the whole session, and waits until the process is gone."""
        _kill_session(self._popen.pid)
        self._popen.wait()


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path | None,
    marker: str | None = None,
    environment: Mapping[str, str] | None = None,
    die_with_parent: bool = False,
) -> Child:
    """Starts `command` in its own session, without input, output appended to `log` (None: to our own output).

    `marker`: text of the command line by which it is recognised (default: the last argument). `environment` replaces
    ours. `die_with_parent`: the kernel kills it when the thread that called this ends, where it can (tests).
    Raises AdminError when the program cannot be started.
    """
    words = [str(word) for word in command]
    setpriv = shutil.which("setpriv") if die_with_parent else None
    prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    output: BinaryIO | None = None
    try:
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = log.open("ab")
        popen = subprocess.Popen(
            prefix + words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
            env=environment,
            cwd="/",
        )
    except OSError as error:
        raise AdminError(f"{name} cannot be started: {error.strerror}: {error.filename or words[0]}") from None
    finally:
        if output is not None:
            output.close()
    return Child(name, popen, marker=words[-1] if marker is None else marker)


def free_port() -> int:
    """A TCP port that is free on loopback now."""
    for _ in range(1000):
        port = random.randint(FREE_PORT_MIN, FREE_PORT_MAX)
        if not port_taken(port):
            return port
    raise AdminError(f"no free TCP port between {FREE_PORT_MIN} and {FREE_PORT_MAX} on {LOOPBACK}")


def port_taken(port: int, host: str = LOOPBACK) -> bool:
    """Whether somebody listens on the port (a port in TIME_WAIT counts as free)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def port_owner(port: int) -> str:
    """Who listens on the port, as " by NAME (pid N)", or "" where that cannot be seen."""
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return ""


def last_lines(log: Path, count: int = 3) -> str:
    """The last lines of a log file without the frames of Java stack traces, joined by " | ", for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    lines = [line for line in lines if line and not line.startswith(("at ", "..."))]
    return " | ".join(lines[-count:])


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        os.kill(pid, signal.SIGKILL)
