"""Finding views: every module of agents.views, and what other distributions offer as entry points `argosy.views`.

Strict: a module that does not import, or that offers no View, stops whoever asked; nothing is skipped.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from importlib.metadata import entry_points
from types import ModuleType

from app.views.view import View

OURS = "agents.views"
GROUP = "argosy.views"


class ViewsNotFound(Exception):
    """a view cannot be loaded, or two views have one name"""


def find_views() -> tuple[View, ...]:
    """All views, in order of their names. Raises ViewsNotFound."""
    found: dict[str, View] = {}
    for origin, view in [*_ours(), *_foreign()]:
        if view.name in found and found[view.name] is not view:
            raise ViewsNotFound(f"{origin}: there is a view {view.name!r} already")
        found[view.name] = view
    return tuple(found[name] for name in sorted(found))


def views_of(app: str) -> tuple[View, ...]:
    """The views of one app. Raises ViewsNotFound when there is none."""
    views = find_views()
    mine = tuple(view for view in views if view.app_name == app)
    if not mine:
        apps = ", ".join(sorted({view.app_name for view in views}))
        raise ViewsNotFound(f"there is no view of app {app!r}; there are: {apps}")
    return mine


def _ours() -> Sequence[tuple[str, View]]:
    package = _import(OURS)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return [(name, _view(f"{OURS}.{name}", getattr(_import(f"{OURS}.{name}"), "VIEW", None))) for name in names]


def _foreign() -> Sequence[tuple[str, View]]:
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            value = point.load()
        except Exception as error:
            raise ViewsNotFound(f"entry point {point.value}: {type(error).__name__}: {error}") from error
        found.append((point.value, _view(point.value, value)))
    return found


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ViewsNotFound(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def _view(origin: str, value: object) -> View:
    if not isinstance(value, View):
        raise ViewsNotFound(f"{origin}: it must offer a View, not {type(value).__name__}")
    return value
