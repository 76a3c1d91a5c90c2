"""Leaving: the code says why, nothing is cleaned up, the log line is out."""

import subprocess
import sys

from app.streams.exits import Exit


def test_leaving_ends_the_process_at_once_with_the_code_and_the_reason() -> None:
    code = (
        "import logging; logging.basicConfig(); from app.streams.exits import Exit, leave\n"
        "try: leave(Exit.HOLE, 'offset 7 where 5 was due')\n"
        "finally: print('cleaned up')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == Exit.HOLE.value == 72
    assert "HOLE" in done.stderr
    assert "offset 7 where 5 was due" in done.stderr
    assert done.stdout == ""


def test_codes_are_those_that_supervisors_know() -> None:
    assert {exit.name: exit.value for exit in Exit} == {
        "FAILED": 70,
        "OUTLIVED": 71,
        "HOLE": 72,
        "UNCOMMITTED": 73,
        "LOCKED": 74,
        "REFUSED": 75,
    }
