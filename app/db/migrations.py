"""Migrations of the platform's own tables: `migrate(url)` brings any database, also an empty one, to the newest.

Safe to run by several processes at once: an advisory lock lets one after the other through.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.db.definitions import definitions
from app.db.engine import connect
from app.db.errors import NotInstalled, NotMigrated, translated

SCRIPTS = Path(__file__).with_name("alembic")


async def migrate(url: str) -> str:
    """Brings the database to the newest revision and returns it. Raises Unavailable, DatabaseError."""
    async with definitions(url) as connection:
        await connection.run_sync(_upgrade)
    return newest_revision()


def newest_revision() -> str:
    """The revision that this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is at least one migration"
    return head


async def check_migrated(url: str) -> None:
    """Raises NotMigrated when the database is not at the newest revision, Unavailable when it cannot be asked."""
    try:
        with translated():
            connection = await connect(url, name="argosy-check")
            try:
                found = await connection.fetchval("SELECT version_num FROM platform_migrations")
            finally:
                await connection.close()
    except NotInstalled:
        found = None
    if found != newest_revision():
        raise NotMigrated(
            f"the database is at revision {found or 'none'}, {newest_revision()} is needed: run `argosy-admin migrate`"
        )


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    connection.execute(text("SET LOCAL lock_timeout = '30s'"))
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config
