"""All live jobs as columns, kept up to date from their rows in argosy.state.

Input: rows by key (b"j" and the job id; the value as it stands in the log, None = deleted). Output: columns by slot. A
job's row begins with one fixed field behind the frame of 5 bytes, so a batch of rows is read by numpy in one go; only
rows with the flag `more` are decoded. Slots of jobs that ended are used again. A `Watch` collects what was touched.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from app.domain.commands import RunPosition
from app.domain.lifecycle import STATE_CODES, JobState
from app.domain.rows import FLAG_MORE, JOB_HEAD, JOB_HEAD_DTYPE, NO_RUN, JobMore, JobRow
from app.scheduler.gang_table import GangTable
from app.scheduler.id_text import id_texts
from app.scheduler.interning import NONE, KeyNumbers, NameNumbers

HEAD_AT = 5
HEAD_END = HEAD_AT + JOB_HEAD.size
HEAD = np.dtype(JOB_HEAD_DTYPE)
QUEUED = STATE_CODES[JobState.QUEUED]
LEASED = STATE_CODES[JobState.LEASED]
RUNNING = STATE_CODES[JobState.RUNNING]
_FIRST_SLOTS = 1024
_HEAD_COLUMNS = (
    "state",
    "attempt",
    "flags",
    "priority",
    "scheduled_at_priority",
    "submitted_ms",
    "since_ms",
    "leased_offset",
    "leased_ordinal",
)
_COLUMNS: tuple[tuple[str, str], ...] = (
    ("state", "u1"),
    ("attempt", "u1"),
    ("flags", "u1"),
    ("partition", "u1"),
    ("priority", "i4"),
    ("scheduled_at_priority", "i4"),
    ("submitted_ms", "i8"),
    ("since_ms", "i8"),
    ("seen_s", "f8"),
    ("queue", "i4"),
    ("pool", "i4"),
    ("cluster", "i4"),
    ("node", "i4"),
    ("shape", "i4"),
    ("gang", "i4"),
    ("leased_offset", "i8"),
    ("leased_ordinal", "i4"),
    ("run_id", "V16"),
    ("text", "S26"),
)

_NO_RUN = np.frombuffer(NO_RUN, "V16")[0]

DecodeRow = Callable[[bytes], JobRow]


class RowTooShort(ValueError):
    """a job's row is shorter than its fixed field"""


class Watch:
    """Slots whose jobs came, changed or went since they were last taken."""

    def __init__(self) -> None:
        self.everything = True
        """nothing is known yet: look at every job"""
        self._parts: list[npt.NDArray[np.intp]] = []

    def add(self, slots: npt.NDArray[np.intp]) -> None:
        self._parts.append(slots)

    def forget(self) -> None:
        """Whoever looks at all jobs need not know which were touched."""
        self._parts = []
        self.everything = False

    def take(self) -> npt.NDArray[np.intp]:
        """The slots, each once; forgets them."""
        parts = self._parts
        self.forget()
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.intp)


