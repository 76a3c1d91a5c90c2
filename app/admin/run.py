"""`argosy-admin run <component>`: one component in the foreground, until SIGTERM or SIGINT."""

import logging
import os
import sys
import time
from typing import Annotated

import typer

from app.admin.components import COMPONENTS, run_component
from app.admin.errors import AdminError
from app.admin.invocation import settings_of

CHATTY = ("aiokafka", "alembic", "faust", "httpx", "mode", "uvicorn.access")
"""libraries that say at INFO what only their own developers ask"""
LOG_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

app = typer.Typer()


@app.command()
def run(
    context: typer.Context,
    component: Annotated[str, typer.Argument(help=f"One of: {', '.join(COMPONENTS)}.")],
    app_name: Annotated[str, typer.Option("--app", help="For views: the app, a group of views.")] = "",
    cluster: Annotated[str, typer.Option(help="For executor: the cluster, a key of clusters in the settings.")] = "",
) -> None:
    """Run one component in the foreground."""
    known = COMPONENTS.get(component)
    if known is None:
        raise AdminError(f"there is no component {component!r}; there are {', '.join(COMPONENTS)}")
    given = {"app": app_name, "cluster": cluster, "": ""}
    argument = given[known.argument]
    if known.argument and not argument:
        raise AdminError(f"run {component} needs --{known.argument}")
    if any(value for name, value in given.items() if name != known.argument):
        raise AdminError(f"run {component} takes {f'only --{known.argument}' if known.argument else 'no option'}")
    settings = settings_of(context)
    configure_logging()
    run_component(component, settings, argument)


def configure_logging() -> None:
    """Lines of text on standard error, in UTC. ARGOSY_LOG_LEVEL is one of LEVELS. Raises AdminError for another."""
    level = os.environ.get("ARGOSY_LOG_LEVEL", "INFO").upper()
    if level not in LEVELS:
        raise AdminError(f"ARGOSY_LOG_LEVEL must be one of {', '.join(LEVELS)}")
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=level, format=LOG_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S", stream=sys.stderr, force=True)
    if level == "INFO":
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
