"""Scheduler processes on real Kafka with a real queue agent: leading, being killed, being paused, starting with many
jobs."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.commands import BeginEpoch, LeaseJobs, Settings
from app.domain.rounds import RoundRecord
from app.domain.rows import PositionRow
from app.streams.exits import Exit
from benchmarks.scheduler_million import write_jobs, write_shapes_and_nodes
from tests.integration.scheduler.stage import Stage, eventually, nodes
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack


@pytest.fixture
def stage(fresh_kafka: KafkaBroker, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(fresh_kafka.bootstrap, tmp_path)
    yield made
    made.close()


def test_jobs_are_leased_once_while_leaders_are_killed(stage: Stage) -> None:
    log = stage.log
    agent = stage.agent()
    first = stage.scheduler("first", max_attempts=3)
    log.nodes("c0", nodes(4))
    log.nodes("c1", nodes(4))
    for name in ("a", "b"):
        log.queue(name)
    ids = [*log.submit("a", 20), *log.submit("b", 20)]
    eventually(lambda: agent.ready() and first.leads())
    eventually(lambda: len(log.leases()) == 40)
    second = stage.scheduler("second", max_attempts=3)
    eventually(lambda: "stands by" in second.text())
    assert not second.leads()
    first.kill()
    ids += log.submit("a", 20)
    eventually(second.leads)
    eventually(lambda: len(log.leases()) == 60)
    leases = log.leases()
    assert Counter(lease.job_id for lease in leases) == Counter(ids)
    per_node = Counter((lease.cluster, lease.node) for lease in leases)
    assert max(per_node.values()) <= 8
    rounds = [record for record in log.rounds() if isinstance(record, RoundRecord)]
    assert sum(len(record.placed) for record in rounds) == 60
    assert {record.epoch for record in rounds} == {0, 1}
    assert {record.round_id for record in rounds if record.placed} == {
        command.round_id for _, _, command in log.commands() if isinstance(command, LeaseJobs)
    }
    settings = [(p, command.version) for p, _, command in log.commands() if isinstance(command, Settings)]
    assert sorted(settings) == [(0, 1), (1, 1)]


def test_an_orderly_end_hands_over_at_once(stage: Stage) -> None:
    stage.agent()
    first = stage.scheduler("first", leader_session_timeout_s=120)
    eventually(first.leads)
    second = stage.scheduler("second", leader_session_timeout_s=120)
    eventually(lambda: "stands by" in second.text())
    first.send_signal(signal.SIGTERM)
    assert eventually(second.leads) < 60, "nobody waited for the session to end"
    assert first.popen.wait(10) == 0
    epochs = [command.epoch for _, _, command in stage.log.commands() if isinstance(command, BeginEpoch)]
    assert sorted(epochs) == [0, 0, 1, 1]


def test_a_full_node_waits_for_room_and_a_new_node_gives_it(stage: Stage) -> None:
    log = stage.log
    stage.agent()
    leader = stage.scheduler("first")
    log.queue("a")
    log.nodes("c0", nodes(1, cpu="3"))
    log.submit("a", 10)
    eventually(lambda: len(log.leases()) == 3)
    blocked = [record.blocked for record in log.rounds() if record.blocked]
    assert blocked[-1][0].jobs == 7
    assert [reason.reason for reason in blocked[-1][0].nodes] == ["insufficient cpu"]
    log.nodes("c1", nodes(1, cpu="5"))
    eventually(lambda: len(log.leases()) == 8)
    assert leader.ready()


def test_leases_that_nobody_has_decided_are_assumed_by_the_next_leader(stage: Stage) -> None:
    log = stage.log
    agent = stage.agent()
    log.queue("a")
    ids = log.submit("a", 6)
    first = stage.scheduler("first")
    eventually(lambda: first.leads() and first.figure('argosy_scheduler_jobs{state="queued"}') == 6)
    agent.kill()
    log.nodes("c0", nodes(1, cpu="4"))
    eventually(lambda: leased_in(stage) == 4)
    first.kill()
    second = stage.scheduler("second")
    eventually(second.leads)
    assert "4 leases of earlier leaders are undecided" in second.text()
    log.nodes("c0", nodes(1, cpu="5"))
    eventually(lambda: leased_in(stage) == 5)
    stage.agent()
    log.nodes("c0", nodes(1, cpu="20"))
    eventually(lambda: len(log.leases()) == 6)
    assert Counter(lease.job_id for lease in log.leases()) == Counter(ids)
    assert leased_in(stage) == 6


def leased_in(stage: Stage) -> int:
    """Leases that leaders have sent, decided or not."""
    return sum(len(command.leases) for _, _, command in stage.log.commands() if isinstance(command, LeaseJobs))


def test_a_leadership_topic_that_was_created_anew_is_refused_with_the_repair(stage: Stage) -> None:
    stage.log.position(0, PositionRow(offset=-1, epoch=1, log_time_ms=0, settings_version=0))
    refused = stage.scheduler("first")
    assert refused.popen.wait(60) == Exit.REFUSED
    assert "gave epoch 0, but partitions have seen epoch 1" in refused.text()
    assert "Repair: write records to argosy.leadership until its end is above 1" in refused.text()
    assert stage.log.commands() == []
    again = stage.scheduler("again")
    assert again.popen.wait(60) == Exit.REFUSED
    third = stage.scheduler("third")
    eventually(third.leads)
    assert third.figure("argosy_scheduler_epoch") == 2


def test_a_start_with_many_jobs_reads_them_all_before_it_leads(fresh_kafka: KafkaBroker, tmp_path: Path) -> None:
    stage = Stage(fresh_kafka.bootstrap, tmp_path, partitions=12)
    try:
        write_shapes_and_nodes(stage.log.bootstrap)
        write_jobs(stage.log.bootstrap, 60_000, 12)
        leader = stage.scheduler("first")
        eventually(lambda: any(isinstance(record, RoundRecord) for record in stage.log.rounds()), 60)
        (first, *_) = stage.log.rounds()
        assert first.queued == 60_000
        assert first.nodes == 3_000
        assert 0 < len(first.placed) == leased_in(stage)
        assert leader.ready()
    finally:
        stage.close()


def test_a_new_leader_goes_on_with_the_tokens_that_the_old_one_left(stage: Stage) -> None:
    log = stage.log
    stage.agent()
    limiter = {"default": {"limiter": {"tokens_per_s": 0.001, "burst_tokens": 5}}}
    first = stage.scheduler("first", pools=limiter)
    log.queue("a")
    log.nodes("c0", nodes(1, cpu="20"))
    log.submit("a", 12)
    eventually(lambda: len(log.leases()) == 5)
    eventually(lambda: any(record.queued == 7 for record in log.rounds()))
    first.kill()
    stage.scheduler("second", pools=limiter)
    eventually(lambda: any(record.epoch == 1 for record in log.rounds()))
    record = next(record for record in log.rounds() if record.epoch == 1)
    assert record.limiter_tokens < 1
    assert [(blocked.reason, blocked.jobs) for blocked in record.blocked] == [("rateLimit", 7)]
    assert leased_in(stage) == 5
