"""The order of jobs inside their queues, and what follows from it for the loop.

Waiting: class priority desc, priority asc, submit time asc, id asc. Running jobs order by their start before the
submit time; in the repair by level first, and running jobs before those of this round.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.scheduling.resources import Bool, Int32, Int64
from app.scheduling.round import Round

_WORD_BYTES = 8
_PACKED_BITS = 62
Column = Int64 | Int32


def class_priorities(round_: Round, rows: Int64) -> Int64:
    """The class priority of these jobs (of known classes)."""
    priorities = np.array([priority_class.priority for priority_class in round_.classes], np.int64)
    result: Int64 = priorities[round_.shapes.priority_class[round_.jobs.shape[rows]]] if len(rows) else rows
    return result


def waiting_order(round_: Round, waiting: Bool) -> Int64:
    """The jobs of the mask, queue by queue, each in order (of listed queues and known classes)."""
    jobs, rows = round_.jobs, np.flatnonzero(waiting)
    keys: list[Column] = [jobs.queue[rows], -class_priorities(round_, rows), jobs.priority[rows], jobs.submitted[rows]]
    return in_order(rows, keys, jobs.id)


def running_order(round_: Round, rows: Int64) -> Int64:
    """These running jobs, queue by queue, each in order."""
    jobs = round_.jobs
    keys: list[Column] = [jobs.queue[rows], -class_priorities(round_, rows), jobs.priority[rows]]
    return in_order(rows, [*keys, jobs.run_started[rows], jobs.submitted[rows]], jobs.id)


def repair_order(round_: Round, rows: Int64, level: Column, fresh: npt.NDArray[np.uint8]) -> Int64:
    """These jobs, running or placed in this round, queue by queue; `level` and `fresh` by job."""
    jobs = round_.jobs
    started = np.where(fresh[rows] > 0, 0, jobs.run_started[rows])
    keys: list[Column] = [jobs.queue[rows], -level[rows].astype(np.int64), fresh[rows].astype(np.int64)]
    keys += [-class_priorities(round_, rows), jobs.priority[rows], started, jobs.submitted[rows]]
    return in_order(rows, keys, jobs.id)


def in_order(rows: Int64, keys: Sequence[Column], ids: npt.NDArray[np.bytes_]) -> Int64:
    """`rows` by these keys, the most significant first, then by id."""
    if not len(rows):
        return rows
    packed = _packed(keys)
    order = np.lexsort(tuple(reversed(keys))) if packed is None else np.argsort(packed)
    compared = [packed] if packed is not None else list(keys)
    return _sort_ties(rows[order], [key[order] for key in compared], ids)


def _packed(keys: Sequence[Column]) -> Int64 | None:
    """All keys in one number, when they are small enough."""
    bits, parts = 0, []
    for key in reversed(keys):
        least, most = int(key.min()), int(key.max())
        if least == most:
            continue
        parts.append((key, least, bits))
        bits += (most - least).bit_length()
        if bits > _PACKED_BITS:
            return None
    packed = np.zeros(len(keys[0]), np.int64)
    for key, least, shift in parts:
        packed += (key.astype(np.int64) - least) << shift
    return packed


def queue_starts(queue: Int32, count: int) -> Int64:
    """Where each queue begins in a list that is ordered by queue: `count` + 1 positions."""
    return np.concatenate(([0], np.cumsum(np.bincount(queue, minlength=count)))).astype(np.int64)


def _sort_ties(rows: Int64, keys: Sequence[Column], ids: npt.NDArray[np.bytes_]) -> Int64:
    """Ids are compared only inside runs of otherwise equal jobs: comparing bytes is the dear part of a sort."""
    same = np.ones(len(rows) - 1, np.bool_)
    for key in keys:
        same &= key[1:] == key[:-1]
    if not same.any():
        return rows
    tied = np.concatenate((same, [False])) | np.concatenate(([False], same))
    group = np.cumsum(np.concatenate(([True], ~same)))[tied]
    positions = np.flatnonzero(tied)
    words = id_words(ids[rows[positions]])
    order = np.lexsort((*reversed(words), group))
    result = rows.copy()
    result[positions] = rows[positions][order]
    return result


def id_words(ids: npt.NDArray[np.bytes_]) -> list[npt.NDArray[np.uint64]]:
    """Ids as columns of big-endian words, first word first: comparing those compares the bytes."""
    width = -(-ids.dtype.itemsize // _WORD_BYTES) * _WORD_BYTES
    padded = np.ascontiguousarray(ids.astype(f"S{width}"))
    words = padded.view(">u8").reshape(len(ids), width // _WORD_BYTES)
    return [words[:, column].astype(np.uint64) for column in range(words.shape[1])]
