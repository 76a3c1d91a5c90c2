"""Leaders that stand still while the compiled core decides a full round, and leaders that are killed in a burst of
gangs."""

import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.commands import BeginEpoch, Gang, LeaseJobs
from app.domain.errors import ErrorCode
from app.domain.events import LeaseData
from app.domain.rounds import RoundRecord
from app.domain.routing import partition_of_name
from app.scheduling.schedule import compile_kernels
from benchmarks.scheduler_million import CALL_JOBS, SHAPE_COUNT, shapes, write_jobs, write_shapes_and_nodes
from tests.integration.scheduler.stage import Stage, eventually, nodes
from tests.stack.server import KafkaBroker
from tests.unit.scheduler.partition import submit_command

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

WAITING = 100_000
NODE = {"cpu": 32_000, "memory": 256 << 30}
PREPARED = 'argosy_scheduler_prepare_seconds_count{pool="default"}'
GANGS, MEMBERS, GANG_INTERVAL_S = 160, 25, 0.1
CORES = 4_000


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """The kernels are kept from here on, so that the processes have them at once."""
    compile_kernels()


@pytest.fixture
def stage(fresh_kafka: KafkaBroker, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(fresh_kafka.bootstrap, tmp_path, partitions=4)
    yield made
    made.close()


def sent_by(stage: Stage, epoch: int) -> dict[tuple[int, int], LeaseJobs]:
    """The LeaseJobs of a leader, by partition and offset."""
    return {
        (partition, offset): command
        for partition, offset, command in stage.log.commands()
        if isinstance(command, LeaseJobs) and command.epoch == epoch
    }


def requests(lease: LeaseData) -> dict[str, int]:
    """What the job of `write_jobs` with this id asks for."""
    call, index = int.from_bytes(lease.job_id[7:14], "big"), int.from_bytes(lease.job_id[14:], "big")
    return dict(shapes()[(call * CALL_JOBS + index) // 20 % SHAPE_COUNT].requests)


def test_a_leader_that_stands_still_while_a_full_round_is_decided_does_no_harm(stage: Stage) -> None:
    log = stage.log
    write_shapes_and_nodes(log.bootstrap)
    write_jobs(log.bootstrap, WAITING, log.partitions)
    agent = stage.agent()
    eventually(agent.ready)
    settings: dict[str, Any] = {"unacknowledged_runs_max": 1_000_000, "submit_check": {"enabled": False}}
    stale = stage.scheduler("stale", **settings)
    # The round is laid out and the core decides: more than 10,000 placements.
    eventually(lambda: stale.figure(PREPARED) >= 1)
    stale.send_signal(signal.SIGSTOP)
    eventually(stale.stopped)
    assert sent_by(stage, 0) == {}, "nothing was decided yet"
    fresh = stage.scheduler("fresh", **settings)
    eventually(lambda: len(sent_by(stage, 1)) > 0)
    stale.send_signal(signal.SIGCONT)
    eventually(lambda: "steps down" in stale.text() or "no longer owns" in stale.text())
    # It may still send what the round decided; more often it learns before that it leads no more.
    late = sent_by(stage, 0)
    eventually(lambda: late.keys() <= {(p, record.offset) for p, record in log.events()})
    decided = {(p, record.offset): record for p, record in log.events()}
    for place in late:
        outcome = decided[place].outcome
        assert outcome is not None
        assert [refusal.code for refusal in outcome.refusals] == [ErrorCode.CONFLICT]
        assert decided[place].leases == ()
    assert fresh.leads()
    assert not stale.leads()
    fresh.kill()
    eventually(stale.leads)
    log.nodes("delta", nodes(1, cpu="32"))
    eventually(lambda: len(sent_by(stage, 2)) > 0)
    eventually(lambda: any(lease.cluster == "delta" for lease in log.leases()))
    leases = log.leases()
    assert len(leases) > 10_000
    assert max(Counter(lease.job_id for lease in leases).values()) == 1
    used: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for lease in leases:
        used[lease.cluster, lease.node].update(requests(lease))
    assert all(amounts[name] <= most for amounts in used.values() for name, most in NODE.items())


class Burst:
    """Gangs that come one after the other, from a thread of its own."""

    def __init__(self, stage: Stage) -> None:
        self.gangs: dict[str, list[bytes]] = {}
        self._log = stage.log
        self._thread = threading.Thread(target=self._submit)
        self._thread.start()

    def close(self) -> None:
        self._thread.join()

    def _submit(self) -> None:
        begin_s = time.monotonic()
        for number in range(GANGS):
            time.sleep(max(0.0, begin_s + number * GANG_INTERVAL_S - time.monotonic()))
            queue = "ab"[number % 2]
            ids, gang = self._log.new_ids(queue, MEMBERS), f"g{number}"
            command = submit_command(ids, queue, gang=Gang(gang_id=gang, cardinality=MEMBERS))
            self._log.command(partition_of_name(queue, self._log.partitions), command)
            self.gangs[gang] = ids


def test_gangs_are_leased_whole_and_once_though_leaders_are_killed_in_a_burst_of_them(stage: Stage) -> None:
    log = stage.log
    agent = stage.agent()
    first = stage.scheduler("first")
    for name in ("a", "b"):
        log.queue(name)
    log.nodes("c0", nodes(CORES // 40, cpu="40"))
    eventually(lambda: agent.ready() and first.leads())
    standby = [stage.scheduler(name) for name in ("second", "third")]
    eventually(lambda: all("stands by" in each.text() for each in standby))
    burst = Burst(stage)
    try:
        eventually(lambda: len(log.leases()) > 10 * MEMBERS)
        first.kill()
        eventually(lambda: any(each.leads() for each in standby))
        second = next(each for each in standby if each.leads())
        eventually(lambda: len(sent_by(stage, 1)) > 0)
        second.kill()
    finally:
        burst.close()
    eventually(lambda: len(log.leases()) == GANGS * MEMBERS)
    of = {job: name for name, ids in burst.gangs.items() for job in ids}
    leases = log.leases()
    assert Counter(lease.job_id for lease in leases) == Counter(list(of))
    per_node = Counter(lease.node for lease in leases)
    assert max(per_node.values()) <= 40
    for _, record in log.events():
        members = Counter(of[lease.job_id] for lease in record.leases)
        assert set(members.values()) <= {MEMBERS}, "a record decides whole gangs"
    for _, _, command in log.commands():
        if isinstance(command, LeaseJobs):
            assert set(Counter(of[lease.job_id] for lease in command.leases).values()) <= {MEMBERS}
    epochs = {command.epoch for _, _, command in log.commands() if isinstance(command, BeginEpoch)}
    assert epochs == {0, 1, 2}
    placed = [each.job_id for record in log.rounds() if isinstance(record, RoundRecord) for each in record.placed]
    assert set(placed) <= set(of)
