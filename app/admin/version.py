"""`argosy-admin version`."""

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

app = typer.Typer()


@app.command()
def print_version() -> None:
    """Print the version of Argosy and of Python."""
    typer.echo(f"argosy {argosy_version()} (Python {platform.python_version()})")


def argosy_version() -> str:
    """As installed; "unknown" for a checkout that is not."""
    try:
        return version("argosy-server")
    except PackageNotFoundError:
        return "unknown"
