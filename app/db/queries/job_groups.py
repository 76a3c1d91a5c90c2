"""Jobs counted by what they have in common. Inputs: Database, filter, keys. Output: GroupPage.

Groups by queue, job set and state of filters by queue and job set come from the counters of view history, whatever
their size. Other groups are counted over the newest SAMPLE_MAX jobs that match (by annotations ANNOTATED_MAX), and the
answer says whether that was all of them.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct

from app.db.database import Database
from app.db.engine import Connection
from app.db.names import Names
from app.db.queries.job_filter import Conditions, JobFilter, conditions
from app.db.queries.job_sets import COUNT_COLUMNS
from app.domain.lifecycle import STATE_CODES, STATES, JobState

SAMPLE_MAX = 50_000
ANNOTATED_MAX = 10_000
"""looking into annotations costs five times the rest of a row"""
GROUPS_MAX = 200


class GroupBy(StrEnum):
    """What jobs are grouped by; `annotation:KEY` is another."""

    QUEUE = "queue"
    JOB_SET = "jobSet"
    STATE = "state"
    NAMESPACE = "namespace"
    OWNER = "owner"
    PRIORITY_CLASS = "priorityClass"
    CLUSTER = "cluster"
    NODE = "node"
    POOL = "pool"
    EXIT_CODE = "exitCode"
    REASON_CODE = "reasonCode"
    FAILURE_CATEGORY = "failureCategory"


NAMED = {
    GroupBy.QUEUE: "queue_id",
    GroupBy.NAMESPACE: "namespace_id",
    GroupBy.OWNER: "owner_id",
    GroupBy.PRIORITY_CLASS: "class_id",
    GroupBy.CLUSTER: "cluster_id",
    GroupBy.NODE: "node_id",
    GroupBy.POOL: "pool_id",
    GroupBy.REASON_CODE: "code_id",
    GroupBy.FAILURE_CATEGORY: "category_id",
}
"""keys whose column holds the number of a name"""
ANNOTATION = "annotation:"

SUMS = ", ".join(f"sum({column}) AS {column}" for column in COUNT_COLUMNS)
# Counters of the job sets that match, grouped; the latest change first.
COUNTED = """
SELECT {keys}, min(first_submitted) AS first_submitted, max(last_transition) AS last_transition, {sums}
FROM history_job_sets WHERE {where} GROUP BY {places} HAVING {live} ORDER BY max(last_transition) DESC NULLS LAST
LIMIT {limit} OFFSET {offset}
"""
# The newest jobs that match, grouped by state as well; the largest group first.
SAMPLED = """
SELECT {keys}, state, count(*) AS jobs, max(last_transition) AS last_transition
FROM (SELECT * FROM history_jobs WHERE {where} ORDER BY job_id DESC LIMIT {sample}) AS j
GROUP BY {places}, state
"""
SET_NAMES = "SELECT id, name FROM history_job_sets WHERE id = ANY($1::bigint[])"


class Group(Struct, frozen=True, kw_only=True):
    """Jobs that have the same values of the keys (None: they have none). last_transition_ms: of the latest."""

    values: tuple[str | None, ...]
    counts: dict[JobState, int]
    last_transition_ms: int | None
    first_submitted_ms: int | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class GroupPage(Struct, frozen=True, kw_only=True):
    """more: there are further groups. complete: every matching job was counted."""

    groups: tuple[Group, ...]
    more: bool
    complete: bool


async def job_groups(
    database: Database, wanted: JobFilter, by: Sequence[str], *, limit: int = 50, offset: int = 0, active: bool = False
) -> GroupPage:
    """active: only groups with live jobs. Raises ValueError for unknown keys or a limit outside 1 to 200, Unavailable,
    QueryTimeout."""
    if not 1 <= limit <= GROUPS_MAX:
        raise ValueError(f"a page has 1 to {GROUPS_MAX} groups, {limit} were asked for")
    plain = JobFilter(queues=wanted.queues, job_set=wanted.job_set)
    is_plain = wanted == plain
    counted = is_plain and set(by) in ({"queue"}, {"jobSet"}, {"queue", "jobSet"})
    async with database.snapshot() as connection:
        where = await conditions(connection, wanted)
        if where is None:
            return GroupPage(groups=(), more=False, complete=True)
        if is_plain and list(by) == [GroupBy.STATE]:
            return await _by_state(connection, where)
        if counted:
            return await _counted(connection, database.names, where, by, limit, offset, active)
        return await _sampled(connection, database.names, where, by, limit, offset, active)


async def _counted(
    connection: Connection, known: Names, where: Conditions, by: Sequence[str], limit: int, offset: int, active: bool
) -> GroupPage:
    keys = ", ".join("queue_id AS k_queue" if key == "queue" else "name AS k_jobset" for key in by)
    live = " + ".join(f"sum({column})" for column in (COUNT_COLUMNS[:4] if active else COUNT_COLUMNS))
    statement = COUNTED.format(
        keys=keys,
        sums=SUMS,
        where=_of_sets(where),
        places=", ".join(str(place) for place in range(1, len(by) + 1)),
        live=f"{live} > 0",
        limit=limit + 1,
        offset=offset,
    )
    rows = await connection.fetch(statement, *where.arguments)
    names = await known.fetch(connection, (row["k_queue"] for row in rows)) if "queue" in by else {}
    groups = tuple(
        Group(
            values=tuple(names.get(row["k_queue"]) if key == "queue" else row["k_jobset"] for key in by),
            counts=_counts(row),
            last_transition_ms=row["last_transition"],
            first_submitted_ms=row["first_submitted"],
        )
        for row in rows[:limit]
    )
    return GroupPage(groups=groups, more=len(rows) > limit, complete=True)


async def _by_state(connection: Connection, where: Conditions) -> GroupPage:
    row = await connection.fetchrow(f"SELECT {SUMS} FROM history_job_sets WHERE {_of_sets(where)}", *where.arguments)
    counts = _counts(row) if row else {}
    groups = tuple(
        Group(values=(state.value,), counts={state: number}, last_transition_ms=None, first_submitted_ms=None)
        for state, number in counts.items()
        if number
    )
    return GroupPage(groups=groups, more=False, complete=True)


def _of_sets(where: Conditions) -> str:
    """Conditions on job sets, said of their own table."""
    return where.sql.replace("job_set_id", "id")


def _counts(row: Any) -> dict[JobState, int]:
    """Jobs by state from a row of SUMS; sums of no rows are null."""
    return {state: int(row[column] or 0) for state, column in zip(STATES, COUNT_COLUMNS, strict=True)}


async def _sampled(
    connection: Connection, known: Names, where: Conditions, by: Sequence[str], limit: int, offset: int, active: bool
) -> GroupPage:
    if active:
        codes = sorted(STATE_CODES[state] for state in STATES[:4])
        where.add("state = ANY({}::smallint[])", codes)
    columns = [_column(key, where) for key in by]
    sample = ANNOTATED_MAX if any(key.startswith(ANNOTATION) for key in by) else SAMPLE_MAX
    statement = SAMPLED.format(
        keys=", ".join(f"{column} AS k{index}" for index, column in enumerate(columns)),
        where=where.sql,
        sample=sample,
        places=", ".join(str(place) for place in range(1, len(by) + 1)),
    )
    rows = await connection.fetch(statement, *where.arguments)
    texts = await _texts(connection, known, by, rows)
    merged: dict[tuple[str | None, ...], dict[JobState, int]] = {}
    latest: dict[tuple[str | None, ...], int] = {}
    for row in rows:
        values = tuple(_text(key, row[f"k{index}"], texts) for index, key in enumerate(by))
        counts = merged.setdefault(values, {})
        state = STATES[row["state"]]
        counts[state] = counts.get(state, 0) + row["jobs"]
        latest[values] = max(latest.get(values, 0), row["last_transition"])
    groups = sorted(
        (
            Group(values=values, counts=counts, last_transition_ms=latest[values], first_submitted_ms=None)
            for values, counts in merged.items()
        ),
        key=lambda group: (-group.total, tuple(value or "" for value in group.values)),
    )
    complete = sum(group.total for group in groups) < sample
    some = tuple(groups[offset : offset + limit])
    return GroupPage(groups=some, more=len(groups) > offset + limit, complete=complete)


def _column(key: str, where: Conditions) -> str:
    if key.startswith(ANNOTATION) and len(key) > len(ANNOTATION):
        place = where.place(key.removeprefix(ANNOTATION) + "=")
        return (
            f"(SELECT substr(a, length({place}::text) + 1) FROM unnest(tsvector_to_array(annotations)) AS a "
            f"WHERE starts_with(a, {place}) LIMIT 1)"
        )
    if key == GroupBy.JOB_SET:
        return "job_set_id"
    if key == GroupBy.STATE:
        return "state"
    if key == GroupBy.EXIT_CODE:
        return "exit_code"
    if key in NAMED:
        return NAMED[GroupBy(key)]
    raise ValueError(f"{key!r} is not one of {', '.join(GroupBy)} or annotation:KEY")


async def _texts(connection: Connection, known: Names, by: Sequence[str], rows: Sequence[Any]) -> dict[int, str]:
    """The names of all numbers in the keys."""
    named = [f"k{index}" for index, key in enumerate(by) if key in NAMED]
    found = await known.fetch(connection, (row[column] for row in rows for column in named))
    if GroupBy.JOB_SET in by:
        column = f"k{by.index(GroupBy.JOB_SET)}"
        sets = await connection.fetch(SET_NAMES, list({row[column] for row in rows}))
        found |= {row["id"]: row["name"] for row in sets}
    return found


def _text(key: str, value: int | str | None, texts: dict[int, str]) -> str | None:
    if isinstance(value, int):
        if key in NAMED or key == GroupBy.JOB_SET:
            return texts.get(value)
        return STATES[value].value if key == GroupBy.STATE else str(value)
    return value
