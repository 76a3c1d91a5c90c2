"""One local Apache Kafka node (KRaft, broker and controller in one JVM) from the jars of kafka_jars.

Inputs: a directory, two ports. Outputs: a formatted data directory, a child process, a bootstrap address.
Owner of `<directory>/{server.properties,data,broker.log}`. Readiness is asked by the Kafka protocol.
"""

import base64
import signal
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from string import Template

from app.admin.errors import AdminError, NotReadyError
from app.admin.kafka_jars import ensure_kafka_jars
from app.admin.processes import LOOPBACK, Child, last_lines, spawn
from app.admin.toolchain import checkout_root, find_java
from app.log.admin import broker_ready

FORMAT_TIMEOUT_S = 120.0
READY_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
# C1 alone starts quicker and costs less CPU than it loses in a test; a stack under load wants both compilers.
QUICK_START_FLAGS = ("-XX:TieredStopAtLevel=1", "-Xshare:auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaNode:
    """`heap_mib`: the JVM's largest heap. `quick_start`: for tests."""

    directory: Path
    port: int
    controller_port: int
    heap_mib: int = 512
    quick_start: bool = False

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        return self.directory / "broker.log"

    def prepare(self) -> None:
        """Writes server.properties and formats the data directory when it is new (about 1 s).

        Raises ToolMissingError, AdminError.
        """
        template = (checkout_root() / "infra" / "kafka" / "server.properties").read_text()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(
            Template(template).substitute(
                port=self.port, controller_port=self.controller_port, data_dir=self.directory / "data"
            )
        )
        if not (self.directory / "data" / "meta.properties").is_file():
            self._format()

    def command(self) -> list[str | Path]:
        """The command of the broker; `prepare` must have run."""
        return [*self._java(f"-Xmx{self.heap_mib}m", "-Xms128m"), "kafka.Kafka", self._properties]

    def start(self, *, die_with_parent: bool = False) -> Child:
        """Prepares, starts and waits until the broker answers. Raises NotReadyError when it does not."""
        self.prepare()
        child = spawn("kafka", self.command(), log=self.log, die_with_parent=die_with_parent)
        self.wait_ready(child)
        return child

    def wait_ready(self, child: Child, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Raises NotReadyError when the child ends or does not answer in time; it is dead then."""
        waited_s = 0.0
        while not self.ready(0.5):
            waited_s += 0.5
            code = child.exit_code()
            if code is None and waited_s < timeout_s:
                continue
            child.kill()
            what = f"ended with code {code}" if code is not None else f"did not answer within {timeout_s:.0f} s"
            raise NotReadyError(f"Kafka {what}; see {self.log}: {last_lines(self.log)}")

    def ready(self, timeout_s: float) -> bool:
        return broker_ready(self.bootstrap, timeout_s)

    def stop(self, child: Child) -> bool:
        """A controlled shutdown (0.2 to 2 s). False when the broker had to be killed."""
        return child.stop(signal.SIGTERM, deadline_s=STOP_TIMEOUT_S)

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    def _format(self) -> None:
        command = [*self._java("-Xmx128m"), "kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c"]
        answer = subprocess.run(
            [*command, self._properties, "--ignore-formatted"],
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
        )
        if answer.returncode != 0:
            raise AdminError(
                f"the Kafka directory {self.directory} cannot be formatted: {answer.stderr.strip()[-300:]}"
            )

    def _java(self, *memory: str) -> list[str | Path]:
        logging = checkout_root() / "infra" / "kafka" / "log4j2.properties"
        jars = sorted(ensure_kafka_jars().glob("*.jar"))
        return [
            find_java().path,
            *memory,
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            *(QUICK_START_FLAGS if self.quick_start else ()),
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={logging}",
            "-cp",
            ":".join(str(jar) for jar in jars),
        ]


def _cluster_id() -> str:
    # The tool takes an id that begins with "-" for an option.
    while True:
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not name.startswith("-"):
            return name
