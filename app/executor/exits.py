"""Why an executor process left, as its exit code; 0 is an orderly stop. The log line before it says what to do."""

from enum import IntEnum


class ExitCode(IntEnum):
    """75 means the same in every component: a person must look. The others are the executor's own."""

    CONFIGURATION = 75
    """the options are wrong: address, token, fake cluster"""
    REPLACED = 80
    """another instance speaks for this cluster"""
    LOCK_HELD = 81
    """another executor holds this cluster's lock"""
    LOG_CHANGED = 82
    """the installation was set up anew; started again, this process takes its own pods for foreign ones"""
    CLUSTER = 83
    """the cluster cannot be used (its journal is damaged or in use)"""


class ExecutorExit(Exception):
    """The process is to leave with this code; the message is one clear line."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
