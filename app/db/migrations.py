"""Migrations of the platform's own tables: `migrate(url)` brings any database, also an empty one, to the newest.

Safe to run by several processes at once: an advisory lock lets one after the other through.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.db.definitions import definitions

SCRIPTS = Path(__file__).with_name("alembic")


async def migrate(url: str) -> str:
    """Brings the database to the newest revision and returns it. Raises Unavailable, DatabaseError."""
    async with definitions(url) as connection:
        await connection.run_sync(_upgrade)
    return newest_revision()


def newest_revision() -> str:
    """The newest revision among the scripts; app.db.revision.NEWEST names it."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is at least one migration"
    return head


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    connection.execute(text("SET LOCAL lock_timeout = '30s'"))
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config
