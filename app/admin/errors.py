"""Errors of the operator's tools: what is wrong and what to do, each one line, never a stack trace.

The command line prints `str(error)` and exits with `exit_code`.
"""


class AdminError(Exception):
    """Something an operator can mend. The message says what is wrong and what to do."""

    exit_code = 1


class ToolMissingError(AdminError):
    """A program that the local stack needs (Java, Maven, the Postgres binaries) is not there or too old."""

    exit_code = 3


class PortTakenError(AdminError):
    """A configured port is in use by a process that is not ours."""

    exit_code = 4


class NotReadyError(AdminError):
    """A process started but did not become ready before its deadline; the message names its log."""

    exit_code = 5


class AlreadyRunningError(AdminError):
    """A stack of this state directory is running already."""

    exit_code = 6
