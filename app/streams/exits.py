"""Why a process left: the closed list of exit codes, and the one way to leave without cleaning up.

A supervisor restarts on every code without a long pause. FAILED again and again means that two processes own one
partition; HOLE and LOCKED need a person.
"""

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn

log = logging.getLogger(__name__)


class Exit(IntEnum):
    """The exit code of a worker; 0 is an orderly stop."""

    FAILED = 70
    """an error outside a command's own (Kafka, disk, a bug), or another process took the partition over"""
    OUTLIVED = 71
    """a step or a restore went on for too long after its partition was taken away"""
    HOLE = 72
    """commands are missing, or carry no broker time: going on would lose what was acknowledged"""
    UNCOMMITTED = 73
    """an agent took commands and did not commit them"""
    LOCKED = 74
    """the data directory is in use by another process"""
    REFUSED = 75
    """the installation is not as it must be (topics, settings, plug-ins); the log line says what to do"""


def leave(code: Exit, why: str, error: BaseException | None = None) -> NoReturn:
    """Fail-stop: no clean-up that could still write, nothing acknowledged; whoever starts the process again recovers
    from the log."""
    log.critical("leaving with exit code %d (%s): %s", code, code.name, why, exc_info=error)
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
