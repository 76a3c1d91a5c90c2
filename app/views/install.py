"""Installing a view: its tables, indexes and weekly partitions, its row in the registry, and the stable SQL views.

Inputs: a database URL, views. Owner of the tables `<view>_v<version>...`, the SQL views `<view>...` and view_registry.
One process after the other does it.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from app.db.definitions import definitions
from app.db.engine import connect
from app.db.errors import translated
from app.views.view import WEEK_MS, View, Weekly, week_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

WEEKS_AHEAD = 2

# Whether a version of a view is installed.
KNOWN = "SELECT 1 FROM view_registry WHERE view = :view AND version = :version"
REGISTER = """
INSERT INTO view_registry (view, version, app, topic, active)
VALUES (:view, :version, :app, :topic, NOT EXISTS (SELECT 1 FROM view_registry WHERE view = :view AND active))
RETURNING active
"""
# The weekly partitions of a table.
PARTITIONS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.relname = :parent
"""


async def install(url: str, views: Sequence[View], *, indexes: bool = True) -> None:
    """Creates a view that is not there yet, all of it or nothing; its first version is in force at once. What is there
    is not touched: definitions take locks that would make its readers wait. Raises Unavailable, DatabaseError."""
    if await _are_installed(url, views):
        return
    async with definitions(url) as connection:
        for view in views:
            key = {"view": view.name, "version": view.version}
            if (await connection.execute(text(KNOWN), key)).first() is not None:
                continue
            await connection.run_sync(view.metadata.create_all)
            for statement in (*view.ddl, *(view.indexes if indexes else ())):
                await connection.exec_driver_sql(statement)
            values = {"view": view.name, "version": view.version, "app": view.app_name, "topic": view.topic}
            if (await connection.execute(text(REGISTER), values)).scalar_one():
                await _show(connection, view)


async def _are_installed(url: str, views: Sequence[View]) -> bool:
    with translated():
        connection = await connect(url, name="argosy-install")
        try:
            found = await connection.fetch("SELECT view, version FROM view_registry")
        finally:
            await connection.close()
    return {(view.name, view.version) for view in views} <= {(row["view"], row["version"]) for row in found}


async def index(url: str, views: Sequence[View]) -> None:
    """Creates the indexes that `install(indexes=False)` and `create_weeks(indexes=False)` left out."""
    async with definitions(url) as connection:
        for view in views:
            for statement in view.indexes:
                await connection.exec_driver_sql(statement)
            for weekly in view.weekly:
                for name in await _partitions(connection, weekly):
                    await _index(connection, weekly, name)


async def create_weeks(url: str, views: Sequence[View], weeks: Iterable[int], *, indexes: bool = True) -> None:
    """Creates the partitions of these weeks (Mondays, ms) for all weekly tables."""
    async with definitions(url) as connection:
        for view in views:
            for weekly in view.weekly:
                existing = set(await _partitions(connection, weekly))
                for week in sorted(set(weeks)):
                    name = partition_name(weekly.parent, week)
                    if name not in existing:
                        await _create_week(connection, weekly, name, week)
                        if indexes:
                            await _index(connection, weekly, name)


async def drop_weeks(url: str, views: Sequence[View], now_ms: int) -> list[str]:
    """Drops partitions that ended longer ago than they are kept; returns their names."""
    dropped: list[str] = []
    async with definitions(url) as connection:
        for view in views:
            for weekly in view.weekly:
                oldest = partition_name(weekly.parent, week_of(now_ms - weekly.retention_days * 24 * 3_600_000))
                for name in await _partitions(connection, weekly):
                    if name < oldest:
                        await connection.exec_driver_sql(f"DROP TABLE {name}")
                        dropped.append(name)
    return dropped


def partition_name(parent: str, week_ms: int) -> str:
    """The partition of a week is named by its Monday, so names are in order of time."""
    return f"{parent}_{datetime.fromtimestamp(week_ms // 1000, UTC):%Y%m%d}"


async def _show(connection: "AsyncConnection", view: View) -> None:
    for table in view.tables:
        await connection.execute(
            text(f"CREATE OR REPLACE VIEW {view.stable_name(table.name)} AS SELECT * FROM {table.name}")
        )


async def _partitions(connection: "AsyncConnection", weekly: Weekly) -> list[str]:
    return list((await connection.execute(text(PARTITIONS), {"parent": weekly.parent})).scalars())


async def _create_week(connection: "AsyncConnection", weekly: Weekly, name: str, week_ms: int) -> None:
    begin, end = (datetime.fromtimestamp(at // 1000, UTC).isoformat() for at in (week_ms, week_ms + WEEK_MS))
    # Attaching, unlike CREATE ... PARTITION OF, does not stop the readers of the other partitions.
    await connection.execute(
        text(f"CREATE TABLE {name} (LIKE {weekly.parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)")
    )
    for setting in weekly.settings:
        await connection.exec_driver_sql(setting.format(table=name))
    await connection.execute(
        text(f"ALTER TABLE {weekly.parent} ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')")
    )


async def _index(connection: "AsyncConnection", weekly: Weekly, name: str) -> None:
    for statement in weekly.indexes:
        await connection.exec_driver_sql(statement.format(table=name))
