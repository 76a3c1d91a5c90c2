"""What the executors' sync answers: leases and stops after a cursor, or all runs of a cluster, each from one snapshot
with its cursor.

Inputs: Database, cluster, cursor. Output: SyncPage, FullPage. Reads leases, leases_jobs, leases_specs and the
positions of view leases.
Rules: executor-api.md, 2 and 3.
"""

from collections.abc import Mapping

from asyncpg import Record
from msgspec import Struct

from app.db.database import Database
from app.db.engine import Connection
from app.db.lease_job import LeaseJob, decode_displaced, decode_job
from app.db.queries.reached import Reached, reached
from app.domain.commands import RunPosition
from app.domain.events import StopReason

LEASES = "leases"
LEASES_MAX = 1_000
STOPS_MAX = 10_000

UNREPORTED, REPORTED, STOPPING, ENDED = range(4)
"""the states of a lease's row"""

Cursor = Mapping[int, tuple[int, int]]
"""partition -> (offset, ordinal) up to which leases and stops were taken"""

_LEASE = (
    "l.run_id, l.job_id, l.attempt, l.partition, l.lease_offset, l.lease_ordinal, l.node, l.pool, l.displaced, "
    "j.job, j.spec_id, j.spec_week"
)

# Unreported runs of a cluster behind a cursor: one range a partition, the first of each partition before the second
# of any.
UNREPORTED_AFTER = f"""
SELECT {_LEASE} FROM (
  SELECT r.*, row_number() OVER (PARTITION BY r.partition ORDER BY r.lease_offset, r.lease_ordinal) AS place
  FROM unnest($2::int[], $3::bigint[], $4::int[]) AS c(partition, position, ordinal) CROSS JOIN LATERAL (
    SELECT * FROM leases i WHERE i.cluster = $1 AND i.partition = c.partition AND i.state = 0
      AND (i.lease_offset, i.lease_ordinal) > (c.position, c.ordinal)
    ORDER BY i.lease_offset, i.lease_ordinal LIMIT $5) r
  ) l JOIN leases_jobs j ON j.job_id = l.job_id ORDER BY l.place, l.partition LIMIT $5
"""
# Stops of a cluster behind a cursor: runs that we ended and that are not gone, and those whose end was accepted.
STOPS_AFTER = """
SELECT r.* FROM (
  SELECT s.*, row_number() OVER (PARTITION BY s.partition ORDER BY s.end_offset, s.end_ordinal) AS place
  FROM unnest($2::int[], $3::bigint[], $4::int[]) AS c(partition, position, ordinal) CROSS JOIN LATERAL (
    SELECT run_id, job_id, attempt, partition, stop_reason, end_offset, end_ordinal FROM leases i
    WHERE i.cluster = $1 AND i.partition = c.partition AND (i.end_offset, i.end_ordinal) > (c.position, c.ordinal)
      AND i.state >= 2 AND (i.state = 2 OR i.stop_reason = 'finished') ORDER BY i.end_offset, i.end_ordinal LIMIT $5) s
  ) r ORDER BY r.place, r.partition LIMIT $5
"""
# Every run of a cluster that is not gone; the job only of those that are not reported.
NOT_GONE = f"""
SELECT l.state, l.stop_reason, {_LEASE} FROM leases l LEFT JOIN leases_jobs j ON j.job_id = l.job_id AND l.state = 0
WHERE l.cluster = $1 AND l.state < 3 ORDER BY l.partition, l.lease_offset, l.lease_ordinal
"""
# Pod specs by id and week (zstd of canonical JSON).
SPECS = """
SELECT spec_id, body FROM leases_specs WHERE (spec_id, week) IN (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]))
"""


class LeaseRecord(Struct, frozen=True, kw_only=True):
    """A run to start. offset and ordinal complete the position of its LEASED event; spec_id: look in the page's
    `specs`."""

    run_id: bytes
    job_id: bytes
    attempt: int
    partition: int
    offset: int
    ordinal: int
    node: str
    pool: str
    displaced: tuple[RunPosition, ...]
    job: LeaseJob
    spec_id: bytes


class StopRecord(Struct, frozen=True, kw_only=True):
    """A run that we ended, or (FINISHED) whose end was accepted."""

    run_id: bytes
    job_id: bytes
    attempt: int
    reason: StopReason


class ReportedRecord(Struct, frozen=True, kw_only=True):
    """A run that the cluster has reported and that has not ended."""

    run_id: bytes
    job_id: bytes
    attempt: int


class SyncPage(Struct, frozen=True, kw_only=True):
    """Leases and stops behind a cursor. cursor: partition -> (offset, ordinal) up to which they are complete; specs:
    id -> zstd of JSON.

    more: the limits cut something off; asking with the new cursor gives it. reached: the view in the same snapshot."""

    leases: tuple[LeaseRecord, ...]
    stops: tuple[StopRecord, ...]
    specs: dict[bytes, bytes]
    cursor: dict[int, tuple[int, int]]
    more: bool
    reached: dict[int, Reached]


