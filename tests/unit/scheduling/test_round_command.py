"""`argosy-admin round run`: files, streams and errors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.admin.round import app
from tests.unit.scheduling.cases import document, job, node

ROUND = json.dumps(document([node("n")], [job("j")]))
COMMAND = [sys.executable, "-c", "from app.admin.round import app; app()"]


def run(*arguments: str, text: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["run", *arguments], input=text)
    return result.exit_code, result.stdout, result.stderr


def test_a_file_is_answered_with_decisions(tmp_path: Path) -> None:
    (tmp_path / "round.json").write_text(json.dumps(json.loads(ROUND), indent=2))
    code, out, _ = run(str(tmp_path / "round.json"))
    assert code == 0
    assert json.loads(out)["scheduled"][0]["node"] == "n"


def test_decisions_go_to_the_output_file(tmp_path: Path) -> None:
    (tmp_path / "round.json").write_text(ROUND)
    code, out, _ = run(str(tmp_path / "round.json"), "--output", str(tmp_path / "decisions.json"))
    assert (code, out) == (0, "")
    assert json.loads((tmp_path / "decisions.json").read_text())["format"] == "argosy-decisions/1"


@pytest.mark.parametrize("text", ["", "{", '{"format": "argosy-round/1", "jobs": [{"id": 5}]}'])
def test_a_bad_file_is_one_line_with_the_path_of_the_field(tmp_path: Path, text: str) -> None:
    (tmp_path / "round.json").write_text(text)
    code, out, error = run(str(tmp_path / "round.json"))
    assert (code, out) == (1, "")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert "jobs" not in text or "jobs[0].id" in error


def test_a_missing_file_and_a_folder_are_one_line_each(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.json", tmp_path):
        code, _, error = run(str(path))
        assert code == 2
        assert str(path) in error
        assert error.count("\n") == 1


def test_a_stream_is_answered_line_by_line_and_a_bad_line_by_its_error() -> None:
    code, out, error = run("-", text=f'{ROUND}\n\n{{"format": "x"}}\n{ROUND}\n')
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [answer.get("format") for answer in answers] == ["argosy-decisions/1", None, "argosy-decisions/1"]
    assert answers[1] == {"error": {"path": "format", "message": "must be 'argosy-round/1', not 'x'"}}
    assert "line 3" in error


def test_each_line_is_answered_before_the_next_one_is_sent() -> None:
    with subprocess.Popen([*COMMAND, "run", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3):
            process.stdin.write(ROUND.encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["format"] == "argosy-decisions/1"
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_a_reader_that_goes_away_ends_the_command_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "rounds").write_text((ROUND + "\n") * 5000)
    with (tmp_path / "rounds").open() as rounds:
        process = subprocess.Popen([*COMMAND, "run", "-"], stdin=rounds, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    assert process.wait(timeout=30) != 0
    process.stderr.close()
