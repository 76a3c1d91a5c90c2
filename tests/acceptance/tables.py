"""The rows of the views as they stand in Postgres, read with plain SQL into the dictionaries of fold.py.

Inputs: the database's URL. Names stand as numbers in the history; history_names turns them back.
"""

import json
from typing import Any

import asyncpg
import msgspec

from app.db.codecs import unpacked_body
from app.db.engine import set_types
from app.domain.commands import QueueSpec
from app.domain.events import Event
from app.domain.lifecycle import STATES, JobState
from app.log.codec import decode_events
from tests.acceptance.fold import Row

_RUN = (
    "run_id, n_cluster.name AS cluster, n_node.name AS node, n_pool.name AS pool, leased, pending, started, "
    "n_category.name AS category, n_code.name AS code, exit_code"
)
_RUN_NAMES = " ".join(
    f"LEFT JOIN history_names n_{name} ON n_{name}.id = t.{name}_id"
    for name in ("cluster", "node", "pool", "category", "code")
)
JOBS = f"""
SELECT job_id, spec_id, t.last_transition, position, memory, storage, n_queue.name AS queue, s.incarnation,
  s.name AS job_set, n_owner.name AS owner, n_namespace.name AS namespace, n_class.name AS class, priority, cpu, gpus,
  deadline_s, state, attempt, preemptible, {_RUN}, client_id, gang, labels, reason, requestor,
  tsvector_to_array(annotations) AS annotations
FROM history_jobs t JOIN history_job_sets s ON s.id = t.job_set_id
  LEFT JOIN history_names n_queue ON n_queue.id = t.queue_id LEFT JOIN history_names n_owner ON n_owner.id = t.owner_id
  LEFT JOIN history_names n_namespace ON n_namespace.id = t.namespace_id
  LEFT JOIN history_names n_class ON n_class.id = t.class_id {_RUN_NAMES}
"""
RUNS = f"SELECT job_id, attempt, finished, outcome, reason, {_RUN} FROM history_runs t {_RUN_NAMES}"
ERRORS = "SELECT job_id, position, at, attempt, kind, code, message, containers FROM history_errors"
_COUNTERS = ", ".join(f"n_{state.value.lower()}" for state in STATES)
JOB_SETS = f"""
SELECT n.name AS queue, incarnation, s.name AS job_set, first_submitted, last_transition, {_COUNTERS}
FROM history_job_sets s JOIN history_names n ON n.id = s.queue_id
"""
EVENTS = """
SELECT n.name AS queue, s.incarnation, s.name AS job_set, s.partition, e.position, e.at, e.count, e.body
FROM history_job_set_events e JOIN history_job_sets s ON s.id = e.job_set_id
  JOIN history_names n ON n.id = s.queue_id
ORDER BY s.id, e.position
"""
LEASES = """
SELECT run_id, job_id, partition, lease_offset, lease_ordinal, attempt, cluster, node, pool, state, stop_reason,
  end_offset, end_ordinal, ended FROM leases
"""
LIVE_JOBS = "SELECT job_id FROM leases_jobs"
SPECS = "SELECT DISTINCT spec_id, body FROM leases_specs"
QUEUES = "SELECT name, partition, incarnation, created, spec FROM queues"
POSITIONS = """
SELECT r.view, p.partition, p.position FROM view_registry r
  JOIN view_positions p ON p.view = r.view AND p.version = r.version
WHERE r.active
"""


class Tables:
    """A connection for reading."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> "Tables":
        connection = await asyncpg.connect(url)
        await set_types(connection)
        return cls(connection)

    async def close(self) -> None:
        await self._connection.close()

    async def jobs(self) -> dict[bytes, Row]:
        """Rows of the history's jobs by id."""
        found: dict[bytes, Row] = {}
        for record in await self._connection.fetch(JOBS):
            row = dict(record)
            job_id = row.pop("job_id")
            assert job_id not in found, "a job stands once"
            row["state"] = STATES[row["state"]]
            row["labels"] = json.loads(row["labels"])
            row["annotations"] = sorted(row["annotations"])
            found[job_id] = row
        return found

    async def runs(self) -> list[Row]:
        """Runs that ended before their jobs."""
        return [dict(record) for record in await self._connection.fetch(RUNS)]

    async def errors(self) -> list[Row]:
        return [dict(record) for record in await self._connection.fetch(ERRORS)]

    async def job_sets(self) -> dict[tuple[str, int, str], Row]:
        """Job sets with their counters."""
        found = {}
        for record in await self._connection.fetch(JOB_SETS):
            counts = {state: record[f"n_{state.value.lower()}"] for state in JobState}
            found[record["queue"], record["incarnation"], record["job_set"]] = {
                "first_submitted": record["first_submitted"],
                "last_transition": record["last_transition"],
                "counts": counts,
            }
        return found

    async def events(self) -> dict[tuple[str, int, str], list[tuple[int, int, int, Event]]]:
        """The events of each job set, unpacked, in order."""
        found: dict[tuple[str, int, str], list[tuple[int, int, int, Event]]] = {}
        for record in await self._connection.fetch(EVENTS):
            events = decode_events(unpacked_body(record["body"]))
            offset = record["position"] >> 20
            assert events[0].ordinal == record["position"] & (1 << 20) - 1
            assert len(events) == record["count"]
            key = (record["queue"], record["incarnation"], record["job_set"])
            found.setdefault(key, []).extend((record["partition"], offset, record["at"], event) for event in events)
        return found

    async def leases(self) -> dict[bytes, Row]:
        """Runs of the leases view by id."""
        found = {}
        for record in await self._connection.fetch(LEASES):
            row = dict(record)
            found[row.pop("run_id")] = row
        return found

    async def unfinished_runs(self) -> int:
        """Runs that hold room on a node."""
        return int(await self._connection.fetchval("SELECT count(*) FROM leases WHERE state < 3"))

    async def live_jobs(self) -> set[bytes]:
        """Jobs of which the leases view keeps the data."""
        return {record["job_id"] for record in await self._connection.fetch(LIVE_JOBS)}

    async def specs(self) -> dict[bytes, bytes]:
        """Pod specs by id, as they stand in the log."""
        records = await self._connection.fetch(SPECS)
        return {record["spec_id"]: record["body"] for record in records}

    async def queues(self) -> dict[str, Row]:
        found = {}
        for record in await self._connection.fetch(QUEUES):
            row = dict(record)
            row["spec"] = msgspec.json.decode(row["spec"], type=QueueSpec)
            found[row.pop("name")] = row
        return found

    async def positions(self, view: str) -> dict[int, int]:
        """How far a view has come: partition -> offset of the last command that it includes."""
        records = await self._connection.fetch(POSITIONS)
        return {record["partition"]: record["position"] for record in records if record["view"] == view}
