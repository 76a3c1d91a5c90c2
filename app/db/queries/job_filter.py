"""Which jobs a page shows, and the SQL that says so. Input: JobFilter. Output: conditions and arguments."""

from collections.abc import Collection

from asyncpg import Record
from msgspec import Struct
from msgspec.structs import replace

from app.db import names
from app.db.engine import Connection
from app.db.errors import TooMuchMatched
from app.domain.ids import ulid
from app.domain.lifecycle import ENDED, STATE_CODES, JobState

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
# Which of these numbers there are.
KNOWN_NAMES = "SELECT id FROM history_names WHERE id = ANY($1::bigint[])"


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


CHANGING = {
    "states": (),
    "cluster": None,
    "node": None,
    "pool": None,
    "failure_category": None,
    "reason_code": None,
    "priority": None,
    "exit_code": None,
    "last_transition": None,
}
"""the conditions that a job may come to meet or not to meet any more, as they are when nothing is asked"""


def lasting(wanted: JobFilter) -> JobFilter:
    """The part of a filter that holds for a job for ever, or never."""
    return replace(wanted, **CHANGING)


def changing(wanted: JobFilter) -> JobFilter:
    """The rest of it."""
    return JobFilter(**{name: getattr(wanted, name) for name in CHANGING})


class Conditions:
    """WHERE of one statement, with its arguments."""

    def __init__(self, arguments: list[object] | None = None) -> None:
        self.texts: list[str] = []
        self.arguments: list[object] = arguments if arguments is not None else []

    def add(self, text: str, *arguments: object) -> None:
        """`{}` stands for each argument in turn."""
        self.texts.append(text.format(*[self.place(argument) for argument in arguments]))

    def place(self, argument: object) -> str:
        """What stands for an argument in the statement."""
        self.arguments.append(argument)
        return f"${len(self.arguments)}"

    def copy(self) -> "Conditions":
        """The same, to go on with."""
        made = Conditions(list(self.arguments))
        made.texts = list(self.texts)
        return made

    def beside(self) -> "Conditions":
        """No conditions yet, for another place of the same statement."""
        return Conditions(self.arguments)

    @property
    def sql(self) -> str:
        return " AND ".join(self.texts) or "true"


async def conditions(connection: Connection, wanted: JobFilter) -> Conditions | None:
    """The conditions of a filter; None when nothing can match it. Raises TooMuchMatched."""
    where = Conditions()
    return where if await add_conditions(connection, where, wanted) else None


async def add_conditions(connection: Connection, where: Conditions, wanted: JobFilter) -> bool:
    """Whether anything can match. Raises TooMuchMatched."""
    queue_ids = [names.name_id(names.QUEUE, queue) for queue in wanted.queues]
    if wanted.job_set is not None:
        sets = await _matching_sets(connection, queue_ids or None, wanted.job_set)
        if not sets:
            return False
        where.add("job_set_id = {}" if len(sets) == 1 else "job_set_id = ANY({}::bigint[])", _one_or_list(sets))
    elif queue_ids:
        where.add("queue_id = {}" if len(queue_ids) == 1 else "queue_id = ANY({}::bigint[])", _one_or_list(queue_ids))
    if wanted.ids:
        where.add("job_id = ANY({}::uuid[])", list(wanted.ids))
    if wanted.states:
        codes = sorted({STATE_CODES[state] for state in wanted.states})
        where.add("state = {}" if len(codes) == 1 else "state = ANY({}::smallint[])", _one_or_list(codes))
    elif wanted.failure_category is not None or wanted.reason_code is not None:
        # Said as it is, so that other tables are left out and the indexes of what failed can serve.
        where.add(f"state IN ({_codes(ENDED - {JobState.SUCCEEDED})})")
    elif wanted.exit_code is not None:
        where.add(f"state IN ({_codes(ENDED if _takes_zero(wanted.exit_code) else ENDED - {JobState.SUCCEEDED})})")
    elif wanted.pool is not None or wanted.cluster is not None or wanted.node is not None:
        where.add(f"state <> {STATE_CODES[JobState.QUEUED]}")
    _add_numbers(where, wanted)
    _add_times(where, wanted)
    for annotation in wanted.annotations:
        where.add("annotations @@ {}::tsquery", _annotation_query(annotation))
    return await _add_names(connection, where, wanted)


def _codes(states: Collection[JobState]) -> str:
    return ", ".join(str(code) for code in sorted(STATE_CODES[state] for state in states))


def _takes_zero(numbers: NumberRange) -> bool:
    """Whether 0, the exit code of what succeeded, may match."""
    return (
        (numbers.any_of is None or 0 in numbers.any_of)
        and (numbers.above is None or numbers.above < 0)
        and (numbers.at_least is None or numbers.at_least <= 0)
        and (numbers.below is None or numbers.below > 0)
        and (numbers.at_most is None or numbers.at_most >= 0)
    )


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
        rows = await _matching_names(connection, kind, text)
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


async def _matching_names(connection: Connection, kind: str, wanted: TextFilter) -> list[Record]:
    pattern = _pattern(wanted)
    if wanted.any_of is not None and pattern is None and kind != names.NODE:
        # The number of a name is known; that of a node needs its cluster as well.
        return await connection.fetch(KNOWN_NAMES, [names.name_id(kind, name) for name in wanted.any_of])
    values = None if wanted.any_of is None else list(wanted.any_of)
    return await connection.fetch(MATCHING_NAMES, kind, values, pattern, NAMES_MATCHED_MAX + 1)


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
