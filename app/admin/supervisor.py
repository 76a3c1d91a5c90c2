"""Runs a plan: starts processes step by step, waits until each is ready, starts them again, stops them in reverse.

Inputs: a Plan, the state directory (locked by the caller). Outputs: state.json, lines for a person (`report`).
One thread, one loop: nothing here blocks for longer than a `prepare`, a `ready` or a `stop`. It ends only processes
that it started, by their pid. Why there is one of our own: docs/decisions/0002.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import psutil

from app.admin.errors import AdminError, NotReadyError
from app.admin.plan import Plan, ProcessPlan, Restart, Stage, Task, Verdict, restart_of
from app.admin.processes import Child, ProcessRecord, last_lines, spawn
from app.admin.state import ProcessState, StackState, StateDirectory

POLL_INTERVAL_S = 0.1
# A process that ran this long was healthy: the pauses before its next starts begin anew.
HEALTHY_AFTER_S = 30.0


@dataclass(slots=True)
class _Process:
    """A process of the plan and what has become of it."""

    plan: ProcessPlan
    state: str = "starting"
    child: Child | None = None
    begun_at: float = 0.0
    started_at: float = 0.0
    next_start_at: float = 0.0
    quick_ends: int = 0
    restarts: int = 0
    exit_code: int | None = None

    def snapshot(self) -> ProcessState:
        return ProcessState(
            name=self.plan.name,
            state=self.state,
            record=self.child.record if self.child else None,
            stop_signal=int(self.plan.stop_signal),
            restarts=self.restarts,
            exit_code=self.exit_code,
            log=str(self.plan.log or ""),
            url=self.plan.url,
        )


class Supervisor:
    """`report` takes one line for a person."""

    def __init__(self, plan: Plan, directory: StateDirectory, report: Callable[[str], None]) -> None:
        self._plan = plan
        self._directory = directory
        self._report = report
        self._stages: list[list[_Process]] = []
        self._stop_wanted = False
        self._phase = "starting"
        self._failure = ""
        me = psutil.Process()
        self._record = ProcessRecord(name="supervisor", pid=me.pid, started=me.create_time(), marker=_own_marker(me))

    def run(self) -> None:
        """Starts everything, watches until `stop` or a signal (INT, TERM, HUP), stops everything.

        Raises AdminError when the start failed; everything is stopped then.
        """
        former = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        try:
            self._run()
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Asks the loop to stop everything; `run` returns when that is done."""
        self._stop_wanted = True

    def _run(self) -> None:
        try:
            self._start()
            self._watch()
        except AdminError as error:
            self._failure = str(error)
            raise
        finally:
            self._stop_all()
            self._enter("failed" if self._failure else "stopped")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self._stop_wanted:
            self._report(f"{signal.Signals(number).name}: stopping everything in reverse order; the data is kept")
        self._stop_wanted = True

    def _start(self) -> None:
        self._enter("starting")
        for step in self._plan.steps:
            for call in step.calls:
                if not self._stop_wanted:
                    call()
            if step.tasks and not self._stop_wanted:
                self._run_tasks(step.tasks)
            if step.stage is not None and not self._stop_wanted:
                self._start_stage(step.stage)
        if not self._stop_wanted:
            self._enter("up")

    def _run_tasks(self, tasks: tuple[Task, ...]) -> None:
        """Runs them at the same time. Raises NotReadyError with what the first failing one said."""
        running = [
            (task, spawn(task.name, task.command, log=task.log, environment=task.environment), time.monotonic())
            for task in tasks
        ]
        try:
            for task, child, started_at in running:
                while (code := child.exit_code()) is None:
                    if self._stop_wanted or time.monotonic() - started_at > task.timeout_s:
                        break
                    self._tick()
                    time.sleep(POLL_INTERVAL_S)
                if self._stop_wanted:
                    return
                if code != 0:
                    what = "did not end in time" if code is None else f"ended with code {code}"
                    said = last_lines(task.log, 1).removeprefix("argosy-admin: ")
                    raise NotReadyError(f"{task.name} {what}: {said} (log: {task.log})")
                self._report(f"{task.name} done ({time.monotonic() - started_at:.1f} s)")
        finally:
            for _task, child, _started_at in running:
                if child.exit_code() is None:
                    child.kill()

    def _start_stage(self, stage: Stage) -> None:
        """Raises NotReadyError when one of them needs a person or is not ready in time."""
        processes = [_Process(plan=plan, begun_at=time.monotonic()) for plan in stage.processes]
        self._stages.append(processes)
        for process in processes:
            process.plan.prepare()
            self._spawn(process)
        deadline = time.monotonic() + self._plan.ready_timeout_s
        while not self._stop_wanted:
            self._tick()
            late = [process for process in processes if process.state not in ("ready", "done")]
            if not late:
                return
            halted = [process for process in late if process.state == "halted"]
            if halted or time.monotonic() > deadline:
                raise NotReadyError(self._why_not_ready((halted or late)[0]))
            time.sleep(POLL_INTERVAL_S)

    def _why_not_ready(self, process: _Process) -> str:
        log = process.plan.log
        said = f": {last_lines(log)} (log: {log})" if log else ""
        if process.state == "halted":
            return f"{process.plan.name} ended with code {process.exit_code} and needs a person{said}"
        ends = f" after {process.restarts} restarts, last exit code {process.exit_code}" if process.restarts else ""
        return f"{process.plan.name} is not ready after {self._plan.ready_timeout_s:.0f} s{ends}{said}"

    def _watch(self) -> None:
        while not self._stop_wanted:
            self._tick()
            time.sleep(POLL_INTERVAL_S)

    def _tick(self) -> None:
        """Looks once at every process."""
        before = [process.state for process in self._all()]
        for process in self._all():
            if process.state == "waiting":
                if time.monotonic() >= process.next_start_at:
                    self._start_again(process)
            elif process.child is not None and (code := process.child.exit_code()) is not None:
                self._ended(process, code)
            elif process.state == "starting" and process.plan.ready():
                process.state = "ready"
                took_s = time.monotonic() - process.begun_at
                self._report(f"{process.plan.name} ready ({took_s:.1f} s) {process.plan.url}".rstrip())
        if before != [process.state for process in self._all()]:
            self._publish()

    def _start_again(self, process: _Process) -> None:
        try:
            process.plan.prepare()
            self._spawn(process)
        except AdminError as error:
            process.started_at = time.monotonic()
            self._ended(process, error.exit_code, why=str(error))

    def _spawn(self, process: _Process) -> None:
        plan = process.plan
        process.state, process.started_at = "starting", time.monotonic()
        process.child = spawn(plan.name, plan.command, log=plan.log, marker=plan.marker, environment=plan.environment)
        self._publish()

    def _ended(self, process: _Process, code: int, why: str = "") -> None:
        process.child, process.exit_code = None, code
        ran_s = time.monotonic() - process.started_at
        process.quick_ends = process.quick_ends + 1 if ran_s < HEALTHY_AFTER_S else 1
        restart = restart_of(code, quick_ends=process.quick_ends, restart=process.plan.restart)
        self._judge(process, restart)
        how = why or (f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}")
        what = {
            Verdict.RESTART: f"starting it again in {restart.pause_s:.1f} s",
            Verdict.HALT: f"NOT started again: {restart.reason}; see {process.plan.log}",
            Verdict.DONE: "not started again",
        }[restart.verdict]
        self._report(f"{process.plan.name} {how} after {ran_s:.1f} s; {what}")
        self._publish()

    def _judge(self, process: _Process, restart: Restart) -> None:
        if restart.verdict is Verdict.RESTART:
            process.state = "waiting"
            process.restarts += 1
            process.begun_at = time.monotonic()
            process.next_start_at = process.begun_at + restart.pause_s
        else:
            process.state = "halted" if restart.verdict is Verdict.HALT else "done"

    def _stop_all(self) -> None:
        """Stage by stage in reverse; within a stage all are told at once. Never raises."""
        self._enter("stopping")
        for processes in reversed(self._stages):
            children = [(process, process.child) for process in reversed(processes) if process.child is not None]
            for process, child in children:
                child.send_signal(process.plan.stop_signal)
            deadline = time.monotonic() + self._plan.stop_timeout_s
            for process, child in children:
                told_in_time = child.wait(max(0.0, deadline - time.monotonic()))
                if not told_in_time:
                    child.kill()
                process.exit_code, process.child, process.state = child.exit_code(), None, "stopped"
                self._report(f"{process.plan.name} {'stopped' if told_in_time else 'had to be killed'}")
        self._stages_stopped()

    def _stages_stopped(self) -> None:
        for process in self._all():
            if process.state in ("waiting", "starting", "ready"):
                process.state = "stopped"
        self._publish()

    def _all(self) -> list[_Process]:
        return [process for processes in self._stages for process in processes]

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._publish()

    def _publish(self) -> None:
        self._directory.write(
            StackState(
                phase=self._phase,
                supervisor=self._record,
                processes=tuple(process.snapshot() for process in self._all()),
                urls=dict(self._plan.urls),
                failure=self._failure,
            )
        )


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _own_marker(process: psutil.Process) -> str:
    command = process.cmdline()
    return command[-1] if command else os.path.basename(sys.executable)
