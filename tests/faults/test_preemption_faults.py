"""Preemption in two steps, with leaders that die or stand still between them and leases that are refused."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.commands import CancelJobs, LeaseJobs, PreemptReason, PreemptRuns, ReportState
from app.domain.events import LeaseData
from app.pods.shape import Shape
from tests.integration.scheduler.stage import Process, Stage, eventually, nodes
from tests.stack.server import KafkaBroker
from tests.unit.scheduler.partition import CHIEF

pytestmark = pytest.mark.stack

CLASSES: dict[str, Any] = {
    "priority_classes": {
        "argosy-default": {"priority": 1000, "preemptible": False},
        "low": {"priority": 100, "preemptible": True},
    }
}
LOW = Shape(priority_class="low", requests=(("cpu", 2000), ("memory", 1 << 30)))
HIGH = Shape(priority_class="argosy-default", requests=(("cpu", 3000), ("memory", 1 << 30)))


class Scene:
    """A node of 4 cpu, full of two preemptible runs."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.log = stage, stage.log
        self.agent = stage.agent()
        self.partition = self.log.queue("a")
        self.log.begin_instance("c0")
        self.log.nodes("c0", nodes(1, cpu="4"))
        for each in (LOW, HIGH):
            self.log.add_shape(each)

    def fill(self) -> dict[bytes, LeaseData]:
        """The two jobs run; by run id."""
        ids = self.log.submit("a", 2, LOW, preemptible=True)
        eventually(lambda: {lease.job_id for lease in self.log.leases()} == set(ids))
        runs = {lease.run_id: lease for lease in self.log.leases()}
        for lease in runs.values():
            self.log.report(lease, ReportState.RUNNING)
        return runs

    def preempted(self) -> set[bytes]:
        """Runs of PreemptRuns commands."""
        commands = [command for _, _, command in self.log.commands() if isinstance(command, PreemptRuns)]
        return {each.run_id for command in commands for each in command.preemptions}

    def told(self) -> set[tuple[bytes, bytes, PreemptReason, bytes | None]]:
        """Job, run, reason and preempting job of PreemptRuns commands."""
        commands = [command for _, _, command in self.log.commands() if isinstance(command, PreemptRuns)]
        return {(each.job_id, each.run_id, each.reason, each.by_job) for one in commands for each in one.preemptions}

    def stopped(self) -> set[bytes]:
        """Runs that were told to stop."""
        return {stop.run_id for _, record in self.log.events() for stop in record.stops}

    def lease_of(self, job: bytes) -> LeaseData | None:
        return next((lease for lease in self.log.leases() if lease.job_id == job), None)


@pytest.fixture
def scene(fresh_kafka: KafkaBroker, tmp_path: Path) -> Iterator[Scene]:
    stage = Stage(fresh_kafka.bootstrap, tmp_path)
    yield Scene(stage)
    stage.close()


def stopping(scheduler: Process) -> float:
    return scheduler.figure('argosy_scheduler_jobs{state="stopping"}')


@pytest.mark.parametrize(
    ("queue", "reason"),
    [("a", PreemptReason.URGENCY), ("b", PreemptReason.FAIR_SHARE)],
    ids=["of their own queue", "of a queue that holds less"],
)
def test_a_leader_killed_between_a_displacing_lease_and_its_preemption_leaves_nothing_hanging(
    scene: Scene, queue: str, reason: PreemptReason
) -> None:
    """The next leader says what the first would have said, though the urgent job's class alone would tell otherwise."""
    scene.log.queue("b")
    first = scene.stage.scheduler("first", fault_stop_before_preempt=True, **CLASSES)
    runs = scene.fill()
    (high,) = scene.log.submit(queue, 1, HIGH)
    eventually(first.stopped)
    lease = scene.lease_of(high)
    assert lease is not None
    assert {(each.run_id, each.ordinal, each.reason) for each in lease.displaced} == {
        (run, each.ordinal, reason) for run, each in runs.items()
    }
    assert scene.preempted() == set(), "it was decided and not sent"
    first.kill()
    second = scene.stage.scheduler("second", **CLASSES)
    eventually(lambda: scene.preempted() == set(runs))
    eventually(lambda: scene.stopped() == set(runs))
    assert scene.told() == {(each.job_id, run, reason, high) for run, each in runs.items()}
    eventually(lambda: stopping(second) == 2)
    for each in runs.values():
        scene.log.report(each, ReportState.GONE)
    scene.log.report(lease, ReportState.RUNNING)
    eventually(lambda: stopping(second) == 0)
    eventually(lambda: second.figure('argosy_scheduler_jobs{state="running"}') == 1)
    (again,) = scene.log.submit("a", 1, Shape(priority_class="low", requests=(("cpu", 1000),)), preemptible=True)
    scene.log.add_shape(Shape(priority_class="low", requests=(("cpu", 1000),)))
    eventually(lambda: scene.lease_of(again) is not None)


def test_a_lease_that_is_refused_kills_nobody(scene: Scene) -> None:
    first = scene.stage.scheduler("first", **CLASSES)
    runs = scene.fill()
    first.send_signal(signal.SIGTERM)
    second = scene.stage.scheduler("second", fault_stop_before_send=True, leader_session_timeout_s=90, **CLASSES)
    eventually(second.leads)
    (high,) = scene.log.submit("a", 1, HIGH)
    eventually(second.stopped)
    scene.log.command(scene.partition, CancelJobs(principal=CHIEF, job_ids=(high,)))
    eventually(lambda: any(high in record.outcome.affected for record in decided(scene)))
    second.send_signal(signal.SIGCONT)

    def refused() -> bool:
        sent = {
            offset
            for _, offset, command in scene.log.commands()
            if isinstance(command, LeaseJobs) and any(each.displaced for each in command.leases)
        }
        return any(record.offset in sent and record.outcome.refusals for record in decided(scene))

    eventually(refused)
    scene.log.nodes("c0", nodes(2, cpu="4"))
    (later,) = scene.log.submit("a", 1, LOW, preemptible=True)
    eventually(lambda: scene.lease_of(later) is not None)
    assert scene.preempted() == set()
    assert scene.stopped().isdisjoint(runs)
    eventually(lambda: second.figure('argosy_scheduler_jobs{state="running"}') == 2)


def decided(scene: Scene) -> list[Any]:
    """The events records of the queue's partition that say what became of a command."""
    return [record for p, record in scene.log.events() if p == scene.partition and record.outcome is not None]
