"""The tables of view history and their indexes, each with the query that it serves.

A job's row lives in one of four tables of one partitioned table, by state. Only `starting` is ever updated in place
(LEASED -> PENDING, a HOT update); the others see INSERT and DELETE only. So every index may hold columns that depend on
the state, ended jobs are never written again and go by dropping a week, and filters by state prune tables. Names stand
as 64-bit numbers (app.db.names): integers make small indexes, and are the same in every rebuild. Ids begin with their
time: order by id is order by submission, so nothing holds the time of submission.
"""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import BYTEA, TSVECTOR, UUID

from app.domain.lifecycle import STATES
from app.views.view import Weekly

VERSION = 1
PREFIX = f"history_v{VERSION}"
METADATA = MetaData()
Time = DateTime(timezone=True)

NAMES = f"{PREFIX}_names"
JOB_SETS = f"{PREFIX}_job_sets"
JOBS = f"{PREFIX}_jobs"
QUEUED, STARTING, RUNNING, DONE = (f"{JOBS}_{part}" for part in ("queued", "starting", "running", "done"))
PHASES = (QUEUED, STARTING, RUNNING, DONE)
PHASE_OF_STATE = (0, 1, 1, 2, 3, 3, 3, 3, 3)
"""state number -> index in PHASES"""
RUNS = f"{PREFIX}_runs"
ERRORS = f"{PREFIX}_errors"
EVENTS = f"{PREFIX}_job_set_events"
PATCH = "history_patch"
DELTAS = "history_deltas"

COUNTERS = tuple(f"n_{state.value.lower()}" for state in STATES)

# Names of queues, owners, namespaces, classes, clusters, nodes, pools, categories, codes by their numbers.
Table(
    NAMES,
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
)

