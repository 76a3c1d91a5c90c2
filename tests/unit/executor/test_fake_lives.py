"""What the journals of fake clusters prove, and what they would show if it did not hold."""

from pathlib import Path

import msgspec

from app.executor.fake_cluster.journal import JOURNAL
from app.executor.fake_cluster.lives import check_journals
from app.executor.fake_cluster.records import CreatedLine, JournalLine, NodeLine
from app.executor.fake_cluster.script import ContainerScript, PodScript


def write_journal(directory: Path, *lines: JournalLine) -> Path:
    directory.mkdir()
    nodes = NodeLine(at=0, name="n0", allocatable={"cpu": "4", "pods": "10"})
    (directory / JOURNAL).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in (nodes, *lines)))
    return directory


def a_line(uid: str, job: str, at: int, ends: int, *, run: str = "", cpu: str = "1", refused: str = "") -> CreatedLine:
    return CreatedLine(
        at=at,
        uid=uid,
        namespace="default",
        name=uid,
        node="n0",
        run_id=run or uid,
        job_id=job,
        requests={"cpu": cpu},
        script=PodScript(containers=(ContainerScript(name="main"),)),
        refused=refused,
        starts=at,
        ends=ends,
    )


def test_the_check_finds_what_must_not_be(tmp_path: Path) -> None:
    one = write_journal(
        tmp_path / "c0", a_line("a", "j1", 10, 20), a_line("b", "j2", 10, 0, cpu="3"), a_line("c", "j3", 15, 30)
    )
    two = write_journal(tmp_path / "c1", a_line("d", "j1", 19, 40), a_line("e", "j4", 50, 60, run="b"))
    findings = check_journals([one, two])
    assert len(findings) == 3
    assert any("job j1 was in two pods at once" in finding for finding in findings)
    assert any("run b was created 2 times" in finding for finding in findings)
    assert any("node c0/n0 held 5 of cpu at 15, it has 4" in finding for finding in findings)


def test_the_check_finds_nothing_where_nothing_is(tmp_path: Path) -> None:
    one = write_journal(
        tmp_path / "c0",
        a_line("a", "j1", 10, 20, cpu="4"),
        a_line("b", "j2", 20, 30, cpu="4"),
        a_line("r", "j3", 25, 25, cpu="4", refused="OutOfcpu"),
    )
    two = write_journal(tmp_path / "c1", a_line("d", "j1", 20, 0), a_line("e", "j3", 25, 26))
    assert check_journals([one, two]) == []
