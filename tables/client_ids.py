"""Table `client_ids`: which job or call an id given by a client stands for. Changelog: argosy.client-ids.

Rows: app.domain.rows (ClientIdRow, RequestIdRow). Local index: log time and key of each row, so that expired rows are
found oldest first.
"""

from collections.abc import Mapping

from app.domain.rows import ClientIdRow, RequestIdRow
from app.domain.state import IdRow
from app.log.codec import decode, encode
from app.log.topics import CLIENT_IDS
from app.streams.app import App
from app.streams.rows import Rows
from app.streams.step import Changes
from app.streams.store import Changelog, Store
from app.streams.table import TransactionalTable

PREFIX = b"i"
BY_TIME = b"T"
"""+ log time (8 bytes) + key: the local index"""
CACHE_ROWS = 5_000


def entry(log_time_ms: int, key: bytes) -> bytes:
    """Key of the index entry of a row."""
    return BY_TIME + log_time_ms.to_bytes(8, "big") + key


def entries_of(key: bytes, value: bytes) -> tuple[bytes]:
    """The index entry of a stored row."""
    row = decode(value)
    assert isinstance(row, ClientIdRow | RequestIdRow), f"argosy.client-ids holds a {type(row).__name__}"
    return (entry(row.log_time_ms, key),)


CHANGELOG = Changelog(topic=CLIENT_IDS, prefix=PREFIX, entries=entries_of)


def client_ids_table(app: App, source: str) -> TransactionalTable:
    """Adds the table to the application."""
    return app.TransactionalTable("client_ids", source=source, changelog=CHANGELOG)


class ClientIds:
    """The rows of one partition."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._oldest_ms = 0
        """no row is older than this"""
        self.rows: Rows[IdRow] = Rows(store, PREFIX, CACHE_ROWS)

    def oldest(self, before_ms: int, limit: int) -> list[bytes]:
        """Keys of rows whose log time is below `before_ms`, oldest first, at most `limit`."""
        if before_ms <= self._oldest_ms:
            return []
        found: list[bytes] = []
        oldest_ms = before_ms
        # Begins where rows may be: what is deleted before that would be passed over again at every command.
        start = BY_TIME + self._oldest_ms.to_bytes(8, "big")
        for index_key in self._store.keys(start, BY_TIME):
            log_time_ms = int.from_bytes(index_key[1:9], "big")
            if not found:
                oldest_ms = log_time_ms
            if log_time_ms >= before_ms or len(found) == limit:
                break
            found.append(index_key[9:])
        # Log time never goes back, so no row will come that is older than what stands in the store now.
        self._oldest_ms = oldest_ms
        return found

    def changes(self, changed: Mapping[bytes, IdRow | None]) -> Changes:
        """The encoded rows and index entries for these changes."""
        self.rows.prefetch(changed)
        changes = Changes(table=CHANGELOG)
        for key, row in changed.items():
            before = self.rows.get(key)
            changes.add(
                key,
                None if row is None else encode(row),
                () if before is None else (entry(before.log_time_ms, key),),
                () if row is None else (entry(row.log_time_ms, key),),
            )
        return changes
