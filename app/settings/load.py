"""Reading the settings: defaults < YAML file < environment.

A variable `ARGOSY_KAFKA__BOOTSTRAP` sets `kafka.bootstrap`; values of several parts are JSON. Variables of the prefix
without `__` (ARGOSY_SETTINGS, ARGOSY_TOKEN of the client, ...) are no settings. Errors name the key by its path.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError as SourceError

from app.settings.errors import SettingsError
from app.settings.tree import Settings

PREFIX = "ARGOSY_"
NESTING = "__"
JSON_BEGINNINGS = ("[", "{")
FILE_BYTES_MAX = 4 * 1024 * 1024
ERRORS_NAMED_MAX = 5


def load_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings of `path` (None: defaults) and of `environment` (usually os.environ), which wins.

    Raises SettingsError, one line, with the path of every wrong key.
    """
    from_file = _read_file(path) if path is not None else {}
    from_environment = _read_environment(environment)
    try:
        return Settings(**_merged(from_file, from_environment))  # type: ignore[arg-type]
    except ValidationError as error:
        raise _as_settings_error(error, path) from None


def _read_file(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise SettingsError(f"settings file {path}: larger than {FILE_BYTES_MAX} bytes")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"settings file {path}: not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise SettingsError(f"settings file {path}, line {line}: {error.problem or 'not YAML'}") from None
    except yaml.YAMLError:
        raise SettingsError(f"settings file {path}: not YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingsError(f"settings file {path}: must hold named sections, as `kafka:`")
    return content


class _EnvironmentSource(EnvSettingsSource):
    """The environment handed in instead of the process's own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {name.lower(): value for name, value in environment.items()}
        super().__init__(Settings, case_sensitive=False, env_prefix=PREFIX, env_nested_delimiter=NESTING)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._environment


def _read_environment(environment: Mapping[str, str]) -> dict[str, object]:
    ours = {name: value for name, value in environment.items() if name.startswith(PREFIX) and NESTING in name}
    for name in ours:
        section = name.removeprefix(PREFIX).split(NESTING)[0].lower()
        if section not in Settings.model_fields:
            raise SettingsError(f"environment {name}: there is no section {section!r}", paths=(section,))
        if ours[name].lstrip().startswith(JSON_BEGINNINGS):
            try:
                json.loads(ours[name])
            except ValueError:
                raise SettingsError(f"environment {name}: not JSON", paths=(_path_of(name),)) from None
    try:
        return {key: _decoded(value) for key, value in _EnvironmentSource(ours)().items()}
    except SourceError as error:
        raise SettingsError(f"environment: {_first_line(str(error))}") from None


def _path_of(name: str) -> str:
    return name.removeprefix(PREFIX).replace(NESTING, ".").lower()


def _decoded(value: object) -> object:
    """The source decodes JSON only where a field's type is a plain model; below an optional one it leaves the text."""
    if isinstance(value, dict):
        return {key: _decoded(inner) for key, inner in value.items()}
    if isinstance(value, str) and value.lstrip().startswith(JSON_BEGINNINGS):
        return json.loads(value)
    return value


def _merged(lower: Mapping[str, object], upper: Mapping[str, object]) -> dict[str, object]:
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _as_settings_error(error: ValidationError, path: Path | None) -> SettingsError:
    found: list[tuple[str, str]] = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(part) for part in item["loc"])
        text = item["msg"].removeprefix("Value error, ")
        found.append((place, "unknown key" if item["type"] == "extra_forbidden" else text))
    named = "; ".join(f"{place}: {text}" if place else text for place, text in found[:ERRORS_NAMED_MAX])
    more = f"; and {len(found) - ERRORS_NAMED_MAX} more" if len(found) > ERRORS_NAMED_MAX else ""
    origin = f"settings ({path} and environment)" if path else "settings (environment)"
    return SettingsError(f"{origin}: {_first_line(named)}{more}", paths=tuple(place for place, _text in found))


def _first_line(text: str) -> str:
    return " ".join(text.split())
