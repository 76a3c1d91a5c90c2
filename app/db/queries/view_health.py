"""How far each view in force has come. Inputs: Database. Output: ViewHealth. Reads the platform's own tables."""

from msgspec import Struct

from app.db.database import Database

# Every partition of every view in force.
STANDS = """
SELECT r.view, r.version, r.app, r.topic, p.partition, p.position, p.log_time_ms, p.written_at
FROM view_registry r LEFT JOIN view_positions p ON p.view = r.view AND p.version = r.version
WHERE r.active ORDER BY r.app, r.view, p.partition
"""


class ViewHealth(Struct, frozen=True, kw_only=True):
    """A view. positions: partition -> offset of the last command (or record of its topic) that is included; log_time_ms
    and written_ms: of the latest (None: nothing yet)."""

    view: str
    version: int
    app: str
    topic: str
    positions: dict[int, int]
    log_time_ms: int | None
    written_ms: int | None


async def view_health(database: Database) -> tuple[ViewHealth, ...]:
    """In order of app and name. Raises Unavailable, QueryTimeout."""
    async with database.reading() as connection:
        rows = await connection.fetch(STANDS)
    found: dict[str, ViewHealth] = {}
    for row in rows:
        before = found.get(row["view"])
        positions = dict(before.positions) if before is not None else {}
        times = [before.log_time_ms, before.written_ms] if before is not None else [None, None]
        if row["partition"] is not None:
            positions[row["partition"]] = row["position"]
            times = [max(times[0] or 0, row["log_time_ms"]), max(times[1] or 0, row["written_at"])]
        found[row["view"]] = ViewHealth(
            view=row["view"],
            version=row["version"],
            app=row["app"],
            topic=row["topic"],
            positions=positions,
            log_time_ms=times[0],
            written_ms=times[1],
        )
    return tuple(found.values())
