"""The order of waiting jobs inside their queues: class priority desc, priority asc, submit time asc, id asc."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.scheduling.resources import Bool, Int32, Int64
from app.scheduling.round import Round

_WORD_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOrders:
    """Waiting jobs in order: those of queue q are jobs[start[q]:start[q + 1]] (int64 indices of jobs)."""

    jobs: Int64
    start: Int64

    def of(self, queue: int) -> Int64:
        """The jobs of one queue, first come first."""
        return self.jobs[int(self.start[queue]) : int(self.start[queue + 1])]


def queue_orders(round_: Round, waiting: Bool) -> QueueOrders:
    """Sorts the jobs of the mask `waiting` (bool by job; of listed queues and known classes)."""
    jobs = round_.jobs
    rows = np.flatnonzero(waiting)
    priorities = np.array([priority_class.priority for priority_class in round_.classes], np.int64)
    queue = jobs.queue[rows]
    if len(rows):
        class_priority = priorities[round_.shapes.priority_class[jobs.shape[rows]]]
        keys: tuple[Int64 | Int32, ...] = (jobs.submitted[rows], jobs.priority[rows], -class_priority, queue)
        order = np.lexsort(keys)
        rows = _sort_ties(rows[order], [key[order] for key in keys], jobs.id)
    counts = np.bincount(queue, minlength=len(round_.queues))
    return QueueOrders(jobs=rows, start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64))


def _sort_ties(rows: Int64, keys: list[Int64 | Int32], ids: npt.NDArray[np.bytes_]) -> Int64:
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
