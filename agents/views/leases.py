"""View leases: what executors are to start and to stop, from argosy.events. Clusters depend on it and on nothing else,
so it is small and has a process of its own; with it stand pod specs and what an executor needs of live jobs.

Owner of leases_v1, leases_v1_jobs, leases_v1_specs. Queries: app.db.queries.leases. Rules: executor-api.md, 2 and 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import BYTEA, UUID

from app.db.lease_job import LeaseJob, encode_displaced, encode_job
from app.db.queries.leases import ENDED, REPORTED, STOPPING, UNREPORTED
from app.domain.events import EventsRecord, JobData, StopData
from app.log.topics import EVENTS
from app.views.view import Batch, Delete, Execute, Insert, Intern, Operation, SourceRecord, View, Weekly, week_of

VERSION = 1
RUNS, JOBS, SPECS = f"leases_v{VERSION}", f"leases_v{VERSION}_jobs", f"leases_v{VERSION}_specs"
METADATA = MetaData()
Time = DateTime(timezone=True)

KEPT_MS = 3_600_000
"""rows of ended runs stay an hour after the last word"""
SWEEP_MS = 60_000
"""they are taken away by the minute"""
ENDS_NO_JOB = frozenset(
    {
        "SubmitJobs",
        "LeaseJobs",
        "ReprioritizeJobs",
        "CreateQueues",
        "UpdateQueues",
        "DeleteQueues",
        "Settings",
        "BeginEpoch",
        "BeginInstance",
    }
)
"""commands that end no job by themselves: their events need no decoding"""

Table(
    RUNS,
    METADATA,
    Column("run_id", UUID, primary_key=True),
    Column("job_id", UUID, nullable=False),
    Column("lease_offset", BigInteger, nullable=False),
    Column("lease_ordinal", Integer, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    # 0 unreported, 1 reported, 2 stopping, 3 ended
    Column("state", SmallInteger, nullable=False),
    Column("end_offset", BigInteger),
    Column("end_ordinal", Integer),
    Column("ended", Time),
    Column("cluster", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("pool", Text, nullable=False),
    Column("stop_reason", Text),
    Column("displaced", BYTEA),
    postgresql_with={
        "fillfactor": "70",
        "autovacuum_vacuum_scale_factor": "0.02",
        "autovacuum_vacuum_threshold": "5000",
        "autovacuum_vacuum_cost_delay": "0",
    },
)
Table(
    JOBS,
    METADATA,
    Column("job_id", UUID, primary_key=True),
    Column("spec_id", UUID, nullable=False),
    Column("spec_week", Time, nullable=False),
    # app.db.lease_job.LeaseJob
    Column("job", BYTEA, nullable=False),
)
# A spec stands once in each week in which it was submitted, so that specs too go by dropping a week. body: zstd.
Table(
    SPECS,
    METADATA,
    Column("spec_id", UUID, nullable=False),
    Column("week", Time, nullable=False),
    Column("body", BYTEA, nullable=False),
    postgresql_partition_by="RANGE (week)",
)
runs = METADATA.tables[RUNS]
# Unreported runs behind a cursor; all that are not gone.
Index(
    f"{RUNS}_held",
    runs.c.cluster,
    runs.c.partition,
    runs.c.lease_offset,
    runs.c.lease_ordinal,
    postgresql_where=runs.c.state < ENDED,
)
# Stops behind a cursor.
Index(
    f"{RUNS}_stops",
    runs.c.cluster,
    runs.c.partition,
    runs.c.end_offset,
    runs.c.end_ordinal,
    postgresql_where=runs.c.state >= STOPPING,
)
# Ended runs to take away.
Index(f"{RUNS}_ended", runs.c.partition, runs.c.ended, postgresql_where=runs.c.state == ENDED)

RUN_COLUMNS = (
    "run_id",
    "job_id",
    "partition",
    "lease_offset",
    "lease_ordinal",
    "attempt",
    "cluster",
    "node",
    "pool",
    "displaced",
    "state",
    "stop_reason",
    "end_offset",
    "end_ordinal",
    "ended",
)

# Runs of earlier batches that were reported or ended; a run that is unknown (older than the log) stays so.
CHANGE = f"""
UPDATE {RUNS} l SET state = u.state, stop_reason = u.stop_reason, end_offset = u.end_offset, end_ordinal =
u.end_ordinal,
  ended = u.ended
FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::bigint[], $5::int[], $6::timestamptz[])
  AS u(run_id, state, stop_reason, end_offset, end_ordinal, ended)
