"""One local Apache Kafka node (KRaft, broker and controller in one JVM) from the jars of kafka_jars.

Inputs: a directory, two ports. Outputs: a formatted data directory, a child process, a bootstrap address.
Owner of `<directory>/{server.properties,data,broker.log}`. Readiness is asked by the Kafka protocol.
"""

import base64
import signal
import subprocess
import time
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
FENCE_TIMEOUT_S = 60.0
NOTHING_TO_FENCE_S = 3.0
# It has been started before, and it did not end in order.
METADATA_LOG = "__cluster_metadata-0"
CLEAN_SHUTDOWN_FILE = ".kafka_cleanshutdown"
ACTIVE_TEXT = "Performing controller activation"
FENCED_TEXT = "because its session has timed out"
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
        """Writes server.properties; formats a new data directory (1 s); ends the session of a killed broker (2 s).

        The broker must not be running. Raises ToolMissingError, AdminError.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_properties("server.properties")
        if not (self._data / "meta.properties").is_file():
            self._format()
        elif (self._data / METADATA_LOG).is_dir() and not (self._data / CLEAN_SHUTDOWN_FILE).is_file():
            self._end_former_session()

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

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _write_properties(self, name: str) -> Path:
        template = Template((checkout_root() / "infra" / "kafka" / name).read_text())
        path = self.directory / name
        path.write_text(template.substitute(port=self.port, controller_port=self.controller_port, data_dir=self._data))
        return path

    def _end_former_session(self) -> None:
        """Lets the controller fence the broker that was killed, before a new one starts.

        Without this the new broker first acts on metadata that still names it as leader: it finds the transactions
        whose commit was promised but not yet marked, and cannot send the markers, because it does not listen before
        the former session has lapsed. At that moment its partitions lose their leader, the markers are dropped as
        "likely deleted already", the transactions count as complete, and no read-committed reader of those partitions
        ever gets any further. Seen with Kafka 4.3.1 on one node in half of the kills right after a commit.
        """
        log = self.directory / "fence.log"
        log.unlink(missing_ok=True)
        properties = self._write_properties("fence.properties")
        java = self._java("-Xmx128m", "-Dargosy.controller.log.level=info")
        child = spawn("kafka-fence", [*java, "kafka.Kafka", properties], log=log, die_with_parent=True)
        deadline = time.monotonic() + FENCE_TIMEOUT_S
        active_at: float | None = None
        while child.exit_code() is None and time.monotonic() < deadline:
            text = log.read_text(errors="replace")
            if FENCED_TEXT in text:
                break
            if active_at is None and ACTIVE_TEXT in text:
                active_at = time.monotonic()
            if active_at is not None and time.monotonic() - active_at > NOTHING_TO_FENCE_S:
                break  # it died before it had a session
            time.sleep(0.05)
        if not child.stop(deadline_s=STOP_TIMEOUT_S) or (active_at is None and FENCED_TEXT not in log.read_text()):
            raise NotReadyError(f"the Kafka controller did not start after a crash; see {log}: {last_lines(log)}")

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
