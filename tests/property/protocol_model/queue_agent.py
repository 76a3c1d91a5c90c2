"""The queue agent of one partition: decides commands in offset order, keeps a snapshot after each (views and feeds
read those)."""

from collections.abc import Callable
from dataclasses import replace

from tests.property.protocol_model.log import (
    BeginEpoch,
    BeginInstance,
    Cancel,
    Command,
    GoneRow,
    JobRow,
    LeaseJob,
    Preempt,
    ReportRun,
    RunRow,
    RunState,
    Snapshot,
    Submit,
)
from tests.property.protocol_model.names import ATTEMPTS_MAX, NODES

LAST_WORDS = ("SUCCEEDED", "FAILED", "RETURNED", "GONE")


class QueueAgent:
    """Decides one partition. `off`: names of rules that are switched off; `on_last_word`: told of each one that is
    accepted."""

    def __init__(self, partition: int, off: frozenset[str], on_last_word: Callable[[str, str, bool], None]) -> None:
        self.partition = partition
        self.log: list[Command] = []
        self.decided = 0
        self.epoch = 0
        self.instances: dict[str, int] = {}
        """cluster -> the instance that speaks for it"""
        self.replaced: set[int] = set()
        self.jobs: dict[int, JobRow] = {}
        self.runs: dict[str, RunRow] = {}
        self.gone: dict[str, GoneRow] = {}
        self.snapshots = [Snapshot({}, {}, {})]
        self._off = off
        self._on_last_word = on_last_word

    def decide(self, poisoned: bool) -> bool:
        """Decides the next command, if there is one. poisoned: deciding raised, the command is refused (reports
        only)."""
        if self.decided == len(self.log):
            return False
        command = self.log[self.decided]
        if not (poisoned and isinstance(command, ReportRun)):
            self._apply(command, self.decided)
        self.decided += 1
        self.snapshots.append(Snapshot(dict(self.jobs), dict(self.runs), dict(self.gone)))
        return True

    def _apply(self, command: Command, offset: int) -> None:
        match command:
            case Submit(job):
                self.jobs[job] = JobRow("queued", 0)
            case BeginEpoch(epoch):
                self.epoch = max(self.epoch, epoch)
            case BeginInstance(cluster, instance):
                self._begin_instance(cluster, instance)
            case LeaseJob():
                self._lease(command, offset)
            case Preempt(epoch, run):
                if self._is_current(epoch) and run in self.runs and self.runs[run].state is not RunState.STOPPING:
                    self._requeue(self.runs[run].job)
                    self.runs[run] = replace(self.runs[run], state=RunState.STOPPING, stopped=offset)
            case Cancel(job):
                self._cancel(job, offset)
            case ReportRun():
                self._report(command, offset)

    def _begin_instance(self, cluster: str, instance: int) -> None:
        """An instance begins once: a request of a replaced one that reaches a new API process late must not bring it
        back."""
        if instance in self.replaced and "an instance begins once" not in self._off:
            return
        before = self.instances.get(cluster)
        if before is not None and before != instance:
            self.replaced.add(before)
        self.instances[cluster] = instance

    def _is_current(self, epoch: int) -> bool:
        return epoch >= self.epoch or "refuse old epochs" in self._off

    def _lease(self, command: LeaseJob, offset: int) -> None:
        job = self.jobs.get(command.job)
        if (
            not self._is_current(command.epoch)
            or job is None
            or job.state != "queued"
            or job.attempt != command.attempt
        ):
            return
        held = any(row.job == command.job for row in self.runs.values())
        if held and "refuse leases while a run stops" not in self._off:
            return
        self.jobs[command.job] = JobRow("active", job.attempt, command.run)
        self.runs[command.run] = RunRow(command.job, command.node, self.partition, offset, command.displaced)

    def _cancel(self, job: int, offset: int) -> None:
        row = self.jobs.get(job)
        if row is None or row.state == "ended":
            return
        if row.run in self.runs:
            self.runs[row.run] = replace(self.runs[row.run], state=RunState.STOPPING, stopped=offset)
        self.jobs[job] = JobRow("ended", row.attempt)

    def _report(self, report: ReportRun, offset: int) -> None:
        row = self.runs.get(report.run)
        if row is None or NODES[row.node] != report.cluster:
            return
        if self.instances.get(report.cluster) != report.instance and "refuse old instances" not in self._off:
            return
        if report.state not in LAST_WORDS:
            if row.state is RunState.LEASED:
                self.runs[report.run] = replace(row, state=RunState.REPORTED)
            return
        stopped = row.state is RunState.STOPPING
        self._on_last_word(report.run, report.state, stopped)
        del self.runs[report.run]
        self.gone[report.run] = GoneRow(row.job, row.node, row.stopped if stopped else offset, finished=not stopped)
        if stopped:
            return
        if report.state == "SUCCEEDED":
            self.jobs[row.job] = JobRow("ended", self.jobs[row.job].attempt)
        else:
            self._requeue(row.job)

    def _requeue(self, job: int) -> None:
        attempt = self.jobs[job].attempt + 1
        self.jobs[job] = JobRow("queued" if attempt < ATTEMPTS_MAX else "ended", attempt)