WHERE l.run_id = u.run_id AND l.state < u.state
"""
# Ended runs whose time is over, per partition by its log time.
SWEEP = f"""
DELETE FROM {RUNS} l USING unnest($1::int[], $2::timestamptz[]) AS u(partition, before)
WHERE l.state = {ENDED} AND l.partition = u.partition AND l.ended < u.before
"""


@dataclass(slots=True)
class _Run:
    """What a batch says of a run; known: it began in this batch."""

    known: tuple[object, ...] | None = None
    state: int = UNREPORTED
    stop_reason: str | None = None
    end_offset: int | None = None
    end_ordinal: int | None = None
    ended: int | None = None

    def advance(self, state: int) -> None:
        self.state = max(self.state, state)

    @property
    def change(self) -> tuple[object, ...]:
        return (self.state, self.stop_reason, self.end_offset, self.end_ordinal, self.ended)


@dataclass(slots=True)
class _Plan:
    runs: dict[bytes, _Run] = field(default_factory=dict)
    jobs: dict[bytes, tuple[object, ...]] = field(default_factory=dict)
    gone: set[bytes] = field(default_factory=set)
    specs: dict[object, tuple[object, ...]] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)


def rows(batch: Batch) -> Sequence[Operation]:
    """Events of a batch to operations on the tables. Pure."""
    plan = _Plan()
    for record in batch.records:
        _take(plan, record)
    begun = [(run_id, *run.known, *run.change) for run_id, run in plan.runs.items() if run.known is not None]
    changed = [(run_id, *run.change) for run_id, run in plan.runs.items() if run.known is None]
    live = [row for job_id, row in plan.jobs.items() if job_id not in plan.gone]
    ended = [(job_id,) for job_id in plan.gone - plan.jobs.keys()]
    out: list[Operation] = [
        Intern(table=SPECS, columns=("spec_id", "week", "body"), rows=plan.specs),
        Insert(table=JOBS, columns=("job_id", "spec_id", "spec_week", "job"), rows=live),
        Insert(table=RUNS, columns=RUN_COLUMNS, rows=begun),
        Delete(table=JOBS, key=("job_id",), rows=ended),
    ]
    if changed:
        columns = tuple(list(column) for column in zip(*changed, strict=True))
        out.append(Execute(purpose="runs reported or ended", statement=CHANGE, arguments=columns))
    before = [(time - KEPT_MS) // SWEEP_MS * SWEEP_MS for time in plan.times.values()]
    out.append(Execute(purpose="ended runs go", statement=SWEEP, arguments=(list(plan.times), before)))
    return out


def _take(plan: _Plan, record: SourceRecord) -> None:
    value = record.value
    assert isinstance(value, EventsRecord), "the leases read argosy.events"
    time = value.log_time_ms
    week = week_of(time)
    plan.times[record.partition] = max(time, plan.times.get(record.partition, 0))
    for spec in value.specs:
        plan.specs[spec.spec_id, week] = (spec.spec_id, week, spec.body)
    for job in value.jobs:
        block = value.blocks[job.block]
        plan.jobs[job.job_id] = (job.job_id, job.spec_id, week, encode_job(_job(block.queue, block.job_set, job)))
    for lease in value.leases:
        place = (lease.job_id, record.partition, value.offset, lease.ordinal, lease.attempt)
        target = (lease.cluster, lease.node, lease.pool, encode_displaced(lease.displaced))
        plan.runs[lease.run_id] = _Run(known=place + target)
    for run_id in value.reported:
        plan.runs.setdefault(run_id, _Run()).advance(REPORTED)
    for stop in value.stops:
        _stop(plan.runs.setdefault(stop.run_id, _Run()), stop, value.offset, time)
    # An operation moves on with any command; its progress stands in the command's last record.
    if value.command not in ENDS_NO_JOB or value.operations or not value.last:
        plan.gone.update(event.job_id for _, events in record.blocks() for event in events if event.terminal)


def _stop(run: _Run, stop: StopData, offset: int, time: int) -> None:
    run.advance(ENDED if stop.gone else STOPPING)
    run.stop_reason = stop.reason.value
    run.end_offset, run.end_ordinal = offset, stop.ordinal
    run.ended = time if stop.gone else None


def _job(queue: str, job_set: str, job: JobData) -> LeaseJob:
    return LeaseJob(
        queue=queue,
        job_set=job_set,
        owner=job.owner,
        groups=job.groups,
        namespace=job.namespace,
        preemptible=job.preemptible,
        deadline_s=job.deadline_s,
        labels=job.labels,
        annotations=job.annotations,
        services=job.services,
        ingresses=job.ingresses,
        gang=job.gang,
    )


VIEW = View(
    name="leases",
    version=VERSION,
    topic=EVENTS,
    metadata=METADATA,
    rows=rows,
    # The bodies are compressed by the client.
    ddl=(f"ALTER TABLE {SPECS} ALTER body SET STORAGE EXTERNAL", f"ALTER TABLE {JOBS} ALTER job SET STORAGE EXTERNAL"),
    weekly=(
        Weekly(parent=SPECS, indexes=("CREATE UNIQUE INDEX IF NOT EXISTS {table}_id ON {table} (spec_id, week)",)),
    ),
)
