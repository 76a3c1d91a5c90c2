"""The scheduling core: one round is a pure function `schedule(round) -> Decisions`. No I/O, clock or randomness.

Input is a `Round` (round.py): nodes, jobs and shapes as columns, made by `RoundBuilder` (builder.py), by the scheduler
from its own arrays, or from a file (round_file.py). Output are `Decisions` (decisions.py; decisions_file.py as JSON).

    schedule.py     the course of a round      quarantine.py, units.py   who takes part, gangs
    ledger.py       totals, held, demand       shares.py                 fair shares by water filling
    ways.py         where shapes may stand     levels.py, scaled.py      priorities and amounts as small numbers
    ordering.py     order inside queues        round_state.py, arrays.py the arrays of the loop
    kernels/        the loop, compiled         compiler.py               compiled, or the same source uncompiled
    outcome.py      decisions from the arrays  explanation.py            why a shape fits nowhere, on demand
    submit_check.py would it fit an empty pool

In kernels/: state (all arrays) · node_index and best_fit (the node with the least room that takes a shape) · rooms
(levels, with undo) · fair_preemption · placing (four steps, gangs) · queue_heap and passes (whose turn it is).
Why it is built so: docs/decisions/0010-scheduling-core.md. How long it takes: benchmarks/round.py.
"""
