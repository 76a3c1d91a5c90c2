"""The state that deciding reads and changes: `StateReader` (a store), `Overlay` (a store and the changes of a step
on top of it).

A step decides several commands on one overlay. A command that raises is dropped as a whole (`drop`); everything
else is kept and at the end of the step the changed rows are taken out (`changed`). Values are rows of
app.domain.rows; None means deleted.
"""

import sys
from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from app.domain import limits
from app.domain.rows import (
    ClientIdRow,
    ClusterRow,
    JobRow,
    OperationRow,
    PositionRow,
    QueueRow,
    RequestIdRow,
    RunRow,
    SettingsRow,
)

StateRow = JobRow | RunRow | QueueRow | OperationRow | ClusterRow | SettingsRow | PositionRow
IdRow = ClientIdRow | RequestIdRow
Moves = dict[bytes, tuple[int | None, int | None]]
"""Job -> its generation in a gang before and now (None = no member)."""

FIRST_POSITION = PositionRow(
    offset=limits.FIRST_OFFSET,
    epoch=limits.FIRST_EPOCH,
    log_time_ms=0,
    settings_version=limits.FIRST_SETTINGS_VERSION,
)
FIRST_SETTINGS = SettingsRow(
    version=limits.FIRST_SETTINGS_VERSION,
    max_attempts=limits.FIRST_MAX_ATTEMPTS,
    client_id_retention_ms=limits.FIRST_CLIENT_ID_RETENTION_MS,
)


class GangKey(NamedTuple):
    """The name of a gang in a partition: incarnation of its queue and its id."""

    incarnation: int
    gang_id: str


def gang_key_of(row: JobRow) -> GangKey | None:
    """The gang of a job."""
    gang = row.more.gang if row.more is not None else None
    return GangKey(row.incarnation, gang.gang_id) if gang is not None else None


class StateReader(Protocol):
    """Rows of one partition as they stand before a step."""

    def row(self, key: bytes) -> StateRow | None:
        """A row of argosy.state by its key."""

    def id_row(self, key: bytes) -> IdRow | None:
        """A row of argosy.client-ids by its key."""

    def operations(self) -> Iterable[tuple[int, OperationRow]]:
        """Open operations, oldest first: offset of the command, row."""

    def jobs_of_set(self, incarnation: int, job_set: str, after: bytes, limit: int) -> list[bytes]:
        """Ids of live jobs of a job set above `after`, ascending, at most `limit`."""

    def jobs_of_queue(self, incarnation: int, limit: int) -> list[bytes]:
        """Ids of live jobs of a queue, any of them, at most `limit`."""

    def gang_sizes(self, gang: GangKey) -> Mapping[int, int]:
        """Numbers of live members of a gang by generation."""

    def gang_members(self, gang: GangKey, generation: int, limit: int) -> list[bytes]:
        """Ids of live members of one generation, ascending, at most `limit`."""

    def oldest_ids(self, before_ms: int, limit: int) -> list[bytes]:
        """Keys of argosy.client-ids whose log time is below `before_ms`, oldest first, at most `limit`."""


class Layer:
    """Changes of one command, or of all commands of the step before it."""

    __slots__ = ("first_id_ms", "gangs", "gone", "ids", "new", "operations", "rows")

    def __init__(self) -> None:
        self.rows: dict[bytes, StateRow | None] = {}
        self.ids: dict[bytes, IdRow | None] = {}
        self.first_id_ms = sys.maxsize
        self.new: dict[tuple[int, str], list[bytes]] = {}
        self.gone: set[bytes] = set()
        self.gangs: dict[GangKey, Moves] = {}
        self.operations: dict[int, OperationRow | None] = {}


