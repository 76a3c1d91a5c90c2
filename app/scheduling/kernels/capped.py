"""A hash set of the shapes whose queue has reached its limit: keys are queue * S + shape."""

from app.scheduling.kernels.jit import kernel
from app.scheduling.kernels.state import State


@kernel
def is_capped(st: State, key: int) -> bool:
    at = (key ^ (key >> 15)) % st.capped.size
    while st.capped[at] >= 0:
        if st.capped[at] == key:
            return True
        at = (at + 1) % st.capped.size
    return False


@kernel
def set_capped(st: State, key: int) -> None:
    at = (key ^ (key >> 15)) % st.capped.size
    while st.capped[at] >= 0:
        at = (at + 1) % st.capped.size
    st.capped[at] = key
