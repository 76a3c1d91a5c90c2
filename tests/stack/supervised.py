"""A supervisor in a process of its own, as a test sees it: its state, its children, what it said.

Inputs: the module to run (dummy_supervisor, server_supervisor) and its words. Outputs: `SupervisedStack`, `running`.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.admin.launch import stop_left_over
from app.admin.state import ProcessState, StackState, StateDirectory

ROOT = Path(__file__).parents[2]
DEADLINE_S = 90.0


class SupervisedStack:
    """`words`: as the module takes them after the directory. `environment` replaces ours."""

    def __init__(
        self,
        directory: Path,
        *words: str,
        module: str = "tests.stack.dummy_supervisor",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.state_directory = StateDirectory(directory / "state")
        self.output = directory / "output"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(directory), *words],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )

    def state(self) -> StackState:
        state = self.state_directory.read()
        assert state is not None
        return state

    def component(self, name: str) -> ProcessState:
        (found,) = [process for process in self.state().processes if process.name == name]
        return found

    def pid(self, name: str) -> int:
        record = self.component(name).record
        assert record is not None
        return record.pid

    def events(self) -> list[str]:
        return (self.directory / "events").read_text().splitlines()

    def is_up(self) -> bool:
        return self.state_directory.state_file.exists() and self.state().phase == "up"

    def leave(self, name: str, code: int) -> None:
        scratch = self.directory / f"{name}.exit.new"
        scratch.write_text(str(code))
        scratch.rename(self.directory / f"{name}.exit")

    def ended(self) -> bool:
        return self.process.poll() is not None

    def close(self) -> None:
        """Kills the supervisor and stops what it leaves."""
        self.process.kill()
        self.process.wait()
        stop_left_over(self.state_directory, lambda _line: None)


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for the condition. Fails after DEADLINE_S."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.02)


@contextmanager
def running(directory: Path, *words: str) -> Iterator[SupervisedStack]:
    """A dummy stack that is up (or has failed); nothing of it is left afterwards."""
    stack = SupervisedStack(directory, *words)
    try:
        until(lambda: stack.is_up() or stack.ended(), "up")
        yield stack
    finally:
        stack.close()
