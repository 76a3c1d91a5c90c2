"""What a supervisor is to run: processes in stages, tasks between them, and when a process is started again.

Data and one pure rule; nothing is started here. Outputs: `Plan`, `restart_of`.
"""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

QUICK_PAUSE_S = 0.2
PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 10.0
FAIL_STOP_CODES = range(70, 75)
# app/streams/exits.py: commands are missing (72), the installation is not as it must be (75).
PERSON_CODES = {
    72: "commands are missing in the log, and going on would lose what was acknowledged",
    75: "the installation is not as it must be",
}
QUICK_STARTS_MAX = 5


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """A process. `name` is unique in a plan; `marker` is text of its command line by which it is recognised.

    `prepare` runs before each start (it may take seconds and raise AdminError); `ready` asks the process by its own
    protocol and answers within about a second. `environment` replaces the supervisor's. `log` None: our own output.
    `restart` False: its end is its end.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    log: Path | None
    marker: str
    prepare: Callable[[], None] = _nothing
    environment: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    restart: bool = True
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Processes that start together; the next step begins when all are ready."""

    processes: tuple[ProcessPlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A command that runs to its end between two stages; another end than 0 ends the start."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] | None = None
    timeout_s: float = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a start: `calls` in this process first, then the tasks, all at once, or a stage."""

    calls: tuple[Callable[[], object], ...] = ()
    tasks: tuple[Task, ...] = ()
    stage: Stage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    steps: tuple[Step, ...]
    ready_timeout_s: float = 120.0
    stop_timeout_s: float = 15.0
    urls: Mapping[str, str] = field(default_factory=dict)


class Verdict(Enum):
    RESTART = "restart"
    HALT = "halt"
    """Starting it again cannot help; a person must look."""
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """`pause_s`: before the next start. `reason`: for HALT."""

    verdict: Verdict
    pause_s: float = 0.0
    reason: str = ""


def restart_of(exit_code: int, *, quick_ends: int, restart: bool = True) -> Restart:
    """What to do when a process has ended.

    `exit_code`: negative = the signal. `quick_ends`: how often in a row it has now ended soon after its start, >= 1.
    Fail-stop codes (70-74) are how a worker recovers, so they cost no long pause, unless nothing else happens.
    """
    if exit_code in PERSON_CODES:
        return Restart(verdict=Verdict.HALT, reason=PERSON_CODES[exit_code])
    if not restart:
        return Restart(verdict=Verdict.DONE)
    if exit_code in FAIL_STOP_CODES and quick_ends <= QUICK_STARTS_MAX:
        return Restart(verdict=Verdict.RESTART, pause_s=QUICK_PAUSE_S)
    return Restart(verdict=Verdict.RESTART, pause_s=min(PAUSE_MAX_S, PAUSE_MIN_S * 2 ** min(quick_ends - 1, 10)))
