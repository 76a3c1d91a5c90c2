"""The settings: one frozen tree for all components, read once at start from a YAML file and the environment.

`load_settings(path, environment) -> Settings`. Every field has a unit in its name, a default, bounds and a text below
it; an unknown key is an error. Does not read anything after the start, does not know who uses a setting, and holds no
secret but the database's URL (tokens stand here as SHA-256).
"""

from app.settings.errors import SettingsError
from app.settings.load import load_settings
from app.settings.tree import Settings

__all__ = ["Settings", "SettingsError", "load_settings"]
