"""A directory for the data of a test's servers that the Postgres uid can reach (pytest's own are private)."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stack_directory(name: str) -> Iterator[Path]:
    """A new directory under $TMPDIR, removed at the end; kept when ARGOSY_TEST_KEEP is set."""
    path = Path(tempfile.mkdtemp(prefix=f"argosy-test-{name}-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        if not os.environ.get("ARGOSY_TEST_KEEP"):
            shutil.rmtree(path, ignore_errors=True)
