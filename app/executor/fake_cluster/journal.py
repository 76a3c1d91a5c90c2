"""The journal of a fake cluster: append-only JSON lines, compacted at start and when it grows large.

A line is in the operating system's hands before a call is answered, so a kill -9 loses nothing; fsync follows
batch-wise. `journal.jsonl` holds nodes, creations and deletions of pods that still exist; `lives.jsonl` the lives of
those that do not. A torn last line is dropped: nobody was told of it. One process at a time may have a directory
open."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from app.executor.fake_cluster.records import (
    CreatedLine,
    DeletedLine,
    JournalLine,
    MarkedLine,
    NodeLine,
    PodLife,
    life_of,
)

JOURNAL, LIVES, LOCK = "journal.jsonl", "lives.jsonl", "lock"
COMPACT_BYTES = 16 << 20
SYNC_AFTER_S = 0.2
LIVES_BYTES_MAX = 256 << 20
"""beyond this the lives move to lives.1.jsonl, and those that were there are dropped"""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(JournalLine)


class JournalError(RuntimeError):
    """the journal cannot be used; the message says which file and why"""


class JournalInUseError(JournalError):
    """another process has this fake cluster's directory open"""


class Journal:
    """One directory, opened for writing."""

    def __init__(self, directory: Path, now_ms: Callable[[], int]) -> None:
        self._directory = directory
        self._now_ms = now_ms
        self._lock: IO[bytes] | None = None
        self._file: IO[bytes] | None = None
        self._sync: asyncio.Task[None] | None = None
        self.latest_ms = 0

    def open(self) -> tuple[list[CreatedLine], dict[str, DeletedLine], dict[str, str]]:
        """Locks the directory, compacts the journal and reads it: pods that may still exist, deletions and marks by
        uid.

        Raises JournalInUseError, JournalError."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._lock = (self._directory / LOCK).open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalInUseError(f"{self._directory} is in use: another executor runs this fake cluster") from None
        except OSError as error:
            raise JournalError(f"{self._directory}: {error.strerror}") from None
        created, deleted, marks, _, self.latest_ms = _read_open_pods(self._directory / JOURNAL)
        now_ms = max(self._now_ms(), self.latest_ms)
        _compact(self._directory, now_ms)
        self._file = (self._directory / JOURNAL).open("ab")
        alive = [line for line in created.values() if not _is_over(line, deleted, marks, now_ms)]
        deletions = {line.uid: deleted[line.uid] for line in alive if line.uid in deleted}
        return alive, deletions, {line.uid: marks[line.uid].mark for line in alive if line.uid in marks}

    def append(self, lines: Sequence[JournalLine]) -> None:
        """Writes lines. Raises JournalError when the disk refuses; they are then not to be acted on."""
        if self._file is None:
            raise JournalError(f"{self._directory / JOURNAL}: is closed")
        try:
            self._file.write(b"".join(_ENCODER.encode(line) + b"\n" for line in lines))
            self._file.flush()
            if self._file.tell() > COMPACT_BYTES:
                self._compact()
        except OSError as error:
            raise JournalError(f"{self._directory / JOURNAL}: {error.strerror}") from None
        if self._sync is None or self._sync.done():
            self._sync = asyncio.create_task(self._sync_soon())

    async def close(self) -> None:
        """Syncs and gives the directory back."""
        if self._sync is not None:
            self._sync.cancel()
        for file in (self._file, self._lock):
            if file is not None:
                await asyncio.to_thread(os.fsync, file.fileno())
                file.close()
        self._file = self._lock = None

    async def _sync_soon(self) -> None:
        await asyncio.sleep(SYNC_AFTER_S)
        if self._file is not None:
            # A descriptor of its own: the file may be compacted away meanwhile.
            descriptor = os.dup(self._file.fileno())
            try:
                await asyncio.to_thread(os.fsync, descriptor)
            finally:
                os.close(descriptor)

    def _compact(self) -> None:
        assert self._file is not None, "open first"
        self._file.close()
        _compact(self._directory, self._now_ms())
        self._file = (self._directory / JOURNAL).open("ab")


def read_lines(path: Path) -> Iterator[JournalLine]:
    """The lines of a journal file; a torn last line ends it. Raises JournalError for a damaged one before the end."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _DECODER.decode(line)
            except msgspec.MsgspecError as error:
                raise JournalError(f"{path}, line {number}: {error}") from None


def _read_open_pods(
    path: Path,
) -> tuple[dict[str, CreatedLine], dict[str, DeletedLine], dict[str, MarkedLine], dict[str, NodeLine], int]:
    created: dict[str, CreatedLine] = {}
    deleted: dict[str, DeletedLine] = {}
    marks: dict[str, MarkedLine] = {}
    nodes: dict[str, NodeLine] = {}
    latest_ms = 0
    for line in read_lines(path):
        match line:
            case CreatedLine():
                created[line.uid] = line
            case DeletedLine():
                deleted[line.uid] = line
            case MarkedLine():
                marks[line.uid] = line
            case NodeLine():
                nodes[line.name] = line
            case PodLife():
                continue
        latest_ms = max(latest_ms, line.at)
    return created, deleted, marks, nodes, latest_ms


def _is_over(line: CreatedLine, deleted: dict[str, DeletedLine], marks: dict[str, MarkedLine], now_ms: int) -> bool:
    deletion, mark = deleted.get(line.uid), marks.get(line.uid)
    return deletion is not None and deletion.gone <= now_ms and not (mark is not None and mark.mark)


def _compact(directory: Path, now_ms: int) -> None:
    """Moves lives that are over to lives.jsonl, then puts a journal of what is left in place. Safe to be cut off
    anywhere: a life may then stand in both files, and readers take each uid once."""
    path = directory / JOURNAL
    if not path.exists():
        return
    created, deleted, marks, nodes, _ = _read_open_pods(path)
    over = [line for line in created.values() if _is_over(line, deleted, marks, now_ms)]
    lives = directory / LIVES
    if lives.exists() and lives.stat().st_size > LIVES_BYTES_MAX:
        lives.replace(directory / "lives.1.jsonl")
    _put(lives, "ab", (life_of(line, deleted.get(line.uid), now_ms) for line in over))
    fresh = path.with_suffix(".new")
    kept = [line for line in created.values() if not _is_over(line, deleted, marks, now_ms)]
    deletions = [deleted[line.uid] for line in kept if line.uid in deleted]
    marked = [marks[line.uid] for line in kept if line.uid in marks]
    _put(fresh, "wb", iter([*nodes.values(), *kept, *deletions, *marked]))
    fresh.replace(path)


def _put(path: Path, mode: str, lines: Iterator[JournalLine]) -> None:
    with path.open(mode) as file:
        for line in lines:
            file.write(_ENCODER.encode(line) + b"\n")
        file.flush()
        os.fsync(file.fileno())
