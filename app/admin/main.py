"""`argosy-admin`: the operator's command line. One file here is one command; each is imported only when it is called.

A command's file defines `app`, a typer.Typer. Errors are one line on standard error; ARGOSY_DEBUG=1 shows where an
unexpected one came from.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from app.admin.errors import AdminError
from app.admin.invocation import Invocation
from app.settings import SettingsError

EXIT_UNEXPECTED = 70
# Command → the module that defines its `app`.
COMMANDS = {
    "run": "app.admin.run",
    "dev": "app.admin.dev",
    "demo": "app.admin.demo_command",
    "topics": "app.admin.topics",
    "migrate": "app.admin.migrate",
    "dead-letters": "app.admin.dead_letters",
    "round": "app.admin.round",
    "doctor": "app.admin.doctor",
    "reference": "app.admin.reference",
    "version": "app.admin.version",
    "demo-driver": "app.admin.demo_driver",
}


HIDDEN = ("demo-driver",)


class CommandsByFile(typer.core.TyperGroup):
    """Finds a command in COMMANDS and imports its file then. (Any: Typer's own types of these are private.)"""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in COMMANDS if name not in HIDDEN]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name = cmd_name
        return command


app = typer.Typer(cls=CommandsByFile, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root(
    context: typer.Context,
    settings: Annotated[
        Path | None,
        typer.Option(envvar="ARGOSY_SETTINGS", help="Settings file (YAML); variables ARGOSY_… win over it."),
    ] = None,
) -> None:
    """Operates an Argosy installation: runs its components, its topics and tables, and the stack on one machine."""
    context.obj = Invocation(settings_path=settings)


def main() -> None:
    """Entry point of the command line."""
    try:
        typer.main.get_command(app)(prog_name="argosy-admin")
    except (AdminError, SettingsError) as error:
        _complain(str(error))
        sys.exit(getattr(error, "exit_code", 1))
    except Exception as error:
        if os.environ.get("ARGOSY_DEBUG"):
            raise
        if _is_expected(error):
            _complain(" ".join(str(error).split()))
            sys.exit(1)
        _complain(f"unexpected {type(error).__name__}: {' '.join(str(error).split())} (ARGOSY_DEBUG=1 shows where)")
        sys.exit(EXIT_UNEXPECTED)


def _is_expected(error: Exception) -> bool:
    """Whether it is a typed error of the log or the database, whose text says what to do. Their rooms are imported only
    by commands that use them."""
    rooms = (("app.log.errors", "LogError"), ("app.db.errors", "DatabaseError"))
    return any(name in sys.modules and isinstance(error, getattr(sys.modules[name], kind)) for name, kind in rooms)


def _complain(message: str) -> None:
    print(f"argosy-admin: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
