"""The components of Argosy and where each begins. `argosy-admin run <component>` imports only the one it runs.

A component's function takes the settings, and a second argument where one is named here: which app, which cluster.
It returns when it is told to stop by SIGTERM or SIGINT, or ends the process with a code of app.streams.exits. It may be
a coroutine function.
"""

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """`function`: "module:name". `argument`: what the second argument is, "" when there is none."""

    function: str
    argument: str = ""


COMPONENTS = {
    "queue-agent": Component(function="app.streams.worker:run_queue_agent"),
    "views": Component(function="app.views.main:run", argument="app"),
    "api": Component(function="app.api.main:run"),
    "scheduler": Component(function="app.scheduler.main:run"),
    "executor": Component(function="app.executor.main:run", argument="cluster"),
}


def run_component(name: str, settings: Settings, argument: str) -> None:
    """Imports and runs the component; returns when it has stopped. KeyError for an unknown name."""
    component = COMPONENTS[name]
    module, _, function = component.function.partition(":")
    start = cast("Callable[..., object]", getattr(importlib.import_module(module), function))
    result = start(settings, argument) if component.argument else start(settings)
    if asyncio.iscoroutine(result):
        asyncio.run(result)
