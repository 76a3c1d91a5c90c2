"""One process per data directory: two with the same member id and stores would take the partitions from each other
for ever.

Input: a directory (created). Output: a lock that the operating system drops with the process.
"""

import fcntl
import os
from pathlib import Path


class DirectoryInUseError(RuntimeError):
    """another process holds this data directory"""


class DirectoryLock:
    """Held from construction to `release` or the end of the process. Raises DirectoryInUseError."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise DirectoryInUseError(
                f"{directory} is in use by another process; give each process a data directory of its own"
            ) from None

    def release(self) -> None:
        os.close(self._file)
