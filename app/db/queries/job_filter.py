"""Which jobs a page shows and in which order, and the SQL that says so.

Input: JobFilter, JobOrder, PageRequest. Output: conditions and arguments.
"""

from enum import StrEnum

from msgspec import Struct

from app.db import names
from app.db.engine import Connection
from app.db.errors import TooMuchMatched
from app.domain.ids import ulid
from app.domain.lifecycle import STATE_CODES, JobState

PAGE_ROWS_MAX = 200
JOB_SETS_MATCHED_MAX = 10_000
NAMES_MATCHED_MAX = 10_000

# Job sets of given queues (any queue when the list is null) with given names, prefix or part.
MATCHING_SETS = """
SELECT id FROM history_job_sets
WHERE ($1::bigint[] IS NULL OR queue_id = ANY($1)) AND ($2::text[] IS NULL OR name = ANY($2)) AND ($3::text IS NULL OR
name LIKE $3)
LIMIT $4
"""

# Names of one kind with given values, prefix or part.
MATCHING_NAMES = """
SELECT id FROM history_names
WHERE kind = $1 AND ($2::text[] IS NULL OR name = ANY($2)) AND ($3::text IS NULL OR name LIKE $3) LIMIT $4
"""


class TextFilter(Struct, frozen=True, kw_only=True):
    """What a name must be; all that is given must hold."""

    any_of: tuple[str, ...] | None = None
    starts_with: str | None = None
    contains: str | None = None


class NumberRange(Struct, frozen=True, kw_only=True):
    """What a number must be, in the unit of its column; all that is given must hold."""

    any_of: tuple[int, ...] | None = None
    above: int | None = None
    at_least: int | None = None
    below: int | None = None
    at_most: int | None = None


class TimeRange(Struct, frozen=True, kw_only=True):
    """From `after_ms` on, before `before_ms`."""

    after_ms: int | None = None
    before_ms: int | None = None


class AnnotationFilter(Struct, frozen=True, kw_only=True):
    """An annotation with one of the values, a prefix, or (neither) any value."""

    key: str
    any_of: tuple[str, ...] | None = None
    starts_with: str | None = None


class JobFilter(Struct, frozen=True, kw_only=True):
    """Everything given must hold; an empty tuple or None is no condition."""

    ids: tuple[bytes, ...] = ()
    queues: tuple[str, ...] = ()
    job_set: TextFilter | None = None
    states: tuple[JobState, ...] = ()
    owner: TextFilter | None = None
    namespace: TextFilter | None = None
    priority_class: TextFilter | None = None
    cluster: TextFilter | None = None
    node: TextFilter | None = None
    pool: TextFilter | None = None
    failure_category: TextFilter | None = None
    reason_code: TextFilter | None = None
    cpu_milli: NumberRange | None = None
    memory_bytes: NumberRange | None = None
    storage_bytes: NumberRange | None = None
    gpus: NumberRange | None = None
    priority: NumberRange | None = None
    exit_code: NumberRange | None = None
    submitted: TimeRange | None = None
    last_transition: TimeRange | None = None
    annotations: tuple[AnnotationFilter, ...] = ()


class JobOrderField(StrEnum):
    """ID and SUBMITTED are one order: an id begins with its job's time."""

    ID = "ID"
    SUBMITTED = "SUBMITTED"
    LAST_TRANSITION = "LAST_TRANSITION"


class JobOrder(Struct, frozen=True, kw_only=True):
    """The order of a list; equal times are ordered by id."""

    field: JobOrderField = JobOrderField.ID
    descending: bool = True


class JobKey(Struct, frozen=True, kw_only=True):
    """Where a page begins or ends: what a cursor of a list holds."""

    job_id: bytes
    last_transition_ms: int


class PageRequest(Struct, frozen=True, kw_only=True):
    """Up to `limit` (1 to 200) jobs after `key`, or, backwards, the last ones before it."""

    limit: int = 50
    key: JobKey | None = None
    backwards: bool = False


