"""What the kernels work on: one tuple of arrays for a round.

L levels (0 = evicted, the rest by priority), N nodes in G groups, R resources, S shapes with W ways, J jobs in U
units, Q queues. Amounts are int64, each resource in the largest unit that divides all its amounts. A *way* is one
choice of tolerations, nodes and level for a shape: at home, away at a node type, away in other pools. A *unit* is what
is placed and preempted together: a gang, or one job. All integers are 64 bits wide: every other width would make the
compiler do its work once more.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

# status of a job
WAITING, BOUND, EVICTED, PREEMPTED, PLACED = 0, 1, 2, 3, 4
# ways of coming to a node (decisions.Method)
FREE, FAIR, URGENT, AWAY_OFFSET = 0, 1, 2, 3
# counters
(CONSIDERED, STAMP, JOURNAL, ORDERED, FAIR_LEFT, BALANCING, URGENCY, BUDGET, TAIL, HEAP_USED, FLOATING_MOVES) = range(
    11
)
COUNTERS = 11
# tokens of the pool
TOKENS, BURST = 0, 1
NOWHERE = -1
NEVER = -2
"""No node has room for a way at its own level, and none will: room at the levels of jobs only shrinks."""
EXHAUSTED = -3
"""Balancing has no budget left for what a candidate would preempt."""
# kinds of journal entries
DID_PLACE, DID_PREEMPT, DID_RETURN = 0, 1, 2
FREED_RING = 1 << 16
HEAP_SPARE = 16
HEAP_ENTRIES_MAX = 16_000_000
NODE_BITS = 24
NODE_MASK = (1 << NODE_BITS) - 1
BLOCK = 64
RING = 1024
"""Entries of the log of changed nodes that are kept by level."""
CATCH_UP = 384
"""More changes than this are not looked at one by one: the index is searched."""

# reasons (decisions.Reason) that the loop gives; 255 = none
NO_NODE_FITS, FLOATING, QUEUE_LIMIT, QUEUE_RATE, RATE = 0, 1, 3, 4, 5
ROUND_LIMIT, DECISIONS, BURST_TOO_SMALL = 6, 8, 10
UNDECIDED = 255


class State(NamedTuple):
    """The arrays of a round, by what they are of. `dimensions` says how many each has."""

    # nodes
    free: I64  # (L, N, R)
    level_weight: I64  # (L,) what preempting at a level weighs in the choice between values of a label
    open: U8  # (N,) takes new jobs
    group: I64  # (N,)
    cluster: I64  # (N,)
    always: U8  # (N,) evicted jobs may always return: over-allocated and unschedulable
    cluster_left: I64  # (C,)
    cluster_ptr: I64
    cluster_node: I64  # nodes that take new jobs while their cluster is open
    group_ptr: I64
    group_node: I64
    # shapes and ways
    need: I64  # (S, R) of nodes
    ask: I64  # (S, R) of the pool, floating included
    class_of: I64  # (S,)
    class_priority: I64  # (C,)
    class_fixed: U8  # (C,) not preemptible: counts at every level
    way_ptr: I64  # (S + 1,)
    way_level: I64  # (W,)
    way_away: U8  # (W,)
    way_pinned: U8  # (W,) few nodes: way_node lists them
    way_match: U8  # (W, G), zero for pinned ways
    way_node_ptr: I64
    way_node: I64
    way_group_ptr: I64
    way_group: I64
    # jobs and units
    shape: I64
    queue: I64
    node: I64
    level: I64
    status: U8
    method: U8
    reason: U8
    by: I64
    evictable: U8  # (J,) may be evicted when it runs
    fresh: U8  # (J,) placed in this round
    unit: I64
    unit_ptr: I64
    unit_job: I64
    avoid_ptr: I64
    avoid_node: I64
    ordered: I64  # placed jobs in the order of decision
    evicted_node_ptr: I64
    evicted_node: I64  # evicted jobs of a node, last number first
    evicted_number: I64  # their numbers
    evicted_at: I64  # evicted jobs by number
    # uniformity labels: values of label x are label_ptr[x]:label_ptr[x + 1], nodes of a value value_ptr
    unit_label: I64
    label_ptr: I64
    value_ptr: I64
    value_node: I64
    # lists: per queue the units that are evicted and that wait, in order, each by the job that it is yielded with
    evicted_ptr: I64
    evicted_unit: I64
    waiting_ptr: I64
    waiting_unit: I64
    waiting_run: I64  # where the next unit stands that is of another shape, or a gang
    evicted_turn: I64  # (Q,) where the queue stands
    waiting_turn: I64
    closed: U8  # (Q,) reason + 1 once nothing new of the queue is looked at
    capped: I64  # hash set of queue * S + shape, -1 = empty
    # turns: the keys of the heads of queues, and a heap of queues by them
    turn_priority: I64  # (Q,)
    turn_over: I64
    turn_cost: F64
    turn_size: F64
    turn_heap: I64
    turn_length: I64
    head_ask: I64  # (R,) of the head being judged
    unit_ask: I64  # (R,) of the candidate
    # queues
    rank: I64
    weight: F64
    budget: F64
    charged: I64  # (Q, R)
    queue_tokens: F64
    queue_burst: F64
    cap_row: I64  # (Q * C,)
    cap_limit: I64  # (K, R)
    cap_held: I64  # (K, R)
    # the pool
    cost_column: I64
    cost_total: F64
    cost_factor: F64
    floating_left: I64  # (R,)
    floating_taker: I64  # (R,) the last job that was placed and asks for it, or -1
    is_floating: U8
    round_limit: I64  # (R,)
    round_placed: I64  # (R,)
    tokens: F64
    counters: I64
    blocked: U8  # (S,) 0, or the reason + 1
    # index
    index_column: I64
    index_word: I64
    index_shift: I64
    need_key: I64  # (S,) first word of the least key that a node for the shape can have
    key: I64  # (L, N, K) as indexed
    built: U8
    node_block: I64  # (L, N)
    block_node: I64  # (L, B, BLOCK)
    block_len: I64
    block_max: I64  # (L, B, R) no node in it has more
    block_loose: U8  # (L, B) perhaps none has as much
    block_order: I64  # (L, B)
    region: I64  # (G + 1,)
    region_len: I64  # (L, G)
    dirty: I64  # (L, N)
    is_dirty: U8
    dirty_len: I64
    ring: I64  # (L, RING)
    ring_end: I64
    seen_node: I64  # (W, L)
    seen_end: I64
    seen_key: I64  # (W, L, K)
    witness: I64  # (W,) a node that had room at the level of the way, NOWHERE, or NEVER
    # fair preemption: heaps of t, one after the other in the same arrays
    heap_start: I64  # (W,) -1 = not built
    heap_size: I64
    heap_length: I64
    heap_seen: I64
    heap_entry: I64  # t, and the node in the lowest NODE_BITS
    freed_node: I64  # (FREED_RING,) nodes whose room at level 0 grew, and for which levels that says nothing new
    freed_low: I64
    freed_high: I64
    freed_end: I64
    scratch: I64  # (R,)
    stamp: I64  # (N,)
    gathered: I64  # (N, R)
    journal: I64  # (.., 3) kind, job, and of what is preempted `by` as it was

    @classmethod
    def dimensions(cls) -> dict[str, int]:
        """The number of dimensions of each array, in the order of the fields."""
        return {name: _DIMENSIONS.get(name, 1) for name in cls._fields}


_DIMENSIONS = {
    **dict.fromkeys(("free", "key", "block_node", "block_max", "seen_key"), 3),
    **dict.fromkeys(("need", "ask", "way_match", "charged", "cap_limit", "cap_held", "gathered", "journal"), 2),
    **dict.fromkeys(("node_block", "block_len", "block_loose", "block_order", "region_len"), 2),
    **dict.fromkeys(("dirty", "is_dirty", "ring", "seen_node", "seen_end"), 2),
}