class Overlay:
    """A StateReader and what the step has changed so far. Writes go to the layer of the command in hand."""

    def __init__(self, base: StateReader) -> None:
        self.base = base
        self._kept = Layer()
        self._now = Layer()

    def keep(self) -> None:
        """The command in hand is decided: its changes belong to the step."""
        kept, now = self._kept, self._now
        kept.rows.update(now.rows)
        kept.ids.update(now.ids)
        kept.first_id_ms = min(kept.first_id_ms, now.first_id_ms)
        for key, ids in now.new.items():
            known = kept.new.setdefault(key, [])
            for job_id in ids:
                insort(known, job_id)
        kept.gone |= now.gone
        for gang, moves in now.gangs.items():
            _merge(kept.gangs.setdefault(gang, {}), moves)
        kept.operations.update(now.operations)
        self._now = Layer()

    def drop(self) -> None:
        """The command in hand failed: none of its changes happened."""
        self._now = Layer()

    @property
    def changed(self) -> dict[bytes, StateRow | None]:
        """Changed rows of argosy.state."""
        return self._kept.rows

    @property
    def changed_ids(self) -> dict[bytes, IdRow | None]:
        """Changed rows of argosy.client-ids."""
        return self._kept.ids

    def row(self, key: bytes) -> StateRow | None:
        # Asked five times an item; a deleted row is None in its layer, so None does not say that the layer has none.
        rows = self._now.rows
        if key in rows:
            return rows[key]
        rows = self._kept.rows
        return rows[key] if key in rows else self.base.row(key)

    def id_row(self, key: bytes) -> IdRow | None:
        for layer in (self._now, self._kept):
            if key in layer.ids:
                return layer.ids[key]
        return self.base.id_row(key)

    def put(self, key: bytes, row: StateRow | None) -> None:
        self._now.rows[key] = row
        if key[:1] == b"o":
            self._now.operations[int.from_bytes(key[1:], "big")] = row if isinstance(row, OperationRow) else None

    def put_id(self, key: bytes, row: IdRow | None) -> None:
        self._now.ids[key] = row
        if row is not None:
            self._now.first_id_ms = min(self._now.first_id_ms, row.log_time_ms)

    def job_added(self, job_id: bytes, row: JobRow) -> None:
        """A job entered its job set (its row is put separately)."""
        insort(self._now.new.setdefault((row.incarnation, row.job_set), []), job_id)

    def job_removed(self, job_id: bytes) -> None:
        """A job left its job set for good."""
        self._now.gone.add(job_id)

    def member_moved(self, gang: GangKey, job_id: bytes, was: int | None, now: int | None) -> None:
        """A job entered a generation of a gang, or left one (None); its row is put separately."""
        _merge(self._now.gangs.setdefault(gang, {}), {job_id: (was, now)})

    @property
    def moved_gangs(self) -> Mapping[GangKey, Moves]:
        """What the step changed of gangs: gang -> job -> generation before and now."""
        return self._kept.gangs

    def operations(self) -> list[tuple[int, OperationRow]]:
        """Open operations, oldest first."""
        found: dict[int, OperationRow | None] = {
            **dict(self.base.operations()),
            **self._kept.operations,
            **self._now.operations,
        }
        return [(offset, row) for offset, row in sorted(found.items()) if row is not None]

    def jobs_of_set(self, incarnation: int, job_set: str, after: bytes, limit: int) -> list[bytes]:
        """Ids of live jobs of a job set above `after`, ascending, at most `limit`."""
        gone = self._kept.gone | self._now.gone

        def stays(job_id: bytes) -> bool:
            # An id that left may have entered again in the same step (a call repeated without request id).
            row = self.row(b"j" + job_id) if job_id in gone else None
            return job_id not in gone or (isinstance(row, JobRow) and (row.incarnation, row.job_set) == key)

        key = incarnation, job_set
        found: set[bytes] = set()
        cursor = after
        while len(found) < limit:
            some = self.base.jobs_of_set(incarnation, job_set, cursor, limit)
            found.update(filter(stays, some))
            if len(some) < limit:
                break
            cursor = some[-1]
        for layer in (self._kept, self._now):
            new = layer.new.get(key, [])
            found.update(filter(stays, new[bisect_right(new, after) :]))
        return sorted(found)[:limit]

    def jobs_of_queue(self, incarnation: int, limit: int) -> list[bytes]:
        """Ids of live jobs of a queue, any of them, at most `limit`."""
        layers = self._kept, self._now
        # Each that left in this step may be one that the store still names.
        found = self.base.jobs_of_queue(incarnation, limit + sum(len(layer.gone) for layer in layers))
        for layer in layers:
            for key, ids in layer.new.items():
                found += ids if key[0] == incarnation else []
        return [job_id for job_id in dict.fromkeys(found) if self.row(b"j" + job_id) is not None][:limit]

    def gang_sizes(self, gang: GangKey) -> Mapping[int, int]:
        """Numbers of live members of a gang by generation."""
        sizes, moves = self.base.gang_sizes(gang), self._moves(gang)
        return sizes_after(sizes, moves) if moves else sizes

    def gang_members(self, gang: GangKey, generation: int, limit: int) -> list[bytes]:
        """Ids of live members of one generation, ascending, at most `limit`."""
        moves = self._moves(gang)
        asked = limit
        while True:
            found = self.base.gang_members(gang, generation, asked)
            stay = [job_id for job_id in found if job_id not in moves]
            # Mostly nobody has left: it would be dear to ask for as many more as have moved.
            if len(stay) >= limit or len(found) < asked:
                break
            asked = min(4 * asked, limit + len(moves))
        return sorted(stay + [job_id for job_id, (_, now) in moves.items() if now == generation])[:limit]

    def _moves(self, gang: GangKey) -> Moves:
        kept, now = self._kept.gangs.get(gang), self._now.gangs.get(gang)
        if not kept or not now:
            return kept or now or {}
        return _merge(dict(kept), now)

    def oldest_ids(self, before_ms: int, limit: int) -> list[bytes]:
        """Keys of expired rows of argosy.client-ids, oldest first, at most `limit`."""
        # Ids of the step itself are this old only if the retention is shorter than a step takes.
        young = min(self._kept.first_id_ms, self._now.first_id_ms) >= before_ms
        if young and not self.base.oldest_ids(before_ms, 1):
            return []
        changed = {**self._kept.ids, **self._now.ids}
        found = [key for key in self.base.oldest_ids(before_ms, limit + len(changed)) if key not in changed]
        rows = {key: self.base.id_row(key) for key in found} | changed
        old = sorted((row.log_time_ms, key) for key, row in rows.items() if row and row.log_time_ms < before_ms)
        return [key for _, key in old[:limit]]


def sizes_after(sizes: Mapping[int, int], moves: Moves) -> dict[int, int]:
    """Numbers of live members by generation, after these moves."""
    after = dict(sizes)
    for was, now in moves.values():
        if was is not None:
            after[was] -= 1
        if now is not None:
            after[now] = after.get(now, 0) + 1
    return {generation: size for generation, size in after.items() if size}


def _merge(moves: Moves, later: Moves) -> Moves:
    """Adds later moves of jobs between generations to earlier ones."""
    for job_id, (was, now) in later.items():
        moves[job_id] = (moves[job_id][0] if job_id in moves else was, now)
    return moves
