"""`argosy-admin demo`: the stack in the foreground with a workload in it; Ctrl-C stops all and keeps the data."""

from typing import Annotated

import typer

from app.admin.dev import KUBE_HELP, say, with_kube
from app.admin.invocation import invocation_of
from app.admin.launch import run_stack, settings_for_dev
from app.admin.state import StateDirectory

app = typer.Typer()


@app.command()
def demo(
    context: typer.Context,
    kube: Annotated[bool, typer.Option("--kube", help=KUBE_HELP)] = False,
) -> None:
    """Start everything here and run a mix of jobs in it, until Ctrl-C."""
    if kube:
        with_kube()
    settings = settings_for_dev(invocation_of(context).settings_path)
    run_stack(settings, StateDirectory(settings.dev.state_dir), say, demo=True)
