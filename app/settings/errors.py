"""The one error of the settings room."""


class SettingsError(Exception):
    """The settings are wrong. The message names every wrong key by its path, in one line."""

    def __init__(self, message: str, *, paths: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.paths = paths
        """The wrong keys, as "scheduler.pools.default.lookback"; empty when the file cannot be read at all."""
