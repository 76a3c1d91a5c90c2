"""`MemoryState`: the state of one partition in dictionaries. Used by tests and by independent checks that fold
argosy.commands again."""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Mapping
from itertools import islice

from app.domain.apply import position_of
from app.domain.rows import POSITION_KEY, JobRow, OperationRow, PositionRow
from app.domain.state import GangKey, IdRow, Overlay, StateRow, gang_key_of


class MemoryState:
    """A StateReader over dictionaries; `commit` takes the changes of a step."""

    def __init__(self) -> None:
        self.rows: dict[bytes, StateRow] = {}
        self.ids: dict[bytes, IdRow] = {}
        self._sets: dict[tuple[int, str], list[bytes]] = {}
        self._gangs: dict[GangKey, dict[bytes, int]] = {}
        self._operations: dict[int, OperationRow] = {}

    def row(self, key: bytes) -> StateRow | None:
        return self.rows.get(key)

    def id_row(self, key: bytes) -> IdRow | None:
        return self.ids.get(key)

    def operations(self) -> list[tuple[int, OperationRow]]:
        return sorted(self._operations.items())

    def jobs_of_set(self, incarnation: int, job_set: str, after: bytes, limit: int) -> list[bytes]:
        ids = self._sets.get((incarnation, job_set), [])
        start = bisect_right(ids, after)
        return ids[start : start + limit]

    def jobs_of_queue(self, incarnation: int, limit: int) -> list[bytes]:
        found = (job_id for key, ids in self._sets.items() if key[0] == incarnation for job_id in ids)
        return list(islice(found, limit))

    def gang_sizes(self, gang: GangKey) -> dict[int, int]:
        return dict(Counter(self._gangs.get(gang, {}).values()))

    def gang_members(self, gang: GangKey, generation: int, limit: int) -> list[bytes]:
        members = self._gangs.get(gang, {}).items()
        return sorted(job_id for job_id, of in members if of == generation)[:limit]

    def oldest_ids(self, before_ms: int, limit: int) -> list[bytes]:
        old = sorted((row.log_time_ms, key) for key, row in self.ids.items() if row.log_time_ms < before_ms)
        return [key for _, key in old[:limit]]

    def commit(self, overlay: Overlay, offset: int, log_time_ms: int) -> None:
        """Takes what the overlay kept; the position row then says `offset` and `log_time_ms`."""
        position = position_of(overlay)
        for key, row in overlay.changed.items():
            self._put(key, row)
        for id_key, id_row in overlay.changed_ids.items():
            if id_row is None:
                self.ids.pop(id_key, None)
            else:
                self.ids[id_key] = id_row
        self.rows[POSITION_KEY] = PositionRow(
            offset=offset,
            epoch=position.epoch,
            log_time_ms=log_time_ms,
            settings_version=position.settings_version,
        )

    def restore(self, rows: Mapping[bytes, StateRow], ids: Mapping[bytes, IdRow]) -> None:
        """Takes rows as the changelogs hold them, into an empty state."""
        for key, row in rows.items():
            self._put(key, row)
        self.ids.update(ids)

    def _put(self, key: bytes, row: StateRow | None) -> None:
        before = self.rows.get(key)
        if isinstance(before, JobRow) and row is None:
            ids = self._sets[before.incarnation, before.job_set]
            ids.remove(key[1:])
        elif isinstance(row, JobRow) and before is None:
            insort(self._sets.setdefault((row.incarnation, row.job_set), []), key[1:])
        self._put_member(key[1:], before, row)
        if key[:1] == b"o":
            offset = int.from_bytes(key[1:], "big")
            if isinstance(row, OperationRow):
                self._operations[offset] = row
            else:
                self._operations.pop(offset, None)
        if row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row

    def _put_member(self, job_id: bytes, before: StateRow | None, row: StateRow | None) -> None:
        was = gang_key_of(before) if isinstance(before, JobRow) else None
        if was is not None:
            self._gangs[was].pop(job_id)
        gang = gang_key_of(row) if isinstance(row, JobRow) else None
        if gang is not None and isinstance(row, JobRow) and row.more is not None and row.more.gang is not None:
            self._gangs.setdefault(gang, {})[job_id] = row.more.gang.generation
