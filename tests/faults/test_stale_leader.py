"""A leader that stops between deciding and sending, is overtaken and woken: what it sends then changes nothing."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.commands import BeginEpoch, LeaseJobs
from app.domain.errors import ErrorCode
from tests.integration.scheduler.stage import Stage, eventually, nodes
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack

JOBS = 30


@pytest.fixture
def stage(fresh_kafka: KafkaBroker, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(fresh_kafka.bootstrap, tmp_path)
    yield made
    made.close()


def test_commands_of_a_leader_that_was_overtaken_while_it_stood_still_are_all_refused(stage: Stage) -> None:
    log = stage.log
    agent = stage.agent()
    partitions = {log.queue(name) for name in ("a", "b", "c", "d")}
    log.nodes("c0", nodes(10))
    eventually(agent.ready)
    stale = stage.scheduler("stale", fault_stop_before_send=True)
    eventually(stale.leads)
    ids = [job for name in ("a", "b", "c", "d") for job in log.submit(name, JOBS // 3)]
    eventually(stale.stopped)
    assert not any(isinstance(command, LeaseJobs) for _, _, command in log.commands()), "stopped before sending"

    fresh = stage.scheduler("fresh")
    eventually(fresh.leads)
    eventually(lambda: len(log.leases()) == len(ids))
    stale.send_signal(signal.SIGCONT)
    eventually(lambda: "steps down" in stale.text() or "no longer owns" in stale.text())
    eventually(lambda: any(epoch == 0 for epoch, _, _ in leases_by_epoch(stage)))
    last = {p: max(offset for _, q, offset in leases_by_epoch(stage) if q == p) for _, p, _ in leases_by_epoch(stage)}
    eventually(lambda: all(any(p == q and r.offset >= o for q, r in log.events()) for p, o in last.items()))

    epochs = {command.leader: command.epoch for _, _, command in log.commands() if isinstance(command, BeginEpoch)}
    assert epochs == {"stale": 0, "fresh": 1}
    sent = {(p, offset) for epoch, p, offset in leases_by_epoch(stage) if epoch == 0}
    assert sent
    assert {p for p, _ in sent} <= partitions
    decided = {(p, record.offset): record for p, record in log.events() if (p, record.offset) in sent}
    assert decided.keys() == sent
    for record in decided.values():
        assert record.outcome is not None
        assert [refusal.code for refusal in record.outcome.refusals] == [ErrorCode.CONFLICT]
        assert record.outcome.refusals[0].path == "epoch"
        assert (record.count, record.leases, record.blocks) == (0, (), ())
    assert Counter(lease.job_id for lease in log.leases()) == Counter(ids)
    assert not stale.leads()
    assert fresh.leads()


def leases_by_epoch(stage: Stage) -> list[tuple[int, int, int]]:
    """(epoch, partition, offset) of every LeaseJobs command in the log."""
    return [
        (command.epoch, partition, offset)
        for partition, offset, command in stage.log.commands()
        if isinstance(command, LeaseJobs)
    ]
