"""Licences change hands: what evicted runs hold of floating resources is free until they return.

Only where the counter FLOATING_MOVES is set: the round has floating resources, and balancing no budget. That budget is
hard, so with one the floating resources of evicted runs stay theirs.
"""

from app.scheduling.kernels.jit import kernel, wide
from app.scheduling.kernels.queue_heap import ask_of
from app.scheduling.kernels.state import EVICTED, State


@kernel
def release(st: State, job: int) -> None:
    """Gives back what an evicted job has of floating resources."""
    shape = st.shape[job]
    for r in range(st.is_floating.size):
        if st.is_floating[r]:
            st.floating_left[r] += st.ask[shape, r]


@kernel
def is_taken(st: State, job: int) -> bool:
    """Whether a floating resource of an evicted unit is gone; then the job that took it last is named as the cause.

    Leaves in `unit_ask` what the evicted members ask for.
    """
    ask = st.unit_ask
    ask_of(st, job, wide(EVICTED), ask)
    for r in range(ask.size):
        if st.is_floating[r] and ask[r] > 0 and ask[r] > st.floating_left[r]:
            _name(st, job, st.floating_taker[r])
            return True
    return False


@kernel
def _name(st: State, job: int, taker: int) -> None:
    unit = st.unit[job]
    if unit < 0:
        st.by[job] = taker
        return
    for i in range(st.unit_ptr[unit], st.unit_ptr[unit + 1]):
        if st.status[st.unit_job[i]] == EVICTED:
            st.by[st.unit_job[i]] = taker


@kernel
def take_back(st: State) -> None:
    """A unit has returned that asked for what stands in `unit_ask`."""
    for r in range(st.unit_ask.size):
        if st.is_floating[r]:
            st.floating_left[r] -= st.unit_ask[r]
