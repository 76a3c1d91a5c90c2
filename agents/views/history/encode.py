"""From a plan to row operations: rows in the binary form of COPY, arrays for the few, and the statements of merge.py.

Input: a Plan. Output: operations in the order in which they must run. Format: COPY of PostgreSQL, "Binary Format".
"""

import struct
from collections.abc import Callable, Iterable

import msgspec

from agents.views.history import merge, tables
from agents.views.history.rows import (
    ANNOTATIONS,
    BEFORE,
    CLIENT_ID,
    COLUMNS,
    EXIT_CODE,
    EXTRA,
    GANG,
    LABELS,
    LAST_TRANSITION,
    PATCHED,
    POSITION,
    PRIORITY,
    REASON,
    REQUESTOR,
    RESET,
    RUN_ID,
    STARTED,
    STATE,
    JobRow,
    Plan,
)
from agents.views.history.tables import PHASE_OF_STATE, PHASES
from app.db.codecs import packed_body
from app.domain.lifecycle import STATES
from app.views.view import Copy, Execute, Intern, Operation

EPOCH_MS = 946_684_800_000
HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
NULL = b"\xff\xff\xff\xff"

_INT = struct.Struct(">i")
_INT4 = struct.Struct(">ii")
_INT8 = struct.Struct(">iq")
_FIXED = struct.Struct(">h i16s i16s iq iq iq iq iq iq iq iq iq ii ii ii ii ih ih i?")
_PATCH = struct.Struct(">h i16s ih ih ih i? iq ih ih")
_EVENTS = struct.Struct(">h iq iq iq ii i")

_LEADING = ("position", "state", "attempt", "last_transition")
PATCH_COLUMNS = (
    "job_id",
    "before",
    "src",
    "dst",
    "reset",
    *_LEADING,
    *(column for column in PATCHED if column not in _LEADING),
)
EVENTS_COLUMNS = ("position", "at", "job_set_id", "count", "body")


def operations(plan: Plan) -> list[Operation]:
    """What brings the tables to where the plan says."""
    out: list[Operation] = [
        Intern(table=tables.NAMES, columns=("id", "kind", "name"), rows=plan.names),
        Intern(
            table=tables.JOB_SETS, columns=("id", "queue_id", "incarnation", "partition", "name"), rows=plan.job_sets
        ),
    ]
    by_phase: list[list[bytes]] = [[] for _ in PHASES]
    for row in plan.new.values():
        by_phase[PHASE_OF_STATE[row[STATE]]].append(_job(row))
    out += [
        Copy(table=table, columns=COLUMNS, body=_copy(rows))
        for table, rows in zip(PHASES, by_phase, strict=True)
        if rows
    ]
    if plan.events:
        out.append(Copy(table=tables.EVENTS, columns=EVENTS_COLUMNS, body=_copy(_events(plan))))
    # Old rows are read before they move.
    if plan.runs:
        out.append(Execute(purpose="runs that ended", statement=merge.RUNS, arguments=_columns(_runs(plan), 16)))
    if plan.patches:
        moves: set[tuple[int, int]] = set()
        rows = [_patch(row, moves) for row in plan.patches.values()]
        out.append(Copy(table=tables.PATCH, columns=PATCH_COLUMNS, body=_copy(rows)))
        out.append(Execute(purpose="jobs move", statement=merge.moves(frozenset(moves))))
    if plan.errors:
        out.append(Execute(purpose="errors", statement=merge.ERRORS, arguments=_columns(_errors(plan), 8)))
    if plan.changes:
        out.append(Execute(purpose="counters", statement=merge.COUNTERS, arguments=_counters(plan)))
    return out


def _job(row: JobRow) -> bytes:
    """A row of COLUMNS."""
    fixed = _FIXED.pack(
        len(COLUMNS), 16, row[0], 16, row[1], 8, (row[2] - EPOCH_MS) * 1000, 8, row[3], 8, row[4], 8, row[5], 8, row[6],
        8, row[7], 8, row[8], 8, row[9], 8, row[10], 4, row[11], 4, row[12], 4, row[13], 4, row[14], 2, row[15], 2,
        row[16], 1, row[17],
    )  # fmt: skip
    run = b"".join(_run(row)) if row[RUN_ID] is not None or row[EXIT_CODE] is not None else _no_run(row)
    return b"".join(
        (
            fixed,
            run,
            _text(row[CLIENT_ID]),
            _text(row[GANG]),
            _labels(row[LABELS]),
            _lexemes(row[ANNOTATIONS]),
            _text(row[EXTRA]),
            _text(row[REASON]),
            _text(row[REQUESTOR]),
        )
    )