# Counters by state are kept by deltas, so groups by queue, job set and state cost nothing.
Table(
    JOB_SETS,
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("queue_id", BigInteger, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("first_submitted", Time),
    Column("last_transition", Time),
    *(Column(name, Integer, nullable=False, server_default="0") for name in COUNTERS),
    Index(f"{JOB_SETS}_name", "queue_id", "name", "incarnation"),
    postgresql_with={"fillfactor": "20"},
)

# Fixed columns first (no padding), what may be null behind them, texts last. position: offset << 20 | ordinal of the
# last event that changed the row. The last run stands in the row, so the usual job has no row of `runs`.
Table(
    JOBS,
    METADATA,
    Column("job_id", UUID, nullable=False),
    Column("spec_id", UUID, nullable=False),
    Column("last_transition", Time, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("storage", BigInteger, nullable=False),
    Column("queue_id", BigInteger, nullable=False),
    Column("job_set_id", BigInteger, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("namespace_id", BigInteger, nullable=False),
    Column("class_id", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("cpu", Integer, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("deadline_s", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("preemptible", Boolean, nullable=False),
    Column("run_id", UUID),
    Column("node_id", BigInteger),
    Column("cluster_id", BigInteger),
    Column("pool_id", BigInteger),
    Column("leased", Time),
    Column("pending", Time),
    Column("started", Time),
    Column("category_id", BigInteger),
    Column("code_id", BigInteger),
    Column("exit_code", Integer),
    Column("client_id", Text),
    Column("gang", Text),
    Column("labels", Text, nullable=False),
    # 'key=value' as one lexeme each: exact and prefix searches by one index.
    Column("annotations", TSVECTOR, nullable=False),
    Column("extra", Text),
    Column("reason", Text),
    Column("requestor", Text),
    postgresql_partition_by="LIST (state)",
)

# Runs that ended before their job's last run began.
Table(
    RUNS,
    METADATA,
    Column("job_id", UUID, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("finished", Time, nullable=False),
    Column("run_id", UUID, nullable=False),
    Column("cluster_id", BigInteger),
    Column("node_id", BigInteger),
    Column("pool_id", BigInteger),
    Column("leased", Time),
    Column("pending", Time),
    Column("started", Time),
    Column("exit_code", Integer),
    Column("category_id", BigInteger),
    Column("code_id", BigInteger),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    postgresql_partition_by="RANGE (finished)",
)

# What went wrong with an attempt, in the words of the cluster.
Table(
    ERRORS,
    METADATA,
    Column("job_id", UUID, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("at", Time, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("code", Text),
    Column("message", Text),
    Column("containers", Text),
    postgresql_partition_by="RANGE (at)",
)

# One row a record of argosy.events and job set, never a batch: any cut gives the same rows. position: of its first
# event; body: the events as they stand in the log (app.db.codecs).
Table(
    EVENTS,
    METADATA,
    Column("position", BigInteger, nullable=False),
    Column("at", Time, nullable=False),
    Column("job_set_id", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("body", BYTEA, nullable=False),
    postgresql_partition_by="RANGE (at)",
)

_LIVELY = (
    "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, "
    "autovacuum_analyze_scale_factor = 0.1"
)

DDL = (
    f"CREATE TABLE IF NOT EXISTS {QUEUED} PARTITION OF {JOBS} (CHECK (node_id IS NULL), CHECK (cluster_id IS NULL), "
    # The checks exclude the queued from filters by cluster, node and run.
    f"CHECK (run_id IS NULL)) FOR VALUES IN (0) WITH ({_LIVELY})",
    f"CREATE TABLE IF NOT EXISTS {STARTING} PARTITION OF {JOBS} FOR VALUES IN (1, 2) WITH (fillfactor = 70, {_LIVELY})",
    f"CREATE TABLE IF NOT EXISTS {RUNNING} PARTITION OF {JOBS} FOR VALUES IN (3) WITH ({_LIVELY})",
    f"CREATE TABLE IF NOT EXISTS {DONE} PARTITION OF {JOBS} FOR VALUES IN (4, 5, 6, 7, 8) "
    "PARTITION BY RANGE (last_transition)",
    # The bodies are compressed by us.
    f"ALTER TABLE {EVENTS} ALTER body SET STORAGE EXTERNAL",
    *(f"ALTER TABLE {table} ALTER annotations SET STATISTICS 500" for table in (QUEUED, STARTING, RUNNING)),
    # Always there, also while a rebuild has no other index: the writer looks for jobs by id.
    *(f"CREATE UNIQUE INDEX IF NOT EXISTS {table}_id ON {table} (job_id)" for table in (QUEUED, STARTING, RUNNING)),
)


def _indexes(table: str, *, unique: dict[str, str], plain: dict[str, str]) -> tuple[str, ...]:
    made = [(name, "UNIQUE INDEX", what) for name, what in unique.items()]
    made += [(name, "INDEX", what) for name, what in plain.items()]
    return tuple(f"CREATE {kind} IF NOT EXISTS {table}_{name} ON {table} {what}" for name, kind, what in made)


_LISTS = {
    # Jobs of a set, newest first.
    "set": "(job_set_id, job_id)",
    # A queue, newest first.
    "queue": "(queue_id, job_id)",
    # A queue by last transition.
    "queue_time": "(queue_id, last_transition, job_id)",
    # Everything by last transition, and ranges of time.
    "time": "(last_transition, job_id)",
    # My jobs.
    "owner": "(owner_id, job_id)",
    # Everything by priority, and ranges of it.
    "priority": "(priority, job_id)",
    # Values that few jobs have; usual ones are found by walking the newest.
    "namespace": "(namespace_id)",
    "class": "(class_id)",
    "storage": "(storage)",
    # Ranges of requests.
    "cpu": "(cpu)",
    "memory": "(memory)",
    "gpus": "(gpus) WHERE gpus > 0",
    # Filters by annotation. A long pending list is read unsorted by every search.
    "annotations": "USING gin (annotations) WITH (gin_pending_list_limit = 512)",
}
# What runs on a node; groups by cluster and node.
_PLACES = {"node": "(cluster_id, node_id)", "pool": "(pool_id)"}
_RUN_TIMES = {
    # Everything by how long it ran, and the few that never did.
    "run_time": "((last_transition - started), job_id) WHERE started IS NOT NULL",
    "never_ran": "(job_id) WHERE started IS NULL",
}
_FAILURES = {
    # Failed in the last hour.
    "failed_time": "(state, last_transition, job_id) WHERE state <> 4",
    # Failed of a set.
    "failed_set": "(job_set_id, state, job_id) WHERE state <> 4",
    # Groups of failures.
    "failed_category": "(category_id, code_id) WHERE state <> 4",
    "failed_exit": "(exit_code) WHERE state <> 4",
}

INDEXES = (
    *_indexes(QUEUED, unique={}, plain=_LISTS),
    *_indexes(RUNNING, unique={}, plain=_LISTS | _PLACES),
)

WEEKLY = (
    Weekly(
        parent=DONE,
        # Newest first; one job by its id (one probe a week).
        indexes=_indexes("{table}", unique={"id": "(job_id)"}, plain=_LISTS | _PLACES | _RUN_TIMES | _FAILURES),
        settings=("ALTER TABLE {table} ALTER annotations SET STATISTICS 500",),
    ),
    Weekly(parent=RUNS, indexes=_indexes("{table}", unique={"id": "(job_id, run_id)"}, plain={})),
    Weekly(parent=ERRORS, indexes=_indexes("{table}", unique={"id": "(job_id, position)"}, plain={})),
    # The events of a job set from a position on.
    Weekly(parent=EVENTS, indexes=_indexes("{table}", unique={"id": "(job_set_id, position)"}, plain={})),
)
