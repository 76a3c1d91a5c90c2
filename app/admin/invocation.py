"""What every command of argosy-admin shares: which settings it was called with."""

import os
from dataclasses import dataclass
from pathlib import Path

import typer

from app.settings import Settings, load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """`settings_path` None: no file was named, neither by --settings nor by ARGOSY_SETTINGS."""

    settings_path: Path | None


def invocation_of(context: typer.Context) -> Invocation:
    found = context.find_object(Invocation)
    return found if found is not None else Invocation(settings_path=None)


def settings_of(context: typer.Context) -> Settings:
    """The settings of this call. Raises SettingsError."""
    return load_settings(invocation_of(context).settings_path, os.environ)
