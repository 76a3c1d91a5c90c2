"""The queue agent with a decide that raises for poison, half way through: what it wrote until then must not be seen."""

from agents import queue
from app.domain.commands import Command, SubmitJobs
from app.domain.decide import Decision, decide
from app.domain.rows import ClusterRow, cluster_key
from app.domain.state import Overlay
from app.streams.app import App
from tests.faults.load import POISON_JOB_SET


def decide_or_raise(state: Overlay, command: Command, partition: int, offset: int, log_time_ms: int) -> Decision:
    if isinstance(command, SubmitJobs) and command.job_set == POISON_JOB_SET:
        state.put(cluster_key("half done"), ClusterRow(cluster="half done", instance=bytes(16)))
        raise ZeroDivisionError("poison")
    return decide(state, command, partition, offset, log_time_ms)


def attach(app: App) -> None:
    queue.attach(app, decide_or_raise)
