"""The rows of a page of jobs in any order, by key both ways, without reading more than the page needs.

Inputs: a snapshot, filter, order, page. Output: rows of the history in the direction of reading, one more than the page
when there are more. Orders by columns walk an index. Orders by names and states go through their values one after the
other, each by an index of its own, until the page is full. A filter that few jobs match is answered by all of them.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from asyncpg import Record
from msgspec.structs import replace

from app.db import names
from app.db.engine import Connection
from app.db.queries.job_filter import Conditions, JobFilter, add_conditions, conditions
from app.db.queries.job_order import JobOrder, JobOrderField, KeyPart, PageRequest
from app.db.queries.job_records import COLUMNS
from app.domain.lifecycle import ENDED, STATE_CODES, STATES, JobState

FEW = 2_000
"""so many jobs at most are put in order here"""
VALUES_AT_ONCE = (4, 64, 512)
"""how many queues or job sets are gone through by one statement: few at first, since the first mostly fill the page"""
QUEUES_MAX = 100_000

# A page by columns that an index has in this order.
BY_COLUMNS = "SELECT {columns} FROM history_jobs WHERE {where} ORDER BY {order} LIMIT {limit}"
# What jobs of a filter are ordered by, as long as they are few.
FEW_MATCHES = """
SELECT job_id, queue_id, job_set_id, state, priority, last_transition, started FROM history_jobs WHERE {where}
LIMIT {limit}
"""
# Jobs by id.
BY_IDS = "SELECT {columns} FROM history_jobs WHERE job_id = ANY($1::uuid[])"
# Queues that ever had a job, one probe of the index each.
QUEUES = """
WITH RECURSIVE q(id) AS (
  (SELECT queue_id FROM history_job_sets ORDER BY queue_id LIMIT 1)
  UNION ALL
  SELECT (SELECT queue_id FROM history_job_sets WHERE queue_id > q.id ORDER BY queue_id LIMIT 1) FROM q
  WHERE q.id IS NOT NULL
)
SELECT q.id, n.name FROM q JOIN history_names n ON n.id = q.id LIMIT $1
"""
# Job sets by name; conditions are added.
JOB_SETS = """
SELECT id, name FROM history_job_sets WHERE {where} ORDER BY name COLLATE "C" {way}, id {way} LIMIT {limit}
"""
# Jobs of some queues or job sets, in the order in which those are given.
BY_VALUES = """
SELECT j.* FROM unnest({values}::bigint[]) WITH ORDINALITY AS v(id, place) CROSS JOIN LATERAL (
  SELECT {columns} FROM history_jobs WHERE {column} = v.id AND {where} ORDER BY job_id {way} LIMIT {limit}
) j ORDER BY v.place, j.job_id {way} LIMIT {limit}
"""
# Jobs that ran or run, by how long.
BY_RUN_TIME = """
SELECT * FROM (
  (SELECT {columns}, last_transition - started AS run_time FROM history_jobs
   WHERE state = ANY({ended}::smallint[]) AND started IS NOT NULL AND {ended_where}
   ORDER BY (last_transition - started) {way}, job_id {way} LIMIT {limit})
  UNION ALL
  (SELECT {columns}, {now}::timestamptz - last_transition AS run_time FROM history_jobs
   WHERE state = {running} AND {running_where}
   ORDER BY last_transition {other_way}, job_id {way} LIMIT {limit})
) AS r ORDER BY run_time {way}, job_id {way} LIMIT {limit}
"""

_BY_NAME = (JobOrderField.QUEUE, JobOrderField.JOB_SET)
_BY_TIME = (JobOrderField.ID, JobOrderField.SUBMITTED, JobOrderField.LAST_TRANSITION)
_ENDED_CODES = sorted(STATE_CODES[state] for state in ENDED)


async def page_rows(connection: Connection, wanted: JobFilter, order: JobOrder, page: PageRequest) -> list[Record]:
    """Up to page.limit + 1 rows with COLUMNS, in the direction of reading."""
    return await _Page(connection, wanted, order, page).rows()


class _Page:
    """One page that is being read."""

    def __init__(self, connection: Connection, wanted: JobFilter, order: JobOrder, page: PageRequest) -> None:
        self._connection = connection
        self._wanted = wanted
        self._field = order.field
        self._page = page
        self._key = page.key
        self._limit = page.limit + 1
        down = order.descending != page.backwards
        self._down = down
        self._way, self._other_way = ("DESC", "ASC") if down else ("ASC", "DESC")
        self._sign, self._other_sign = ("<", ">") if down else (">", "<")

    async def rows(self) -> list[Record]:
        where = await conditions(self._connection, self._wanted)
        if where is None:
            return []
        if self._is_narrow():
            few = await self._few(where)
            if few is not None:
                return few
        found: list[Record] = []
        async for rows in self._parts(where):
            found += rows
            if len(found) >= self._limit:
                break
        return found[: self._limit]

    def _parts(self, where: Conditions) -> AsyncIterator[list[Record]]:
        """The rows in order, part by part; each part has at most as many as the page needs."""
        if self._field is JobOrderField.LAST_TRANSITION:
            return self._by_column(where, "last_transition", "timestamptz")
        if self._field is JobOrderField.PRIORITY:
            return self._by_column(where, "priority", "int")
        if self._field is JobOrderField.STATE:
            return self._by_state()
        if self._field is JobOrderField.RUN_TIME:
            return self._by_run_time(where)
        if self._field in _BY_NAME:
            return self._by_name()
        return self._by_id(where)

    def _is_narrow(self) -> bool:
        """Whether few jobs may match: of whom the planner knows nothing, or who would be sought in long orders."""
        if self._wanted.annotations:
            return True
        plain = JobFilter(queues=self._wanted.queues, job_set=self._wanted.job_set, states=self._wanted.states)
        return self._field not in _BY_TIME and self._wanted != plain

    async def _few(self, where: Conditions) -> list[Record] | None:
        """The page out of all jobs that match; None when they are not few."""
        statement = FEW_MATCHES.format(where=where.sql, limit=FEW + 1)
        if self._wanted.annotations:
            # By the index of annotations alone: what else the planner believes about them is often wrong.
            await self._connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
        rows = await self._connection.fetch(statement, *where.arguments)
        if self._wanted.annotations:
            back = "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = on"
            # What is common is found soon by walking.
            await self._connection.execute(back + ("; SET LOCAL enable_bitmapscan = off" if len(rows) > FEW else ""))
        if len(rows) > FEW:
            return None
        keys = await self._sort_keys(rows)
        order = sorted(range(len(rows)), key=keys.__getitem__, reverse=self._down)
        if self._field is JobOrderField.RUN_TIME:
            order.sort(key=lambda place: rows[place]["started"] is None, reverse=self._page.backwards)
        ids = [rows[place]["job_id"] for place in order if self._is_behind(rows[place], keys[place])][: self._limit]
        found = {row["job_id"]: row for row in await self._connection.fetch(BY_IDS.format(columns=COLUMNS), ids)}
        return [found[job_id] for job_id in ids]

    def _is_behind(self, row: Record, key: tuple[Any, ...]) -> bool:
        """Whether a row comes after the page's key."""
        if self._key is None:
            return True
        begin: tuple[Any, ...] = (*self._key.sort, self._key.job_id)
        if self._field is JobOrderField.RUN_TIME:
            has_none, key_has_none = row["started"] is None, self._key.sort[0] == 1
            if has_none != key_has_none:
                return has_none != self._page.backwards
            begin = (self._key.sort[1], self._key.job_id)
        return key < begin if self._down else key > begin

    async def _sort_keys(self, rows: Sequence[Record]) -> list[tuple[Any, ...]]:
        """What rows are ordered by, with the id last: as JobKey.sort has it."""
        if self._field in _BY_NAME:
            column = "queue_id" if self._field is JobOrderField.QUEUE else "job_set_id"
            table = "history_names" if self._field is JobOrderField.QUEUE else "history_job_sets"
            statement = f"SELECT id, name FROM {table} WHERE id = ANY($1::bigint[])"
            found = await self._connection.fetch(statement, list({row[column] for row in rows}))
            known = {each["id"]: each["name"] for each in found}
            if self._field is JobOrderField.QUEUE:
                return [(known[row[column]], row["job_id"]) for row in rows]
            return [(known[row[column]], row[column], row["job_id"]) for row in rows]
        if self._field is JobOrderField.RUN_TIME:
            return [(self._run_ms(row), row["job_id"]) for row in rows]
        column = {
            JobOrderField.LAST_TRANSITION: "last_transition",
            JobOrderField.PRIORITY: "priority",
            JobOrderField.STATE: "state",
        }.get(self._field, "")
        return [(row[column], row["job_id"]) if column else (row["job_id"],) for row in rows]

    def _run_ms(self, row: Record) -> int:
        if row["started"] is None:
            return 0
        if row["state"] == STATE_CODES[JobState.RUNNING]:
            return int(self._page.reckoned_ms - row["last_transition"])
        return int(row["last_transition"] - row["started"])

    async def _by_id(self, where: Conditions) -> AsyncIterator[list[Record]]:
        if self._key is not None:
            where.add(f"job_id {self._sign} {{}}::uuid", self._key.job_id)
        yield await self._ordered(where, f"job_id {self._way}")

    async def _by_column(self, where: Conditions, column: str, cast: str) -> AsyncIterator[list[Record]]:
        if self._key is not None:
            text = f"({column}, job_id) {self._sign} ({{}}::{cast}, {{}}::uuid)"
            where.add(text, self._key.sort[0], self._key.job_id)
        yield await self._ordered(where, f"{column} {self._way}, job_id {self._way}")

    async def _by_state(self) -> AsyncIterator[list[Record]]:
        """State by state, so that each is looked for where it stands."""
        base = await conditions(self._connection, replace(self._wanted, states=()))
        if base is None:
            return
        codes = sorted({STATE_CODES[state] for state in self._wanted.states or STATES}, reverse=self._down)
        begin = int(self._key.sort[0]) if self._key is not None else codes[0]
        for code in codes:
            if code > begin if self._down else code < begin:
                continue
            where = base.copy()
            # Said as it is: which tables are read depends on it.
            where.add(f"state = {code}")
            if self._key is not None and code == begin:
                where.add(f"job_id {self._sign} {{}}::uuid", self._key.job_id)
            yield await self._ordered(where, f"job_id {self._way}")

    async def _by_run_time(self, where: Conditions) -> AsyncIterator[list[Record]]:
        key_has_none = self._key is not None and self._key.sort[0] == 1
        parts = (False, True) if not self._page.backwards else (True, False)
        for has_none in parts:
            if self._key is not None and has_none != key_has_none and has_none == self._page.backwards:
                continue
            is_in_part = self._key is not None and has_none == key_has_none
            if has_none:
                rest = where.copy()
                rest.add("started IS NULL")
                if is_in_part and self._key is not None:
                    rest.add(f"job_id {self._sign} {{}}::uuid", self._key.job_id)
                yield await self._ordered(rest, f"job_id {self._way}")
            else:
                yield await self._with_run_time(where.copy(), is_in_part)

    async def _with_run_time(self, where: Conditions, is_in_part: bool) -> list[Record]:
        ended, running = where.beside(), where.beside()
        ended.texts, running.texts = list(where.texts), list(where.texts)
        now_ms = self._page.reckoned_ms
        if is_in_part and self._key is not None:
            run_ms, job_id = int(self._key.sort[1]), self._key.job_id
            text = f"(last_transition - started, job_id) {self._sign} ({{}}::bigint * interval '1 ms', {{}}::uuid)"
            ended.add(text, run_ms, job_id)
            running.add(f"last_transition {self._other_sign}= {{}}::timestamptz", now_ms - run_ms)
            text = f"(last_transition {self._other_sign} {{}}::timestamptz OR job_id {self._sign} {{}}::uuid)"
            running.add(text, now_ms - run_ms, job_id)
        statement = BY_RUN_TIME.format(
            columns=COLUMNS,
            ended=where.place(_ENDED_CODES),
            running=STATE_CODES[JobState.RUNNING],
            now=where.place(now_ms),
            ended_where=ended.sql,
            running_where=running.sql,
            way=self._way,
            other_way=self._other_way,
            limit=self._limit,
        )
        return await self._connection.fetch(statement, *where.arguments)

    async def _by_name(self) -> AsyncIterator[list[Record]]:
        """Queue by queue or job set by job set, in the order of their names; several by one statement."""
        is_queue = self._field is JobOrderField.QUEUE
        rest = replace(self._wanted, queues=()) if is_queue else replace(self._wanted, queues=(), job_set=None)
        begin = None
        if self._key is not None:
            begin = names.name_id(names.QUEUE, str(self._key.sort[0])) if is_queue else self._key.sort[1]
        async for values in self._queues() if is_queue else self._job_sets():
            if values[0] == begin:
                # Of the first one the rows behind the key.
                yield await self._of_values(rest, values[:1], behind_key=True)
                values = values[1:]
            if values:
                yield await self._of_values(rest, values, behind_key=False)

    async def _of_values(self, wanted: JobFilter, values: Sequence[int], *, behind_key: bool) -> list[Record]:
        where = Conditions()
        place = where.place(list(values))
        if not await add_conditions(self._connection, where, wanted):
            return []
        if behind_key and self._key is not None:
            where.add(f"job_id {self._sign} {{}}::uuid", self._key.job_id)
        statement = BY_VALUES.format(
            values=place,
            columns=COLUMNS,
            column="queue_id" if self._field is JobOrderField.QUEUE else "job_set_id",
            where=where.sql,
            way=self._way,
            limit=self._limit,
        )
        return await self._connection.fetch(statement, *where.arguments)

    async def _queues(self) -> AsyncIterator[list[int]]:
        """Queues from the key's on, in the order of their names."""
        found = await self._connection.fetch(QUEUES, QUEUES_MAX)
        wanted = set(self._wanted.queues)
        begin = str(self._key.sort[0]) if self._key is not None else None
        values = [
            number
            for name, number in sorted(((row["name"], row["id"]) for row in found), reverse=self._down)
            if (begin is None or (name <= begin if self._down else name >= begin)) and (not wanted or name in wanted)
        ]
        for size in self._sizes():
            if not values:
                return
            yield values[:size]
            values = values[size:]

    async def _job_sets(self) -> AsyncIterator[list[int]]:
        """Job sets with jobs in the states that are wanted, from the key's on, in the order of their names."""
        plain = JobFilter(queues=self._wanted.queues, job_set=self._wanted.job_set)
        base = Conditions()
        if not await add_conditions(self._connection, base, plain):
            return
        base.texts = [text.replace("job_set_id", "id") for text in base.texts]
        counters = " + ".join(f"n_{state.value.lower()}" for state in self._wanted.states or STATES)
        base.add(f"{counters} > 0")
        after: tuple[KeyPart, ...] | None = self._key.sort if self._key is not None else None
        sign = self._sign + "="
        for size in self._sizes():
            where = base.copy()
            if after is not None:
                where.add(f'(name COLLATE "C", id) {sign} ({{}}::text, {{}}::bigint)', *after)
            statement = JOB_SETS.format(where=where.sql, way=self._way, limit=size)
            rows = await self._connection.fetch(statement, *where.arguments)
            if rows:
                yield [row["id"] for row in rows]
            if len(rows) < size:
                return
            after, sign = (rows[-1]["name"], rows[-1]["id"]), self._sign

    def _sizes(self) -> Iterator[int]:
        """How many values the next statement goes through."""
        yield from VALUES_AT_ONCE
        while True:
            yield VALUES_AT_ONCE[-1]

    async def _ordered(self, where: Conditions, order: str) -> list[Record]:
        statement = BY_COLUMNS.format(columns=COLUMNS, where=where.sql, order=order, limit=self._limit)
        return await self._connection.fetch(statement, *where.arguments)
