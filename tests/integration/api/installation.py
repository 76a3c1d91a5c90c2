"""A small installation of processes: queue agent, views and API, as `argosy-admin run` starts them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from app.admin.processes import free_port
from app.api.auth import token_hash
from app.db.migrations import migrate
from app.log.topics import apply_topics, load_topics

ROOT = Path(__file__).parents[3]
PARTITIONS = 4
READY_S = 120.0
CLUSTERS = ("c0", "c1")
VIEW_APPS = ("history", "leases", "queues", "nodes")


def executor_token(cluster: str) -> str:
    return f"token-of-{cluster}"


class Component:
    """One process of the installation."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str], directory: Path) -> None:
        self.name = name
        self.health_port = free_port()
        self.log = directory / f"{name}.log"
        self._arguments = arguments
        self._environment = {**os.environ, **environment, "ARGOSY_HEALTH__PORT": str(self.health_port)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "app.admin.main", "run", *self._arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=self._environment
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Raises TimeoutError with the end of its log."""
        deadline = time.monotonic() + READY_S
        while not self.is_ready():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is not ready:\n{self.log.read_text()[-4_000:]}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return self._get("readyz")[0] == 200
        except OSError:
            return False

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        found = re.search(rf"^{name} (\S+)$", self._get("metrics")[1], re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    def kill(self) -> None:
        """SIGKILL; does nothing when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM and the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def wait_until_ended(self) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process is not None
        return self._process.wait(READY_S)

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Installation:
    """Topics and tables are made by the constructor; nothing runs before `start`."""

    def __init__(self, bootstrap: str, database_url: str, directory: Path, **settings: str) -> None:
        self.bootstrap = bootstrap
        self.database_url = database_url
        self.api_port = free_port()
        self._directory = directory
        self.environment = {
            "ARGOSY_KAFKA__BOOTSTRAP": bootstrap,
            "ARGOSY_KAFKA__PARTITIONS": str(PARTITIONS),
            "ARGOSY_KAFKA__REPLICATION": "1",
            "ARGOSY_POSTGRES__URL": database_url,
            "ARGOSY_API__PORT": str(self.api_port),
            "ARGOSY_QUEUE_AGENT__DATA_DIR": str(directory / "queue-agent"),
            "ARGOSY_VIEWS__DATA_DIR": str(directory / "views"),
            **{f"ARGOSY_CLUSTERS__{name.upper()}__TOKEN_SHA256": token_hash(executor_token(name)) for name in CLUSTERS},
            **settings,
        }
        apply_topics(bootstrap, load_topics(), PARTITIONS, 1)
        asyncio.run(migrate(database_url))
        self.api = self._component("api", "api")
        self.queue_agent = self._component("queue-agent", "queue-agent")
        self.views = {app: self._component(f"views-{app}", "views", "--app", app) for app in VIEW_APPS}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def start(self) -> None:
        """Everything, and waits until it is ready."""
        components = [self.queue_agent, *self.views.values(), self.api]
        for component in components:
            component.start()
        for component in components:
            component.wait_until_ready()

    def another_api(self, name: str, **settings: str) -> Component:
        """A further API process with other settings; whoever starts it ends it."""
        return Component(name, ["api"], {**self.environment, **settings}, self._directory)

    def close(self) -> None:
        for component in (self.api, *self.views.values(), self.queue_agent):
            component.kill()

    def _component(self, name: str, *arguments: str) -> Component:
        return Component(name, list(arguments), self.environment, self._directory)


async def eventually(holds: Callable[[], bool], what: str, *, timeout_s: float = 90.0) -> None:
    """Waits until the condition holds. Raises TimeoutError."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(holds):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(f"not within {timeout_s:g} s: {what}") from None


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()
