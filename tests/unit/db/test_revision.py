"""The revision that processes check for is the newest one that `migrate` brings."""

import subprocess
import sys

from app.db.migrations import newest_revision
from app.db.revision import NEWEST


def test_processes_check_for_the_newest_migration() -> None:
    assert newest_revision() == NEWEST


def test_a_view_process_does_not_load_what_migrates() -> None:
    program = "import sys, app.views.main; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"
