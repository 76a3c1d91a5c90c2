"""Which partitions must be told the settings, and under which version.

Rule: versions grow by one with each change of the content, over all partitions; a partition that lags gets the
content of the latest version again. The constants of app.domain are version 0, so a first start with the defaults
sends nothing.
"""

from msgspec.structs import replace

from app.domain.rows import SettingsRow
from app.scheduler.state import State


def settings_due(state: State, wanted: SettingsRow) -> dict[int, SettingsRow]:
    """partition -> settings to send. `wanted`: the content; its version is ignored."""
    known = {partition: state.settings_of(partition) for partition in range(state.partitions)}
    newest = max(known.values(), key=lambda row: row.version)
    version = newest.version if _same(newest, wanted) else newest.version + 1
    row = replace(wanted, version=version)
    return {partition: row for partition, has in known.items() if has.version < version}


def _same(one: SettingsRow, other: SettingsRow) -> bool:
    return replace(one, version=0) == replace(other, version=0)
