"""`argosy-admin demo-driver`: the process that `demo` starts last; it hands over to app.admin.demo."""

from pathlib import Path

import typer

from app.admin.demo import run_demo
from app.admin.endpoints import Endpoints
from app.admin.invocation import invocation_of, settings_of
from app.admin.run import configure_logging

app = typer.Typer()


@app.command()
def demo_driver(context: typer.Context, api_url: str, bootstrap: str, state_dir: Path) -> None:
    """Run the demo's workload against a running stack."""
    settings_file = invocation_of(context).settings_path
    assert settings_file is not None, "the supervisor names it"
    endpoints = Endpoints(api_url=api_url, bootstrap=bootstrap, settings_file=settings_file, state_dir=state_dir)
    configure_logging()
    try:
        run_demo(settings_of(context), endpoints)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
