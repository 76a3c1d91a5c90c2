"""The set-based statements of the history, made from the columns: the moves of jobs between the tables of their states,
the runs that end, the counters.

A move takes the rows of one pair of tables out of the patch of this batch: a DELETE and an INSERT, or an UPDATE in
place; all moves of a batch are one statement. What it did is counted where it is done, so counters and rows agree also
for a log whose beginning is gone.
"""

from functools import cache

from agents.views.history import tables
from agents.views.history.rows import COLUMNS, OF_THE_RUN, PATCHED
from agents.views.history.tables import PHASES

SESSION = (
    f"""
CREATE TEMPORARY TABLE IF NOT EXISTS {tables.PATCH} (
  job_id uuid, before smallint, src smallint, dst smallint, reset boolean, position bigint, state smallint,
  attempt smallint, last_transition timestamptz, priority int, run_id uuid, node_id bigint, cluster_id bigint,
  pool_id bigint, leased timestamptz, pending timestamptz, started timestamptz, category_id bigint, code_id bigint,
  exit_code int, reason text, requestor text
) ON COMMIT DELETE ROWS
""",
    f"CREATE TEMPORARY TABLE IF NOT EXISTS {tables.DELTAS} (job_set_id bigint, state smallint, n bigint) "
    "ON COMMIT DELETE ROWS",
    # A batch is small beside the tables: rows are found by id, never by reading a table.
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET plan_cache_mode = force_generic_plan",
)

# Runs that ended before their jobs; what the batch does not know of a run stands in the job's row as it was before.
RUNS = f"""
INSERT INTO {tables.RUNS} (job_id, attempt, finished, run_id, cluster_id, node_id, pool_id, leased, pending, started,
  exit_code, category_id, code_id, outcome, reason)
SELECT u.job_id, u.attempt, u.finished, coalesce(u.run_id, o.run_id), coalesce(u.cluster_id, o.cluster_id),
  coalesce(u.node_id, o.node_id), coalesce(u.pool_id, o.pool_id), coalesce(u.leased, o.leased),
  coalesce(u.pending, o.pending), coalesce(u.started, o.started), u.exit_code, u.category_id, u.code_id, u.outcome,
  u.reason
FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[],
  $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::int[], $12::bigint[], $13::bigint[], $14::text[],
  $15::text[], $16::boolean[])
  AS u(job_id, attempt, finished, run_id, cluster_id, node_id, pool_id, leased, pending, started, exit_code,
    category_id, code_id, outcome, reason, whole)
LEFT JOIN LATERAL (
  SELECT run_id, cluster_id, node_id, pool_id, leased, pending, started FROM {tables.RUNNING} r
  WHERE NOT u.whole AND r.job_id = u.job_id
  UNION ALL
  SELECT run_id, cluster_id, node_id, pool_id, leased, pending, started FROM {tables.STARTING} s
  WHERE NOT u.whole AND s.job_id = u.job_id
) o ON true
WHERE coalesce(u.run_id, o.run_id) IS NOT NULL
"""

# What went wrong.
ERRORS = f"""
INSERT INTO {tables.ERRORS} (job_id, position, at, attempt, kind, code, message, containers)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::smallint[], $5::text[], $6::text[], $7::text[],
  $8::text[])
"""

_SUMS = ", ".join(f"sum(n) FILTER (WHERE state = {code}) AS {name}" for code, name in enumerate(tables.COUNTERS))
_ADDED = ", ".join(f"{name} = s.{name} + coalesce(d.{name}, 0)" for name in tables.COUNTERS)

# Counters and times of the job sets of the batch: jobs that moved, and jobs that are new.
COUNTERS = f"""
UPDATE {tables.JOB_SETS} s
SET first_submitted = coalesce(s.first_submitted, u.first_submitted),
  last_transition = greatest(s.last_transition, u.last_transition), {_ADDED}
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS u(id, first_submitted, last_transition)
LEFT JOIN (
  SELECT job_set_id, {_SUMS} FROM (
    SELECT job_set_id, state, n FROM {tables.DELTAS}
    UNION ALL SELECT * FROM unnest($4::bigint[], $5::smallint[], $6::bigint[])
  ) c(job_set_id, state, n) GROUP BY job_set_id
) d ON d.job_set_id = u.id
WHERE s.id = u.id
"""


def _value(column: str) -> str:
    """The new value of a column, from the old row j and the patch p."""
    if column not in PATCHED:
        return f"j.{column}"
    if column in ("position", "state"):
        return f"p.{column}"
    if column in OF_THE_RUN:
        return f"CASE WHEN p.reset THEN p.{column} ELSE coalesce(p.{column}, j.{column}) END"
    return f"coalesce(p.{column}, j.{column})"


def _move(src: int, dst: int) -> str:
    """Common table expressions for jobs of one table before the batch and of another (or the same) after it."""
    wanted = f"p.src = {src} AND p.dst = {dst} AND j.job_id = p.job_id"
    moved = f"moved_{src}{dst}"
    if src == dst:
        changes = ", ".join(f"{column} = {_value(column)}" for column in PATCHED)
        return f"""{moved} AS (
  UPDATE {PHASES[src]} j SET {changes} FROM {tables.PATCH} p WHERE {wanted} RETURNING j.job_set_id, p.before, j.state
)"""
    values = ", ".join(f"{_value(column)} AS {column}" for column in COLUMNS)
    names = ", ".join(COLUMNS)
    return f"""{moved} AS (
  DELETE FROM {PHASES[src]} j USING {tables.PATCH} p WHERE {wanted} RETURNING {values}, p.before
), placed_{src}{dst} AS (
  INSERT INTO {PHASES[dst]} ({names}) SELECT {names} FROM {moved}
)"""


@cache
def moves(pairs: frozenset[tuple[int, int]]) -> str:
    """One statement for all moves of a batch (each job takes part in one), and the counters' share of them."""
    parts = ",\n".join(_move(src, dst) for src, dst in sorted(pairs))
    changed = "\nUNION ALL ".join(
        f"SELECT job_set_id, before AS state, -1 AS n FROM moved_{src}{dst} "
        f"UNION ALL SELECT job_set_id, state, 1 FROM moved_{src}{dst}"
        for src, dst in sorted(pairs)
    )
    return f"""
WITH {parts}
INSERT INTO {tables.DELTAS} SELECT job_set_id, state, sum(n) FROM ({changed}) c GROUP BY job_set_id, state
"""
