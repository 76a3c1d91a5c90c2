"""`argosy-admin demo`: the stack in the foreground with a workload in it; Ctrl-C stops all and keeps the data."""

import typer

from app.admin.dev import say
from app.admin.invocation import invocation_of
from app.admin.launch import run_stack, settings_for_dev
from app.admin.state import StateDirectory

app = typer.Typer()


@app.command()
def demo(context: typer.Context) -> None:
    """Start everything here and run a mix of jobs in it, until Ctrl-C."""
    settings = settings_for_dev(invocation_of(context).settings_path)
    run_stack(settings, StateDirectory(settings.dev.state_dir), say, demo=True)
