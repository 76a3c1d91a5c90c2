"""The revision of the platform's tables that this program needs, and whether a database has it.

Apart from migrations.py, so that processes that only check do not load what migrates.
"""

from app.db.engine import connect
from app.db.errors import NotInstalled, NotMigrated, translated

NEWEST = "0001"
"""the newest of app/db/alembic/versions"""


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
    if found != NEWEST:
        raise NotMigrated(
            f"the database is at revision {found or 'none'}, {NEWEST} is needed: run `argosy-admin migrate`"
        )
