"""One pointer to the arrays of a round, for compiled kernels.

A tuple of a hundred arrays is copied into every call, which the compiler pays for at every call site. So compiled
kernels get a reference with the same fields over the same arrays; uncompiled ones get the tuple itself.
"""

from typing import Any

import numba
from numba import types
from numba.experimental import structref

from app.scheduling.kernels.jit import kernel
from app.scheduling.kernels.state import State


@structref.register
class StateType(types.StructRef):  # type: ignore[misc]
    """The compiled form of `State`."""

    def preprocess_fields(self, fields: Any) -> Any:
        """Fields hold arrays, never literals."""
        return tuple((name, types.unliteral(of_type)) for name, of_type in fields)


class StateReference(structref.StructRefProxy):  # type: ignore[misc]
    """What Python sees of a reference: nothing, it is only passed on."""


structref.define_proxy(StateReference, StateType, list(State._fields))


@kernel
def _reference(st: State) -> Any:
    return StateReference(
        st.free,
        st.open,
        st.group,
        st.cluster,
        st.always,
        st.cluster_left,
        st.cluster_ptr,
        st.cluster_node,
        st.group_ptr,
        st.group_node,
        st.need,
        st.ask,
        st.class_of,
        st.class_priority,
        st.class_fixed,
        st.way_ptr,
        st.way_level,
        st.way_away,
        st.way_pinned,
        st.way_match,
        st.way_node_ptr,
        st.way_node,
        st.way_group_ptr,
        st.way_group,
        st.shape,
        st.queue,
        st.node,
        st.level,
        st.status,
        st.method,
        st.reason,
        st.by,
        st.evictable,
        st.fresh,
        st.order,
        st.unit,
        st.unit_ptr,
        st.unit_job,
        st.avoid_ptr,
        st.avoid_node,
        st.ordered,
        st.evicted_node_ptr,
        st.evicted_node,
        st.evicted_at,
        st.unit_label,
        st.label_ptr,
        st.value_ptr,
        st.value_node,
        st.rank,
        st.weight,
        st.budget,
        st.charged,
        st.queue_tokens,
        st.queue_burst,
        st.cap_row,
        st.cap_limit,
        st.cap_held,
        st.cost_column,
        st.cost_total,
        st.cost_factor,
        st.floating_left,
        st.is_floating,
        st.round_limit,
        st.round_placed,
        st.tokens,
        st.counters,
        st.blocked,
        st.index_column,
        st.index_word,
        st.index_shift,
        st.need_key,
        st.key,
        st.built,
        st.node_block,
        st.block_node,
        st.block_len,
        st.block_max,
        st.block_order,
        st.region,
        st.region_len,
        st.dirty,
        st.is_dirty,
        st.dirty_len,
        st.ring,
        st.ring_end,
        st.seen_node,
        st.seen_end,
        st.seen_key,
        st.witness,
        st.freed_node,
        st.freed_low,
        st.freed_high,
        st.freed_end,
        st.scratch,
        st.stamp,
        st.gathered,
        st.journal,
    )


def reference_to(state: State) -> Any:
    """The argument for compiled kernels."""
    return state if numba.config.DISABLE_JIT else _reference(state)
