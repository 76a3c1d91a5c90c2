"""The kernels that are called from outside, in one place: compiled, or the same source uncompiled.

`table`: the address of a state's table (reference.py); uncompiled kernels get the state itself.
"""

from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.passes import evict_all, number_evicted, overdrawn_jobs, refusal, run
from app.scheduling.kernels.placing import place_unit
from app.scheduling.kernels.queue_heap import ask_of
from app.scheduling.kernels.reference import state_at
from app.scheduling.kernels.rooms import undo
from app.scheduling.kernels.state import I64, JOURNAL, NO_NODE_FITS, UNDECIDED, WAITING


@kernel
def balance_and_schedule(table: int, evicted: I64, runs: I64, large: bool) -> I64:
    """The first pass: evicts, numbers, and lets everybody try. Returns the jobs at levels that are overdrawn then.

    runs: those that may be evicted.
    """
    st = state_at(table)
    evict_all(st, evicted)
    if evicted.size:
        number_evicted(st, evicted.size < 0, large)
    run(st, evicted.size < 0, large)
    return overdrawn_jobs(st, runs)


@kernel
def repair(table: int, evicted: I64, large: bool) -> int:
    """The second pass: evicts what overdraws, and lets it return by level."""
    st = state_at(table)
    evict_all(st, evicted)
    return run(st, evicted.size >= 0, large)


@kernel
def check_alone(table: int, jobs: I64, verdict: I64) -> None:
    """Tries units one by one on the pool as it is. verdict: reason, or UNDECIDED with their place left in the state."""
    st = state_at(table)
    for i in range(jobs.size):
        job = jobs[i]
        members = ask_of(st, job, wide(WAITING), st.unit_ask)
        verdict[i] = refusal(st, st.queue[job], job, st.unit_ask, members)
        if verdict[i] != UNDECIDED:
            continue
        if place_unit(st, job) < 0:
            verdict[i] = NO_NODE_FITS
        undo(st, wide(0))
        st.counters[JOURNAL] = 0