class Conditions:
    """WHERE of one statement, with its arguments."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.arguments: list[object] = []

    def add(self, text: str, *arguments: object) -> None:
        """`{}` stands for each argument in turn."""
        self.texts.append(text.format(*[self.place(argument) for argument in arguments]))

    def place(self, argument: object) -> str:
        """What stands for an argument in the statement."""
        self.arguments.append(argument)
        return f"${len(self.arguments)}"

    @property
    def sql(self) -> str:
        return " AND ".join(self.texts) or "true"


async def conditions(connection: Connection, wanted: JobFilter) -> Conditions | None:
    """The conditions of a filter; None when nothing can match it. Raises TooMuchMatched."""
    where = Conditions()
    queue_ids = [names.name_id(names.QUEUE, queue) for queue in wanted.queues]
    if wanted.job_set is not None:
        sets = await _matching_sets(connection, queue_ids or None, wanted.job_set)
        if not sets:
            return None
        where.add("job_set_id = {}" if len(sets) == 1 else "job_set_id = ANY({}::bigint[])", _one_or_list(sets))
    elif queue_ids:
        where.add("queue_id = {}" if len(queue_ids) == 1 else "queue_id = ANY({}::bigint[])", _one_or_list(queue_ids))
    if wanted.ids:
        where.add("job_id = ANY({}::uuid[])", list(wanted.ids))
    if wanted.states:
        codes = sorted({STATE_CODES[state] for state in wanted.states})
        where.add("state = {}" if len(codes) == 1 else "state = ANY({}::smallint[])", _one_or_list(codes))
    _add_numbers(where, wanted)
    _add_times(where, wanted)
    for annotation in wanted.annotations:
        where.add("annotations @@ {}::tsquery", _annotation_query(annotation))
    return where if await _add_names(connection, where, wanted) else None


async def _add_names(connection: Connection, where: Conditions, wanted: JobFilter) -> bool:
    """Whether there can be such jobs at all."""
    for column, kind, text in (
        ("owner_id", names.OWNER, wanted.owner),
        ("namespace_id", names.NAMESPACE, wanted.namespace),
        ("class_id", names.CLASS, wanted.priority_class),
        ("cluster_id", names.CLUSTER, wanted.cluster),
        ("node_id", names.NODE, wanted.node),
        ("pool_id", names.POOL, wanted.pool),
        ("category_id", names.CATEGORY, wanted.failure_category),
        ("code_id", names.CODE, wanted.reason_code),
    ):
        if text is None:
            continue
        values = None if text.any_of is None else list(text.any_of)
        rows = await connection.fetch(MATCHING_NAMES, kind, values, _pattern(text), NAMES_MATCHED_MAX + 1)
        if len(rows) > NAMES_MATCHED_MAX:
            raise TooMuchMatched(f"filter: more than {NAMES_MATCHED_MAX:,} names of kind {kind} match; narrow it")
        numbers = [row["id"] for row in rows]
        if not numbers:
            return False
        where.add(column + (" = {}" if len(numbers) == 1 else " = ANY({}::bigint[])"), _one_or_list(numbers))
    return True


def _add_numbers(where: Conditions, wanted: JobFilter) -> None:
    for column, numbers in (
        ("cpu", wanted.cpu_milli),
        ("memory", wanted.memory_bytes),
        ("storage", wanted.storage_bytes),
        ("gpus", wanted.gpus),
        ("priority", wanted.priority),
        ("exit_code", wanted.exit_code),
    ):
        if numbers is None:
            continue
        if numbers.any_of is not None:
            where.add(column + " = ANY({}::bigint[])", list(numbers.any_of))
        for sign, bound in (
            (">", numbers.above),
            (">=", numbers.at_least),
            ("<", numbers.below),
            ("<=", numbers.at_most),
        ):
            if bound is not None:
                where.add(f"{column} {sign} {{}}::bigint", bound)


def _add_times(where: Conditions, wanted: JobFilter) -> None:
    """An id begins with the time of its submission, so ranges of it are ranges of ids."""
    for column, times, as_argument, cast in (
        ("job_id", wanted.submitted, lambda at_ms: ulid(at_ms, 0), "uuid"),
        ("last_transition", wanted.last_transition, lambda at_ms: at_ms, "timestamptz"),
    ):
        if times is not None and times.after_ms is not None:
            where.add(f"{column} >= {{}}::{cast}", as_argument(times.after_ms))
        if times is not None and times.before_ms is not None:
            where.add(f"{column} < {{}}::{cast}", as_argument(times.before_ms))


def _annotation_query(wanted: AnnotationFilter) -> str:
    """A tsquery of lexemes `key=value`."""
    if wanted.any_of is not None:
        return " | ".join(_lexeme(f"{wanted.key}={value}") for value in wanted.any_of)
    return _lexeme(f"{wanted.key}={wanted.starts_with or ''}") + ":*"


def _lexeme(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def order_by(order: JobOrder, backwards: bool) -> str:
    """ORDER BY of a page; a page read backwards is turned round afterwards."""
    way = "DESC" if order.descending != backwards else "ASC"
    if order.field is JobOrderField.LAST_TRANSITION:
        return f"last_transition {way}, job_id {way}"
    return f"job_id {way}"


def after_key(where: Conditions, order: JobOrder, page: PageRequest) -> None:
    """Adds the condition that continues after the page's key."""
    if page.key is None:
        return
    sign = "<" if order.descending != page.backwards else ">"
    if order.field is JobOrderField.LAST_TRANSITION:
        where.add(
            f"(last_transition, job_id) {sign} ({{}}::timestamptz, {{}}::uuid)",
            page.key.last_transition_ms,
            page.key.job_id,
        )
    else:
        where.add(f"job_id {sign} {{}}::uuid", page.key.job_id)


async def _matching_sets(connection: Connection, queue_ids: list[int] | None, wanted: TextFilter) -> list[int]:
    names_wanted = None if wanted.any_of is None else list(wanted.any_of)
    rows = await connection.fetch(MATCHING_SETS, queue_ids, names_wanted, _pattern(wanted), JOB_SETS_MATCHED_MAX + 1)
    if len(rows) > JOB_SETS_MATCHED_MAX:
        message = f"filter.jobSet: more than {JOB_SETS_MATCHED_MAX:,} job sets match; name a queue or more of the set"
        raise TooMuchMatched(message)
    return [row["id"] for row in rows]


def _pattern(wanted: TextFilter) -> str | None:
    if wanted.starts_with is not None:
        return _escaped(wanted.starts_with) + "%"
    return "%" + _escaped(wanted.contains) + "%" if wanted.contains is not None else None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _one_or_list(values: list[int]) -> object:
    return values[0] if len(values) == 1 else values