class JobColumns:
    """By slot: what scheduling needs of a job. Columns are longer than `count`; only slots where `live` is set count.

    `state`: code of app.domain.lifecycle. `queue`, `pool`, `cluster`, `node`, `shape`, `gang`: numbers of the tables of
    those things (NONE = none). `leased_offset`, `leased_ordinal`: position of the current run's LEASED (-1 = none).
    `seen_s`: when this process first saw the current run, on its own monotonic clock. `text`: the id in 26 characters.
    `avoid`: slot -> names ("cluster/node") of nodes of attempted runs. `displaced`: slot -> runs that the job's lease
    displaces. `runs`: run id -> slot of every job that has a run.
    """

    state: npt.NDArray[np.uint8]
    attempt: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    partition: npt.NDArray[np.uint8]
    priority: npt.NDArray[np.int32]
    scheduled_at_priority: npt.NDArray[np.int32]
    submitted_ms: npt.NDArray[np.int64]
    since_ms: npt.NDArray[np.int64]
    seen_s: npt.NDArray[np.float64]
    queue: npt.NDArray[np.int32]
    pool: npt.NDArray[np.int32]
    cluster: npt.NDArray[np.int32]
    node: npt.NDArray[np.int32]
    shape: npt.NDArray[np.int32]
    gang: npt.NDArray[np.int32]
    leased_offset: npt.NDArray[np.int64]
    leased_ordinal: npt.NDArray[np.int32]
    run_id: npt.NDArray[np.void]
    text: npt.NDArray[np.bytes_]

    def __init__(self, decode: DecodeRow) -> None:
        self.slots: dict[bytes, int] = {}
        self.keys: list[bytes] = []
        self.avoid: dict[int, tuple[str, ...]] = {}
        self.displaced: dict[int, tuple[RunPosition, ...]] = {}
        self.runs: dict[bytes, int] = {}
        self.gangs = GangTable()
        self.queues, self.pools, self.clusters, self.nodes = NameNumbers(), NameNumbers(), NameNumbers(), NameNumbers()
        self.shapes = KeyNumbers()
        self.live: npt.NDArray[np.bool_] = np.zeros(_FIRST_SLOTS, np.bool_)
        for name, kind in _COLUMNS:
            setattr(self, name, np.zeros(_FIRST_SLOTS, kind))
        self._free: list[int] = []
        self._watches: list[Watch] = []
        self.on_end: Callable[[npt.NDArray[np.intp]], None] | None = None
        """is told the slots of jobs that went, while the columns still say what they were"""
        self._decode = decode

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def count(self) -> int:
        """Slots that were ever used: the length up to which columns mean anything."""
        return len(self.keys)

    def watch(self) -> Watch:
        """Collects from now on; `unwatch` when nobody takes any more."""
        watch = Watch()
        self._watches.append(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Ends a watch."""
        self._watches.remove(watch)

    def apply(self, rows: Mapping[bytes, bytes | None], now_s: float) -> None:
        """Takes the latest rows of some jobs. Raises RowTooShort, and what decoding raises."""
        gone = [key for key, value in rows.items() if value is None]
        if gone:
            self._remove(gone)
        if len(gone) < len(rows):
            kept = [(key, value) for key, value in rows.items() if value is not None]
            self._put([key for key, _ in kept], [value for _, value in kept], now_s)

    def slot(self, job_id: bytes) -> int | None:
        """The slot of a live job."""
        return self.slots.get(b"j" + job_id)

    def job_id(self, slot: int) -> bytes:
        """The id of the job in a slot."""
        return self.keys[slot][1:]

    def _remove(self, keys: Sequence[bytes]) -> None:
        gone = []
        for key in keys:
            slot = self.slots.pop(key, None)
            if slot is not None:
                self.live[slot] = False
                self._forget_run(slot)
                self._put_sparse(slot, None)
                self._free.append(slot)
                gone.append(slot)
        slots = np.array(gone, np.intp)
        if self.on_end is not None:
            self.on_end(slots)
        self._touched(slots)

    def _put(self, keys: Sequence[bytes], values: Sequence[bytes], now_s: float) -> None:
        heads = np.frombuffer(b"".join([value[HEAD_AT:HEAD_END] for value in values]), np.uint8)
        if len(heads) != len(values) * HEAD.itemsize:
            short = next(key for key, value in zip(keys, values, strict=True) if len(value) < HEAD_END)
            raise RowTooShort(f"the row of job {short[1:].hex()} has no whole fixed field of {HEAD.itemsize} bytes")
        head = heads.view(HEAD)
        slots, new = self._slots_of(keys)
        if new:
            self._begin(slots[new], [keys[at] for at in new], now_s)
        self._put_runs(slots, head["run_id"], now_s)
        had_more = (self.flags[slots] & FLAG_MORE) != 0
        for name in _HEAD_COLUMNS:
            getattr(self, name)[slots] = head[name]
        for name, numbers in (
            ("queue", self.queues),
            ("pool", self.pools),
            ("cluster", self.clusters),
            ("node", self.nodes),
        ):
            getattr(self, name)[slots] = numbers.numbers(head[f"{name}_hash"].astype(np.uint64))
        self.shape[slots] = self.shapes.numbers(head["shape_hash"])
        self._put_more(values, slots, head["flags"], had_more)
        self._touched(slots)

    def _touched(self, slots: npt.NDArray[np.intp]) -> None:
        for watch in self._watches:
            watch.add(slots)

    def _put_runs(self, slots: npt.NDArray[np.intp], runs: npt.NDArray[np.void], now_s: float) -> None:
        other = np.flatnonzero(self.run_id[slots] != runs)
        changed = slots[other]
        self.seen_s[changed] = now_s
        for slot in changed.tolist():
            self._forget_run(slot)
        self.run_id[slots] = runs
        has_run = runs[other] != _NO_RUN
        for slot, run_id in zip(changed[has_run].tolist(), runs[other][has_run].tolist(), strict=True):
            self.runs[run_id] = slot

    def _forget_run(self, slot: int) -> None:
        run_id = bytes(self.run_id[slot])
        if run_id != NO_RUN and self.runs.get(run_id) == slot:
            del self.runs[run_id]

    def _slots_of(self, keys: Sequence[bytes]) -> tuple[npt.NDArray[np.intp], list[int]]:
        """The slot of each key, and which of the keys are new."""
        known = self.slots
        found = list(map(known.get, keys))
        new = [at for at, slot in enumerate(found) if slot is None] if None in found else []
        again = new[: len(self._free)]
        for at in again:
            slot = found[at] = known[keys[at]] = self._free.pop()
            self.keys[slot] = keys[at]
        if len(again) < len(new):
            added = [keys[at] for at in new[len(again) :]]
            numbers = range(len(self.keys), len(self.keys) + len(added))
            self.keys += added
            known.update(zip(added, numbers, strict=True))
            for at, slot in zip(new[len(again) :], numbers, strict=True):
                found[at] = slot
        if len(self.keys) > len(self.live):
            self._grow(len(self.keys))
        return np.array(found, np.intp), new

    def _begin(self, slots: npt.NDArray[np.intp], keys: Sequence[bytes], now_s: float) -> None:
        ids = b"".join([key[1:] for key in keys])
        self.text[slots] = id_texts(ids)
        self.partition[slots] = np.frombuffer(ids, np.uint8).reshape(-1, 16)[:, 6]
        self.live[slots] = True
        self.seen_s[slots] = now_s
        self.run_id[slots] = _NO_RUN
        self.gang[slots] = NONE
        self.flags[slots] = 0

    def _put_more(
        self,
        values: Sequence[bytes],
        slots: npt.NDArray[np.intp],
        flags: npt.NDArray[np.uint8],
        had_more: npt.NDArray[np.bool_],
    ) -> None:
        more = (flags & FLAG_MORE) != 0
        for slot in slots[had_more & ~more].tolist():
            self._put_sparse(slot, None)
        for at in np.flatnonzero(more).tolist():
            self._put_sparse(int(slots[at]), self._decode(values[at]))

    def _put_sparse(self, slot: int, row: JobRow | None) -> None:
        """What only few jobs have: nodes to avoid, displaced runs, a gang."""
        more = (row.more if row is not None else None) or JobMore()
        if more.avoid_nodes:
            self.avoid[slot] = more.avoid_nodes
        else:
            self.avoid.pop(slot, None)
        if more.displaced:
            self.displaced[slot] = more.displaced
        else:
            self.displaced.pop(slot, None)
        number = NONE
        if row is not None and more.gang is not None:
            number = self.gangs.join(slot, row.queue, more.gang)
        before = int(self.gang[slot])
        if before != number:
            self.gangs.leave(slot, before)
            self.gang[slot] = number

    def _grow(self, wanted: int) -> None:
        length = max(wanted, 2 * len(self.live))
        for name in ("live", *(name for name, _ in _COLUMNS)):
            column = getattr(self, name)
            longer = np.zeros(length, column.dtype)
            longer[: len(column)] = column
            setattr(self, name, longer)
