"""Table `state`: live jobs, stopping runs, queues, operations, clusters, settings and the position of one partition.
Changelog: argosy.state.

Rows and keys: app.domain.rows. Local indexes: queue incarnation, job set and job id of each live job; incarnation,
gang, generation and job id of each member of a gang. `PartitionState` is what deciding reads: the rows of both tables
before a step.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from app.domain.rows import FLAG_GANG, POSITION_KEY, JobGang, JobRow, OperationRow, PositionRow
from app.domain.state import GangKey, IdRow, Overlay, StateRow, gang_key_of, sizes_after
from app.log.codec import decode, encode
from app.log.topics import STATE
from app.streams.app import App
from app.streams.rows import Rows
from app.streams.step import Changes, Step
from app.streams.store import Changelog, Store
from app.streams.table import TransactionalTable
from app.streams.tenure import Tenure
from tables.client_ids import ClientIds

PREFIX = b"s"
BY_SET = b"J"
"""+ incarnation (8 bytes) + length of the job set's name (2 bytes) + the name + job id: the local index"""
BY_GANG = b"G"
"""+ incarnation (8 bytes) + length of the gang's id (2 bytes) + the id + generation (4 bytes) + job id"""
JOB_ID_BYTES = 16
CACHE_ROWS = 20_000
CACHE_GANGS = 10_000

_FRAME_BYTES = 5
_HEAD_BYTES = 116
_FIELDS_AT = _FRAME_BYTES + _HEAD_BYTES
_FLAGS_AT = _FRAME_BYTES + 3
_JOB_ROW_FRAME = encode(JobRow(head=bytes(_HEAD_BYTES), queue="", incarnation=0, job_set=""))[:_FRAME_BYTES]


_last_set = (b"\xff" * 11, b"")
"""queue, incarnation and job set as they stand in the row that was seen last, and what its index entry begins with; at
first what no row has: an Avro long has at most 10 bytes"""


def set_prefix(incarnation: int, job_set: bytes) -> bytes:
    """What the index entries of a job set begin with."""
    return BY_SET + incarnation.to_bytes(8, "big") + len(job_set).to_bytes(2, "big") + job_set


def gang_prefix(gang: GangKey) -> bytes:
    """What the index entries of a gang begin with."""
    name = gang.gang_id.encode()
    return BY_GANG + gang.incarnation.to_bytes(8, "big") + len(name).to_bytes(2, "big") + name


def entries_of(key: bytes, value: bytes) -> tuple[bytes, ...]:
    """The index entries of a stored row; only jobs have any.

    A restore calls this for every row, so the two fields are cut out of the Avro instead of decoding it: behind the
    fixed head stand queue (string), incarnation (long) and job set (string). Rows that follow each other are mostly of
    one set; then these bytes are the same as before."""
    global _last_set
    if key[:1] != b"j":
        return ()
    if not value.startswith(_JOB_ROW_FRAME) or value[_FLAGS_AT] & FLAG_GANG:
        row = decode(value)
        assert isinstance(row, JobRow), f"a job's key holds a {type(row).__name__}"
        return _entries(key, row)
    fields, prefix = _last_set
    if not value.startswith(fields, _FIELDS_AT):
        length, at = _long(value, _FIELDS_AT)
        incarnation, at = _long(value, at + length)
        length, at = _long(value, at)
        prefix = set_prefix(incarnation, value[at : at + length])
        _last_set = value[_FIELDS_AT : at + length], prefix
    return (prefix + key[1:],)


def _long(data: bytes, at: int) -> tuple[int, int]:
    """An Avro long (zigzag, base 128) and the place behind it."""
    byte = data[at]
    at += 1
    number = byte & 0x7F
    shift = 7
    while byte & 0x80:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
    return number >> 1 ^ -(number & 1), at


def _same_entries(was: StateRow | None, now: StateRow | None) -> bool:
    """Whether a row that becomes another keeps its index entries, or has none before and after."""
    if isinstance(was, JobRow) and isinstance(now, JobRow):
        same_set = was.job_set == now.job_set and was.incarnation == now.incarnation
        return same_set and (was.more is now.more or _gang(was) == _gang(now))
    return not isinstance(was, JobRow) and not isinstance(now, JobRow)


def _gang(row: JobRow) -> JobGang | None:
    return row.more.gang if row.more is not None else None


def _entries(key: bytes, row: StateRow | None) -> tuple[bytes, ...]:
    if not isinstance(row, JobRow):
        return ()
    of_set = set_prefix(row.incarnation, row.job_set.encode()) + key[1:]
    gang, name = _gang(row), gang_key_of(row)
    if gang is None or name is None:
        return (of_set,)
    return of_set, gang_prefix(name) + gang.generation.to_bytes(4, "big") + key[1:]


CHANGELOG = Changelog(topic=STATE, prefix=PREFIX, entries=entries_of)


def state_table(app: App, source: str) -> TransactionalTable:
    """Adds the table to the application; it leads, so it comes after `client_ids`."""
    return app.TransactionalTable(
        "state", source=source, changelog=CHANGELOG, position_key=POSITION_KEY, opens=PartitionState
    )