def _patch(row: JobRow, moves: set[tuple[int, int]]) -> bytes:
    """A row of PATCH_COLUMNS; notes which move it takes part in."""
    before, state = row[BEFORE], row[STATE]
    src, dst = PHASE_OF_STATE[before], PHASE_OF_STATE[state]
    moves.add((src, dst))
    fixed = _PATCH.pack(
        len(PATCH_COLUMNS), 16, row[0], 2, before, 2, src, 2, dst, 1, row[RESET] == 1, 8, row[POSITION], 2, state, 2,
        row[16],
    )  # fmt: skip
    return b"".join(
        (
            fixed,
            _time(row[LAST_TRANSITION]),
            NULL if row[PRIORITY] is None else _INT4.pack(4, row[PRIORITY]),
            *_run(row),
            _text(row[REASON]),
            _text(row[REQUESTOR]),
        )
    )


def _run(row: JobRow) -> Iterable[bytes]:
    run_id, node, cluster, pool, leased, pending, started, category, code, exit_code = row[RUN_ID : EXIT_CODE + 1]
    return (
        NULL if run_id is None else b"\0\0\0\x10" + run_id,
        NULL if node is None else _INT8.pack(8, node),
        NULL if cluster is None else _INT8.pack(8, cluster),
        NULL if pool is None else _INT8.pack(8, pool),
        _time(leased),
        _time(pending),
        _time(started),
        NULL if category is None else _INT8.pack(8, category),
        NULL if code is None else _INT8.pack(8, code),
        NULL if exit_code is None else _INT4.pack(4, exit_code),
    )


def _no_run(row: JobRow) -> bytes:
    """The usual job that is queued: nothing of a run, perhaps the reason of its end."""
    if row[STARTED + 1] is None and row[STARTED + 2] is None:
        return NULL * 10
    return b"".join(_run(row))


def _time(time_ms: int | None) -> bytes:
    return NULL if time_ms is None else _INT8.pack(8, (time_ms - EPOCH_MS) * 1000)


def _text(value: str | None) -> bytes:
    if value is None:
        return NULL
    data = value.encode()
    if b"\0" in data:
        data = data.replace(b"\0", b"\xef\xbf\xbd")
    return _INT.pack(len(data)) + data


def _labels(labels: dict[str, str]) -> bytes:
    data = msgspec.json.encode(labels)
    return _INT.pack(len(data)) + data


def _lexemes(lexemes: list[bytes]) -> bytes:
    """A tsvector without positions; the server sorts it."""
    data = b"".join([lexeme + b"\0\0\0" for lexeme in lexemes])
    return _INT.pack(len(data) + 4) + _INT.pack(len(lexemes)) + data


def _events(plan: Plan) -> Iterable[bytes]:
    for row in plan.events:
        body = packed_body(row.body)
        at = (row.at - EPOCH_MS) * 1000
        yield _EVENTS.pack(5, 8, row.position, 8, at, 8, row.job_set_id, 4, row.count, len(body)) + body


def _copy(rows: Iterable[bytes]) -> bytes:
    return b"".join((HEADER, *rows, TRAILER))


def _columns(rows: Iterable[tuple[object, ...]], width: int) -> tuple[list[object], ...]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    assert len(columns) == width, "as many columns as the statement has arguments"
    return tuple(columns)


def _clean(value: str | None) -> str | None:
    return value.replace("\0", "\ufffd") if value is not None else None


def _runs(plan: Plan) -> Iterable[tuple[object, ...]]:
    for run in plan.runs:
        yield (
            run.job_id,
            run.attempt,
            run.finished,
            run.run_id,
            run.cluster_id,
            run.node_id,
            run.pool_id,
            run.leased,
            run.pending,
            run.started,
            run.exit_code,
            run.category_id,
            run.code_id,
            run.outcome,
            _clean(run.reason),
            run.whole,
        )


def _errors(plan: Plan) -> Iterable[tuple[object, ...]]:
    for error in plan.errors:
        texts = (error.code, error.message, error.containers)
        yield (error.job_id, error.position, error.at, error.attempt, error.kind, *map(_clean, texts))


def _counters(plan: Plan) -> tuple[object, ...]:
    """Arguments of merge.COUNTERS: job sets with times, then the counts of new jobs."""
    changes = list(plan.changes.items())
    new = [
        (number, state, count)
        for number, change in changes
        for state, count in enumerate(change.counts)
        if count and state < len(STATES)
    ]
    picked: tuple[Callable[[tuple[int, int, int]], int], ...] = (lambda c: c[0], lambda c: c[1], lambda c: c[2])
    return (
        [number for number, _ in changes],
        [change.first_submitted for _, change in changes],
        [change.last_transition for _, change in changes],
        *([pick(item) for item in new] for pick in picked),
    )
