"""What runs that ended soon after they began still cost their queues (features.md 2.4, item 4: the short-job penalty).

Input: jobs whose rows go while they have a run, log time. Output: how many of each queue and shape a pool still
charges. Without it a queue of very short jobs holds nothing whenever a round looks, and so gets more than its share.

Rule. A run that ended, and was not preempted, costs its queue what it asked for until the pool's cutoff after it began
to run (where it never said so, after its job last changed). Log time counts, by the second; what ended before this
process began to read is not known.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.scheduler.job_columns import QUEUED, RUNNING, JobColumns

SECOND_MS = 1_000


class Charged(NamedTuple):
    """So many runs. queue, shape: numbers of the tables of JobColumns."""

    queue: int
    shape: int
    runs: int


class ShortRuns:
    """Of all pools that have a cutoff."""

    def __init__(self, jobs: JobColumns, cutoff_s: Mapping[str, float], is_preempted: Callable[[bytes], bool]) -> None:
        """`cutoff_s`: by pool, 0 = none. `is_preempted`: whether the run of this id was."""
        self._jobs, self._is_preempted = jobs, is_preempted
        self._cutoff_ms = {jobs.pools.learn(pool): int(s * 1000) for pool, s in cutoff_s.items() if s > 0}
        self._began: dict[int, defaultdict[tuple[int, int], Counter[int]]] = {
            pool: defaultdict(Counter) for pool in self._cutoff_ms
        }

    @property
    def counts(self) -> bool:
        """Whether any pool has a cutoff."""
        return bool(self._cutoff_ms)

    def ended(self, slots: npt.NDArray[np.intp]) -> None:
        """The rows in these slots have gone; the columns still say what they were."""
        jobs = self._jobs
        active = slots[(jobs.state[slots] > QUEUED) & (jobs.state[slots] <= RUNNING)]
        for slot in active.tolist():
            of_pool = self._began.get(int(jobs.pool[slot]))
            if of_pool is not None and not self._is_preempted(bytes(jobs.run_id[slot])):
                of_pool[int(jobs.queue[slot]), int(jobs.shape[slot])][int(jobs.since_ms[slot]) // SECOND_MS] += 1

    def charged(self, pool: int, now_ms: int) -> Iterator[Charged]:
        """What a pool (its number) charges at this log time; forgets what is over."""
        of_pool = self._began.get(pool)
        if of_pool is None:
            return
        over = (now_ms - self._cutoff_ms[pool]) // SECOND_MS
        for key, began in list(of_pool.items()):
            for second in [second for second in began if second < over]:
                del began[second]
            if began:
                yield Charged(*key, began.total())
            else:
                del of_pool[key]