def state_of(owner: Step | Tenure) -> "PartitionState":
    """The rows of the partition of a step or tenure."""
    view = owner.view
    assert isinstance(view, PartitionState)
    return view


class PartitionState:
    """A StateReader (app.domain.state) over the store of one tenure."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: Rows[StateRow] = Rows(store, PREFIX, CACHE_ROWS)
        self._ids = ClientIds(store)
        self._gang_sizes: dict[GangKey, Mapping[int, int]] = {}
        self._operations: dict[int, OperationRow] = {}
        for key, value in store.items(PREFIX + b"o"):
            row = decode(value)
            assert isinstance(row, OperationRow)
            self._operations[int.from_bytes(key[2:], "big")] = row
        # Each report asks for the row of its run, and hardly any has one: the keys are known without asking the store.
        self._runs = {key[1:] for key, _ in store.items(PREFIX + b"r")}

    @property
    def busy(self) -> bool:
        """Operations are open."""
        return bool(self._operations)

    def prefetch(self, keys: Iterable[bytes], id_keys: Iterable[bytes]) -> None:
        """Reads rows that a command will need in one call each."""
        runs = self._runs
        self._rows.prefetch([key for key in keys if key[:1] != b"r" or key in runs])
        self._ids.rows.prefetch(id_keys)

    def row(self, key: bytes) -> StateRow | None:
        return None if key[:1] == b"r" and key not in self._runs else self._rows.get(key)

    def id_row(self, key: bytes) -> IdRow | None:
        return self._ids.rows.get(key)

    def operations(self) -> list[tuple[int, OperationRow]]:
        return sorted(self._operations.items())

    def jobs_of_set(self, incarnation: int, job_set: str, after: bytes, limit: int) -> list[bytes]:
        prefix = set_prefix(incarnation, job_set.encode())
        found: list[bytes] = []
        for entry in self._store.keys(prefix + after, prefix):
            job_id = entry[len(prefix) :]
            if job_id > after:
                found.append(job_id)
            if len(found) == limit:
                break
        self._rows.prefetch([b"j" + job_id for job_id in found])
        return found

    def jobs_of_queue(self, incarnation: int, limit: int) -> list[bytes]:
        prefix = BY_SET + incarnation.to_bytes(8, "big")
        return [entry[-JOB_ID_BYTES:] for entry in islice(self._store.keys(prefix, prefix), limit)]

    def gang_sizes(self, gang: GangKey) -> Mapping[int, int]:
        sizes = self._gang_sizes.get(gang)
        if sizes is None:
            prefix = gang_prefix(gang)
            generations = slice(len(prefix), len(prefix) + 4)
            found = Counter(entry[generations] for entry in self._store.keys(prefix, prefix))
            sizes = {int.from_bytes(generation, "big"): size for generation, size in found.items()}
            if len(self._gang_sizes) >= CACHE_GANGS:
                self._gang_sizes.clear()
            self._gang_sizes[gang] = sizes
        return sizes

    def gang_members(self, gang: GangKey, generation: int, limit: int) -> list[bytes]:
        prefix = gang_prefix(gang) + generation.to_bytes(4, "big")
        found = [entry[len(prefix) :] for entry in islice(self._store.keys(prefix, prefix), limit)]
        self._rows.prefetch([b"j" + job_id for job_id in found])
        return found

    def oldest_ids(self, before_ms: int, limit: int) -> list[bytes]:
        return self._ids.oldest(before_ms, limit)

    def changes(self, overlay: Overlay) -> list[Changes]:
        """The encoded rows and index entries of a step, in the order of the transaction; the position row is not
        among them."""
        changes = Changes(table=CHANGELOG)
        before, plain = self._rows.get, changes.rows.append
        for key, row in overlay.changed.items():
            if key == POSITION_KEY:
                continue
            value = None if row is None else encode(row)
            was = before(key) if key[:1] == b"j" else None
            if _same_entries(was, row):
                plain((key, value))
            else:
                changes.add(key, value, _entries(key, was), _entries(key, row))
        return [self._ids.changes(overlay.changed_ids), changes]

    def committed(self, overlay: Overlay, position: PositionRow) -> None:
        """The step stands in the log and in the store."""
        self._rows.committed({**overlay.changed, POSITION_KEY: position})
        self._ids.rows.committed(overlay.changed_ids)
        for gang, moves in overlay.moved_gangs.items():
            if gang in self._gang_sizes:
                self._gang_sizes[gang] = sizes_after(self._gang_sizes[gang], moves)
        for key, row in overlay.changed.items():
            if key[:1] == b"o":
                offset = int.from_bytes(key[1:], "big")
                if isinstance(row, OperationRow):
                    self._operations[offset] = row
                else:
                    self._operations.pop(offset, None)
            elif key[:1] == b"r":
                if row is None:
                    self._runs.discard(key)
                else:
                    self._runs.add(key)
