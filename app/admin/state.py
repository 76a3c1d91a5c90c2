"""The state directory of a local stack: ports, secrets, logs, data, and who runs.

Owner of everything in it. `state.json` is written by the supervisor alone, by rename, and read by everybody else; a
lock file says which supervisor owns the directory.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.admin.errors import AdminError, AlreadyRunningError, PortTakenError
from app.admin.processes import ProcessRecord, free_port, port_owner, port_taken

STATE_BYTES_MAX = 4 * 1024 * 1024


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """A process in state.json. `state`: starting, ready, waiting (for its next start), halted, done, stopped."""

    name: str
    state: str
    record: ProcessRecord | None = None
    stop_signal: int = 15
    restarts: int = 0
    exit_code: int | None = None
    log: str = ""
    url: str = ""


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    """state.json. `phase`: starting, up, stopping, stopped, failed. `failure`: one line, when failed."""

    phase: str
    supervisor: ProcessRecord
    processes: tuple[ProcessState, ...] = ()
    urls: dict[str, str] = {}
    failure: str = ""


class StateDirectory:
    """Paths and small files of one local stack. Nothing is created before it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.data = self.path / "data"
        self.logs = self.path / "logs"
        self.settings_file = self.path / "settings.yaml"
        self.state_file = self.path / "state.json"

    def create(self) -> None:
        """Raises AdminError when the directory cannot be made."""
        try:
            for path in (self.path, self.data, self.logs):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AdminError(f"{self.path} cannot be created: {error.strerror} (setting dev.state_dir)") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Owns the directory while the block runs. Raises AlreadyRunningError when another process does."""
        self.create()
        with (self.path / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise AlreadyRunningError(
                    f"a stack runs already in {self.path}: argosy-admin dev status shows it, dev down stops it"
                ) from None
            yield

    def read(self) -> StackState | None:
        """None when no stack was ever started here, or the file cannot be understood (another version's)."""
        try:
            text = self.state_file.read_bytes()
            return msgspec.json.decode(text[:STATE_BYTES_MAX], type=StackState)
        except (OSError, msgspec.MsgspecError):
            return None

    def write(self, state: StackState) -> None:
        write_by_rename(self.state_file, msgspec.json.format(msgspec.json.encode(state)))

    def supervisor(self) -> ProcessRecord | None:
        """The supervisor when it runs."""
        state = self.read()
        return state.supervisor if state and state.supervisor.find() else None

    def left_over(self) -> list[ProcessState]:
        """Processes of a supervisor that died, in the order of their start."""
        state = self.read()
        return [process for process in state.processes if process.record and process.record.find()] if state else []

    def port(self, name: str, wanted: int, *, setting: str, insist: bool = True) -> int:
        """The port to use for `name`: the wanted one, else the one used before if it is free, else any free one.

        Raises PortTakenError when the wanted one is taken and `insist`.
        """
        known = self._ports()
        if wanted and (insist or not port_taken(wanted)):
            if port_taken(wanted):
                raise PortTakenError(
                    f"port {wanted} ({setting}) is in use{port_owner(wanted)}: stop that process or choose another port"
                )
            chosen = wanted
        else:
            before = known.get(name)
            chosen = before if before and not port_taken(before) else free_port()
            while chosen != before and chosen in known.values():
                chosen = free_port()
        if known.get(name) != chosen:
            write_by_rename(self.path / "ports.json", msgspec.json.encode({**known, name: chosen}))
        return chosen

    def port_in_use(self, name: str) -> int | None:
        """The port that `name` was given last; None when it never was."""
        return self._ports().get(name)

    def token(self, cluster: str) -> tuple[Path, str]:
        """The file (0600) with the cluster's executor token, made when absent, and the token's SHA-256."""
        folder = self.path / "secrets"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{cluster}.token"
        if not path.is_file():
            write_by_rename(path, secrets.token_urlsafe(32).encode(), mode=0o600)
        return path, hashlib.sha256(path.read_bytes().strip()).hexdigest()

    def delete(self) -> None:
        """Removes everything in the directory. Nothing of it may run."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists():
            raise AdminError(f"{self.path} cannot be removed: is it another user's?")

    def _ports(self) -> Mapping[str, int]:
        try:
            return msgspec.json.decode((self.path / "ports.json").read_bytes(), type=dict[str, int])
        except (OSError, msgspec.MsgspecError):
            return {}


def write_by_rename(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Writes a file so that a reader sees the old content or the new one."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    scratch.rename(path)
