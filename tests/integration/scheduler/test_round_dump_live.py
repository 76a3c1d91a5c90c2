"""`argosy-admin round dump` from a live leader: the file decides as the leader's next round does; what has no round is
said in one line."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.admin.processes import free_port
from app.domain.commands import PreemptReason, ReportState
from app.domain.ids import format_id
from app.domain.rounds import RoundRecord
from app.pods.shape import Shape
from app.scheduling.decisions import PreemptionReason
from tests.integration.scheduler.stage import Process, Stage, eventually, nodes
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack

SETTINGS: dict[str, Any] = {
    "round_interval_ms": 10_000,
    "submit_check": {"enabled": False},
    "priority_classes": {
        "argosy-default": {"priority": 1000, "preemptible": False},
        "low": {"priority": 100, "preemptible": True},
    },
}
LOW, SMALL, HIGH, HUGE = (
    Shape(priority_class=name, requests=(("cpu", cpu), ("memory", 1 << 30)))
    for name, cpu in (("low", 2000), ("argosy-default", 500), ("argosy-default", 3000), ("argosy-default", 64_000))
)


@pytest.fixture
def stage(fresh_kafka: KafkaBroker, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(fresh_kafka.bootstrap, tmp_path)
    yield made
    made.close()


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.admin.main", "round", *words], capture_output=True, text=True, timeout=90
    )


def dump(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return command("dump", "--url", url, *words)


def url_of(process: Process) -> str:
    return f"http://127.0.0.1:{process.port}"


def records(stage: Stage) -> list[RoundRecord]:
    return [record for record in stage.log.rounds() if isinstance(record, RoundRecord)]


def told(decisions: dict[str, Any]) -> dict[str, Any]:
    """What was decided, from a decisions file."""
    return {
        "placed": {(s["job"], s["node"], s["scheduledAtPriority"], s["method"]) for s in decisions["scheduled"]},
        "preempted": {(p["job"], p["node"], p["reason"], p["by"]) for p in decisions["preempted"]},
        "blocked": Counter(each["reason"] for each in decisions["unschedulable"]),
        "shares": {
            q["name"]: (q["fairShare"], q["cappedShare"], q["demandShare"], q["actualShareAfter"])
            for q in decisions["queues"]
        },
    }


def recorded(record: RoundRecord) -> dict[str, Any]:
    """The same from the record of the leader's round."""
    blocked: Counter[str] = Counter()
    for each in record.blocked:
        blocked[each.reason] += each.jobs
    return {
        "placed": {
            (format_id(p.job_id), f"{p.cluster}/{p.node}", p.scheduled_at_priority, p.method) for p in record.placed
        },
        "preempted": {
            (format_id(p.job_id), p.node, PreemptionReason[p.reason].text, p.by and format_id(p.by))
            for p in record.preempted
        },
        "blocked": blocked,
        "shares": {
            q.queue: (q.fair_share, q.capped_share, q.demand_share, q.actual_share_after) for q in record.shares
        },
    }


def test_the_dumped_round_decides_as_the_leaders_next_round_does(stage: Stage, tmp_path: Path) -> None:
    log = stage.log
    stage.agent()
    for each in (LOW, SMALL, HIGH, HUGE):
        log.add_shape(each)
    for name in ("a", "b"):
        log.queue(name)
    log.begin_instance("c0")
    log.nodes("c0", nodes(3, cpu="4"))
    low = log.submit("a", 6, LOW, preemptible=True)
    leader = stage.scheduler("leader", **SETTINGS)
    eventually(lambda: {lease.job_id for lease in log.leases()} == set(low))
    for lease in log.leases():
        log.report(lease, ReportState.RUNNING)
    eventually(lambda: leader.figure('argosy_scheduler_jobs{state="running"}') == 6)
    # A round with a record; none follows for ten seconds.
    log.submit("a", 1, HUGE)
    eventually(lambda: any(record.queued == 1 and record.running == 6 for record in records(stage)))
    before = len(records(stage))
    high, small = log.submit("b", 2, HIGH), log.submit("b", 5, SMALL)
    log.submit("b", 3, HUGE)
    files = tmp_path / "round.json", tmp_path / "round"

    def whole() -> bool:
        answer = dump(url_of(leader), "--output", str(files[0]))
        assert (answer.returncode, answer.stderr) == (0, "")
        return len(json.loads(files[0].read_text())["jobs"]) == 6 + 1 + 2 + 5 + 3

    eventually(whole)
    answer = dump(url_of(leader), "--binary", "--output", str(files[1]))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert len(records(stage)) == before, "both were taken before the next round"
    eventually(lambda: len(records(stage)) > before)
    live = records(stage)[before]
    assert (live.queued, live.running) == (11, 6)
    runs = [command("run", str(file)) for file in files]
    assert [(run.returncode, run.stderr) for run in runs] == [(0, ""), (0, "")]
    first, second = (told(json.loads(run.stdout)) for run in runs)
    assert first == second
    assert first == recorded(live)
    assert {job for job, *_ in first["placed"]} <= {format_id(job) for job in (*high, *small)}
    assert {reason for *_, reason, _ in first["preempted"]} <= {PreemptionReason[each].text for each in PreemptReason}
    assert first["placed"], "there was something to decide"
    assert first["preempted"], "there was something to decide"
    assert first["blocked"]["noNodeFits"] >= 4


def test_what_has_no_round_is_said_in_one_line(stage: Stage, tmp_path: Path) -> None:
    leader = stage.scheduler("leader")
    eventually(leader.leads)
    standby = stage.scheduler("standby")
    eventually(lambda: "stands by" in standby.text())
    nobody = f"http://127.0.0.1:{free_port()}"
    nowhere = str(tmp_path / "missing" / "round.json")
    for words, said in (
        ((url_of(standby),), f"{url_of(standby)} does not lead"),
        ((nobody,), f"{nobody}: Connection refused"),
        ((url_of(leader), "--pool", "gpu"), "no pool 'gpu'; pools: default"),
        ((f"http://127.0.0.1:{stage.log.bootstrap.rpartition(':')[2]}",), "http://127.0.0.1:"),
        ((url_of(leader), "--output", nowhere), f"{nowhere}: No such file or directory"),
    ):
        answer = dump(*words)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr.startswith(f"round dump: {said}")
        assert answer.stderr.count("\n") == 1, answer.stderr
    leader.kill()
    answer = dump(url_of(leader))
    assert answer.stderr == f"round dump: {url_of(leader)}: Connection refused\n"
    eventually(standby.leads)
    assert dump(url_of(standby)).returncode == 0, "an empty round is one, too"