class FullPage(Struct, frozen=True, kw_only=True):
    """Every run of the cluster that is not gone, as lease, reported or stop, and the cursor of that moment."""

    leases: tuple[LeaseRecord, ...]
    reported: tuple[ReportedRecord, ...]
    stops: tuple[StopRecord, ...]
    specs: dict[bytes, bytes]
    cursor: dict[int, tuple[int, int]]
    reached: dict[int, Reached]


async def leases_after(
    database: Database, cluster: str, cursor: Cursor, *, leases_max: int = LEASES_MAX, stops_max: int = STOPS_MAX
) -> SyncPage:
    """What is newer than the cursor; a partition that is missing in it is read from its beginning. Raises
    Unavailable, QueryTimeout."""
    async with database.snapshot() as connection:
        stands = await reached(connection, LEASES)
        starts = [(partition, *cursor.get(partition, (-1, -1))) for partition in sorted(stands)]
        columns = [list(column) for column in zip(*starts, strict=True)] or [[], [], []]
        leases_max, stops_max = max(leases_max, len(stands)), max(stops_max, len(stands))
        leases = await connection.fetch(UNREPORTED_AFTER, cluster, *columns, leases_max)
        stops = await connection.fetch(STOPS_AFTER, cluster, *columns, stops_max)
        ends = {partition: stand.exact[1:] for partition, stand in stands.items()}
        cut_leases = len(leases) == leases_max
        cut_stops = len(stops) == stops_max
        for cut, rows, offset, ordinal in (
            (cut_leases, leases, "lease_offset", "lease_ordinal"),
            (cut_stops, stops, "end_offset", "end_ordinal"),
        ):
            if cut:
                # A partition is complete up to its last row given. One without a row has none: the limit is not below
                # the number of partitions, and the first row of each comes before the second of any.
                last = {row["partition"]: (row[offset], row[ordinal]) for row in rows}
                ends = {partition: min(end, last.get(partition, end)) for partition, end in ends.items()}
        leases = [row for row in leases if (row["lease_offset"], row["lease_ordinal"]) <= ends[row["partition"]]]
        stops = [row for row in stops if (row["end_offset"], row["end_ordinal"]) <= ends[row["partition"]]]
        specs = await _specs(connection, leases)
    return SyncPage(
        leases=tuple(_lease(row) for row in leases if row["spec_id"] in specs),
        stops=tuple(_stop(row) for row in stops),
        specs=specs,
        cursor=ends,
        more=cut_leases or cut_stops,
        reached=stands,
    )


async def all_runs(database: Database, cluster: str) -> FullPage:
    """The full answer. Raises Unavailable, QueryTimeout."""
    async with database.snapshot() as connection:
        stands = await reached(connection, LEASES)
        rows = await connection.fetch(NOT_GONE, cluster)
        leases = [row for row in rows if row["state"] == UNREPORTED]
        specs = await _specs(connection, leases)
    return FullPage(
        leases=tuple(_lease(row) for row in leases if row["spec_id"] in specs),
        reported=tuple(
            ReportedRecord(run_id=row["run_id"], job_id=row["job_id"], attempt=row["attempt"])
            for row in rows
            if row["state"] == REPORTED
        ),
        stops=tuple(_stop(row) for row in rows if row["state"] == STOPPING),
        specs=specs,
        cursor={partition: stand.exact[1:] for partition, stand in stands.items()},
        reached=stands,
    )


async def _specs(connection: Connection, leases: list[Record]) -> dict[bytes, bytes]:
    wanted = {(row["spec_id"], row["spec_week"]) for row in leases if row["spec_id"] is not None}
    if not wanted:
        return {}
    rows = await connection.fetch(SPECS, [spec_id for spec_id, _ in wanted], [week for _, week in wanted])
    return {row["spec_id"]: row["body"] for row in rows}


def _lease(row: Record) -> LeaseRecord:
    return LeaseRecord(
        run_id=row["run_id"],
        job_id=row["job_id"],
        attempt=row["attempt"],
        partition=row["partition"],
        offset=row["lease_offset"],
        ordinal=row["lease_ordinal"],
        node=row["node"],
        pool=row["pool"],
        displaced=decode_displaced(row["displaced"]),
        job=decode_job(row["job"]),
        spec_id=row["spec_id"],
    )


def _stop(row: Record) -> StopRecord:
    return StopRecord(
        run_id=row["run_id"], job_id=row["job_id"], attempt=row["attempt"], reason=StopReason(row["stop_reason"])
    )
