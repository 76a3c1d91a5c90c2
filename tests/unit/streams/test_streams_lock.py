"""One process per data directory."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.streams.lock import DirectoryInUseError, DirectoryLock


def test_a_second_lock_on_a_directory_is_refused_until_the_first_is_released(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path / "data")
    with pytest.raises(DirectoryInUseError, match="in use by another process"):
        DirectoryLock(tmp_path / "data")
    first.release()
    DirectoryLock(tmp_path / "data").release()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os; from pathlib import Path; from app.streams.lock import DirectoryLock\n"
        f"DirectoryLock(Path({str(tmp_path)!r})); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    DirectoryLock(tmp_path).release()
