"""Lays a round out for the kernels: everything that `kernels.state.State` holds, from the parts of a round."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.scheduling.kernels.reference import KINDS, dtype_of
from app.scheduling.kernels.state import (
    BALANCING,
    BLOCK,
    BOUND,
    BUDGET,
    COUNTERS,
    FAIR_LEFT,
    FLOATING_MOVES,
    FREED_RING,
    HEAP_ENTRIES_MAX,
    HEAP_SPARE,
    NOWHERE,
    RING,
    URGENCY,
    WAITING,
    State,
)
from app.scheduling.ledger import Ledger, floating_left, fraction_of
from app.scheduling.levels import Levels
from app.scheduling.ordering import queue_starts
from app.scheduling.quarantine import Admission
from app.scheduling.resources import Bool, Int32, Int64
from app.scheduling.round import Round
from app.scheduling.scaled import UNLIMITED, Scaled, charged_rows
from app.scheduling.shares import Shares
from app.scheduling.units import Units
from app.scheduling.ways import Ways

Arrays = dict[str, Any]
NO_REASON = 255
ALIGNMENT = 64
NARROW_MAX = 1 << 16
Bytes = np.typing.NDArray[np.uint8]
WORKING = (
    *("free", "open", "cluster_left", "status", "reason", "fresh", "evicted_node_ptr", "evicted_turn", "waiting_turn"),
    *("closed", "capped", "charged", "queue_tokens", "cap_held", "floating_left", "round_placed", "tokens", "counters"),
    *(
        "floating_taker",
        "blocked",
        "built",
        "is_dirty",
        "dirty_len",
        "ring_end",
        "seen_end",
        "witness",
        "heap_start",
        "freed_end",
        "stamp",
    ),
)
"""What must be as at the start before the same round is decided again. The rest is input, or written before read."""
RECYCLED = (
    *("key", "node_block", "block_node", "block_len", "block_max", "block_loose", "block_order", "region_len", "dirty"),
    *("ring", "seen_node", "seen_key", "freed_node", "freed_low", "freed_high", "heap_entry"),
)
"""Large arrays that are written before they are read: those of an earlier round may be used again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the arrays are made of. `level`: int64 by job. `evicted`: jobs that balancing evicts. `open_nodes`: bool.

    `reason`: by job, given before the loop. `evicted_units`, `offered_units`: in order, by one job of each unit.
    `recycled`: arrays of an earlier round that nobody uses any more, by name.
    """

    round: Round
    admission: Admission
    ledger: Ledger
    shares: Shares
    levels: Levels
    ways: Ways
    units: Units
    level: Int64
    evictable: Bool
    evicted: Int64
    open_nodes: Bool
    always: Bool
    free: Int64
    scaled: Scaled
    indexed: tuple[int, ...]
    reason: Bytes
    evicted_units: Int64
    offered_units: Int64
    recycled: Arrays


def state_of(parts: Parts) -> tuple[State, Bytes]:
    """The state at the start of a round, and the memory in which all of it stands that a round changes for good."""
    fields = _nodes(parts) | _shapes(parts) | _jobs(parts) | _labels(parts) | _queues(parts) | _pool(parts)
    fields |= _index(parts, fields) | _preemption(parts) | _turns(parts)
    fields |= lists_of(
        parts.round, parts.evicted_units, parts.offered_units, parts.units.unit, capped=len(fields["cap_limit"]) > 0
    )
    fields = {name: np.require(fields[name], dtype_of(name), ["C", "W"]) for name in KINDS}
    arena, working = _in_one_piece({name: fields[name] for name in WORKING})
    return State(**{**fields, **working}), arena


def _blank(parts: Parts, name: str, shape: tuple[int, ...], dtype: type = np.int64) -> Any:
    """An array with anything in it: that of the earlier round, if it is as large."""
    array = parts.recycled.get(name)
    return array if array is not None and array.shape == shape else np.empty(shape, dtype)


def _in_one_piece(arrays: Arrays) -> tuple[Bytes, Arrays]:
    """Copies of these arrays that stand one after the other in one array of bytes."""
    starts = np.cumsum([0, *(-(-array.nbytes // ALIGNMENT) * ALIGNMENT for array in arrays.values())]).tolist()
    arena = np.zeros(starts[-1], np.uint8)
    copies = {}
    for (name, array), start in zip(arrays.items(), starts, strict=False):
        copies[name] = arena[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        copies[name][...] = array
    return arena, copies


def lists_of(round_: Round, evicted: Int64, waiting: Int64, unit: Int32 | Int64, *, capped: bool) -> Arrays:
    """The lists of units by queue, each at its beginning. `unit`: by job."""
    queues = len(round_.queues)
    pairs = min(len(waiting), queues * len(round_.shapes))
    evicted_ptr = queue_starts(round_.jobs.queue[evicted], queues)
    waiting_ptr = queue_starts(round_.jobs.queue[waiting], queues)
    return {
        "evicted_ptr": evicted_ptr,
        "evicted_unit": np.ascontiguousarray(evicted, np.int64),
        "waiting_ptr": waiting_ptr,
        "waiting_unit": np.ascontiguousarray(waiting, np.int64),
        "waiting_run": _run_ends(round_.jobs.shape[waiting], unit[waiting]),
        "evicted_turn": evicted_ptr[:-1].copy(),
        "waiting_turn": waiting_ptr[:-1].copy(),
        "closed": np.zeros(queues, np.uint8),
        "capped": np.full(2 * pairs + 17 if capped and len(waiting) else 0, -1, np.int64),
    }


def _run_ends(shape: Int32, unit: Int32 | Int64) -> Int64:
    """By place in a list: where the next job stands that has another shape or a gang."""
    if not len(shape):
        return np.zeros(0, np.int64)
    changes = (shape[1:] != shape[:-1]) | (unit[1:] >= 0) | (unit[:-1] >= 0)
    ends = np.append(np.flatnonzero(changes) + 1, len(shape))
    return np.repeat(ends, np.diff(ends, prepend=0))


def csr(rows: Int64 | Int32, count: int) -> tuple[Int64, Int32]:
    """Groups positions by value: start (count + 1,) and the positions of each value, in order."""
    start = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=count), out=start[1:])
    # NumPy sorts 16 bits by counting.
    narrow = rows.astype(np.uint16) if count <= NARROW_MAX else rows
    return start, np.argsort(narrow, kind="stable").astype(np.int64)


def _nodes(parts: Parts) -> Arrays:
    clusters = parts.round.clusters
    left = np.array([each.unacknowledged_limit - each.unacknowledged for each in clusters], np.int64)
    cluster = parts.round.nodes.cluster
    is_open = parts.open_nodes.copy()
    if len(clusters):
        is_open &= left[cluster] > 0
    usable = np.flatnonzero(parts.open_nodes)
    cluster_ptr, order = csr(cluster[usable], len(clusters))
    group_ptr, group_node = csr(parts.ways.group, parts.ways.groups)
    return {
        "free": parts.free,
        "level_weight": parts.levels.weights(),
        "open": is_open.astype(np.uint8),
        "group": parts.ways.group,
        "cluster": cluster.astype(np.int64),
        "always": parts.always.astype(np.uint8),
        "cluster_left": left,
        "cluster_ptr": cluster_ptr,
        "cluster_node": usable[order],
        "group_ptr": group_ptr,
        "group_node": group_node,
    }


def _shapes(parts: Parts) -> Arrays:
    ways = parts.ways
    match = ways.match[ways.node_set]
    group_start = np.zeros(len(match) + 1, np.int64)
    np.cumsum(match.sum(axis=1, dtype=np.int64), out=group_start[1:])
    first, last = ways.set_start[ways.node_set], ways.set_start[ways.node_set + 1]
    node_start = np.zeros(len(match) + 1, np.int64)
    np.cumsum(last - first, out=node_start[1:])
    pieces = [ways.set_node[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True) if b > a]
    classes = parts.round.classes
    return {
        "need": parts.scaled.need,
        "ask": parts.scaled.ask,
        "class_of": parts.round.shapes.priority_class.astype(np.int64),
        "class_priority": np.array([each.priority for each in classes], np.int64),
        "class_fixed": np.array([not each.preemptible for each in classes], np.uint8),
        "way_ptr": ways.start,
        "way_level": ways.level,
        "way_away": ways.away,
        "way_pinned": ways.pinned[ways.node_set].astype(np.uint8),
        "way_match": match,
        "way_node_ptr": node_start,
        "way_node": np.concatenate(pieces) if pieces else np.zeros(0, np.int64),
        "way_group_ptr": group_start,
        "way_group": np.nonzero(match)[1].astype(np.int64),
    }


def _jobs(parts: Parts) -> Arrays:
    jobs, count = parts.round.jobs, len(parts.round.jobs)
    known = jobs.avoid_node >= 0
    avoid_ptr, order = csr(jobs.avoid_job[known], count)
    evicted, nodes = len(parts.evicted), len(parts.round.nodes)
    return {
        "shape": jobs.shape,
        "queue": jobs.queue,
        "node": jobs.run_node.astype(np.int64),
        "level": parts.level,
        "status": np.where(jobs.running, BOUND, WAITING).astype(np.uint8),
        "method": np.zeros(count, np.uint8),
        "reason": parts.reason,
        "by": np.full(count, -1, np.int64),
        "evictable": parts.evictable.astype(np.uint8),
        "fresh": np.zeros(count, np.uint8),
        "unit": parts.units.unit,
        "unit_ptr": parts.units.start,
        "unit_job": parts.units.jobs.astype(np.int64),
        "avoid_ptr": avoid_ptr,
        "avoid_node": jobs.avoid_node[known][order].astype(np.int64),
        "ordered": np.zeros(int(parts.admission.waiting.sum()), np.int64),
        "evicted_node_ptr": np.zeros(nodes + 1, np.int64),
        "evicted_node": np.zeros(evicted, np.int64),
        "evicted_number": np.zeros(evicted, np.int64),
        "evicted_at": np.zeros(evicted, np.int64),
    }


def _labels(parts: Parts) -> Arrays:
    """Nodes by value of each uniformity label that a gang names; values in order of their text."""
    round_, units = parts.round, parts.units
    unit_label = np.full(len(units), -1, np.int64)
    labels: dict[str, int] = {}
    gangs = round_.jobs.gang[units.last()].tolist()
    waits = parts.admission.waiting[units.last()].tolist()
    for unit, (gang, is_waiting) in enumerate(zip(gangs, waits, strict=True)):
        label = round_.gangs[gang].uniformity_label if is_waiting else None
        if label is not None:
            unit_label[unit] = labels.setdefault(label, len(labels))
    nodes = round_.nodes
    entry_node = np.repeat(np.arange(len(nodes), dtype=np.int64), np.diff(nodes.label_start))
    label_ptr, sizes, members = [0], [], []
    for label in labels:
        rows = np.flatnonzero(nodes.label_key == (nodes.strings.index(label) if label in nodes.strings else -1))
        values = sorted(np.unique(nodes.label_value[rows]).tolist(), key=lambda value: nodes.strings[value])
        for value in values:
            members.append(entry_node[rows[nodes.label_value[rows] == value]])
            sizes.append(len(members[-1]))
        label_ptr.append(len(sizes))
    return {
        "unit_label": unit_label,
        "label_ptr": np.array(label_ptr, np.int64),
        "value_ptr": np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        "value_node": np.concatenate(members) if members else np.zeros(0, np.int64),
    }


def _queues(parts: Parts) -> Arrays:
    round_, ledger, scaled = parts.round, parts.ledger, parts.scaled
    queues = round_.queues
    rank = np.zeros(len(queues), np.int64)
    rank[sorted(range(len(queues)), key=lambda index: queues[index].name)] = np.arange(len(queues))
    weight = np.array([queue.weight for queue in queues], np.float64)
    budget = np.zeros(len(queues))
    budget[ledger.active] = parts.shares.capped
    infinite = float("inf")
    cap_row = np.full(len(ledger.caps), -1, np.int64)
    rows = [index for index, caps in enumerate(ledger.caps) if caps]
    cap_row[rows] = np.arange(len(rows))
    width = len(scaled.unit)
    limit = {caps: scaled.limit(caps) for caps in set(ledger.caps)}
    return {
        "rank": rank,
        "weight": weight,
        "budget": budget / weight if len(queues) else budget,
        "charged": charged_rows(round_, ledger, scaled),
        "queue_tokens": np.array([q.limiter.tokens if q.limiter else infinite for q in queues], np.float64),
        "queue_burst": np.array([q.limiter.burst if q.limiter else infinite for q in queues], np.float64),
        "cap_row": cap_row,
        "cap_limit": np.array([limit[ledger.caps[row]] for row in rows], np.int64).reshape(len(rows), width),
        "cap_held": scaled.rows([ledger.held_in_class[row] for row in rows]),
    }


def _pool(parts: Parts) -> Arrays:
    round_, ledger, scaled = parts.round, parts.ledger, parts.scaled
    config, terms = round_.config, ledger.costs.terms
    columns = [column for column, _, _ in terms]
    left = floating_left(round_, parts.admission, ledger)
    units = scaled.unit.tolist()
    counters, budget = np.zeros(COUNTERS, np.int64), config.fair_share_preemption_budget
    counters[FAIR_LEFT] = UNLIMITED if budget is None else budget
    counters[BALANCING] = config.fair_share_preemption
    counters[URGENCY] = config.urgency_preemption
    counters[FLOATING_MOVES] = budget is None and scaled.is_floating.any()
    counters[BUDGET] = UNLIMITED if config.decision_budget is None else config.decision_budget
    limiter = round_.limiter
    tokens = (float("inf"), float("inf")) if limiter is None else (limiter.tokens, limiter.burst)
    return {
        "cost_column": np.array(columns, np.int64),
        "cost_total": np.array([total / units[column] for column, total, _ in terms], np.float64),
        "cost_factor": np.array([factor for _, _, factor in terms], np.float64),
        "floating_left": np.array([max(a // u, -UNLIMITED) for a, u in zip(left, units, strict=True)], np.int64),
        "floating_taker": np.full(len(units), -1, np.int64),
        "is_floating": scaled.is_floating.astype(np.uint8),
        "round_limit": scaled.limit(fraction_of(config.max_fraction_per_round, ledger.totals, round_)),
        "round_placed": np.zeros(len(units), np.int64),
        "tokens": np.array(tokens, np.float64),
        "counters": counters,
        "blocked": np.zeros(len(round_.shapes), np.uint8),
    }


def _index(parts: Parts, fields: Arrays) -> Arrays:
    levels, nodes, width = parts.free.shape
    ways = len(parts.ways.level)
    layout = parts.scaled.key_layout(parts.indexed)
    words = layout[3]
    sizes = np.diff(fields["group_ptr"])
    region = np.concatenate(([0], np.cumsum(sizes // (BLOCK * 3 // 8) + 4))).astype(np.int64)
    blocks = int(region[-1])
    return {
        "index_column": layout[0],
        "index_word": layout[1],
        "index_shift": layout[2],
        "need_key": parts.scaled.need_keys(layout),
        "key": _blank(parts, "key", (levels, nodes, words)),
        "built": np.zeros(levels, np.uint8),
        "node_block": _blank(parts, "node_block", (levels, nodes)),
        "block_node": _blank(parts, "block_node", (levels, blocks, BLOCK)),
        "block_len": _blank(parts, "block_len", (levels, blocks)),
        "block_max": _blank(parts, "block_max", (levels, blocks, width)),
        "block_loose": _blank(parts, "block_loose", (levels, blocks), np.uint8),
        "block_order": _blank(parts, "block_order", (levels, blocks)),
        "region": region,
        "region_len": _blank(parts, "region_len", (levels, parts.ways.groups)),
        "dirty": _blank(parts, "dirty", (levels, nodes)),
        "is_dirty": np.zeros((levels, nodes), np.uint8),
        "dirty_len": np.zeros(levels, np.int64),
        "ring": _blank(parts, "ring", (levels, RING)),
        "ring_end": np.zeros(levels, np.int64),
        "seen_node": _blank(parts, "seen_node", (ways, levels)),
        "seen_end": np.full((ways, levels), -1, np.int64),
        "seen_key": _blank(parts, "seen_key", (ways, levels, words)),
        "witness": np.full(ways, NOWHERE, np.int64),
    }


def _preemption(parts: Parts) -> Arrays:
    _, nodes, width = parts.free.shape
    balancing = len(parts.evicted) > 0
    largest = int(np.diff(parts.units.start).max(initial=1))
    ways = len(parts.ways.level)
    crowded = min(nodes, len(parts.evicted))
    entries = min(ways * (crowded + crowded // 4 + HEAP_SPARE), HEAP_ENTRIES_MAX) if balancing else 0
    return {
        "heap_start": np.full(ways, -1, np.int64),
        "heap_size": np.zeros(ways, np.int64),
        "heap_length": np.zeros(ways, np.int64),
        "heap_seen": np.zeros(ways, np.int64),
        "heap_entry": _blank(parts, "heap_entry", (entries,)),
        "freed_node": _blank(parts, "freed_node", (FREED_RING,)),
        "freed_low": _blank(parts, "freed_low", (FREED_RING,)),
        "freed_high": _blank(parts, "freed_high", (FREED_RING,)),
        "freed_end": np.zeros(1, np.int64),
        "scratch": np.zeros(width, np.int64),
        "stamp": np.zeros(nodes if balancing else 0, np.int64),
        "gathered": np.zeros((nodes if balancing else 0, width), np.int64),
        "journal": np.zeros((len(parts.evicted) + 2 * largest + 16, 3), np.int64),
    }


def _turns(parts: Parts) -> Arrays:
    queues, width = len(parts.round.queues), len(parts.scaled.unit)
    return {
        "turn_priority": np.zeros(queues, np.int64),
        "turn_over": np.zeros(queues, np.int64),
        "turn_cost": np.zeros(queues, np.float64),
        "turn_size": np.zeros(queues, np.float64),
        "turn_heap": np.zeros(queues, np.int64),
        "turn_length": np.zeros(1, np.int64),
        "head_ask": np.zeros(width, np.int64),
        "unit_ask": np.zeros(width, np.int64),
    }
