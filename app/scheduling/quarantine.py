"""Who takes part in a round: offenders are left out with a reason, and the round goes on.

Input: a round. Output: masks of the jobs that run and of those that wait, of the usable node and shape rows, and the
list of offenders. A quarantined job that runs on a known node still holds its room there: its pod exists.
"""

from dataclasses import dataclass

import numpy as np

from app.scheduling.decisions import NO_JOB, Quarantined
from app.scheduling.jobs import NO_NODE
from app.scheduling.resources import AMOUNT_MAX, Bool, Int64
from app.scheduling.round import NOT_FLOATING, Round
from app.scheduling.units import Gangs, gangs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """`running`, `waiting`: bool by job, those that take part. `holding`: bool by job, runs that hold room on a node.

    `gangs`: who belongs together. `node_valid`: bool by node. `requests`: int64 (S, R), requests with negative amounts
    taken as 0.
    """

    running: Bool
    waiting: Bool
    holding: Bool
    node_valid: Bool
    requests: Int64
    quarantined: tuple[Quarantined, ...]
    gangs: Gangs


def admit(round_: Round) -> Admission:
    """Sorts the good from the bad, with one reason per offender (the first that applies)."""
    jobs, shapes, nodes = round_.jobs, round_.shapes, round_.nodes
    shape_faults = _faulty_amounts(shapes.requests)
    node_faults: Bool = _faulty_amounts(nodes.capacity) | _faulty_amounts(nodes.held)
    node_faulty: Bool = np.any(node_faults, axis=1)
    requests_bad: Bool = np.any(shape_faults, axis=1)
    class_unknown: Bool = shapes.priority_class < 0
    shape_bad = requests_bad | class_unknown
    waiting = ~jobs.running
    queue_unknown = waiting & (jobs.queue < 0)
    node_unknown = jobs.running & (jobs.run_node < 0)
    bad = queue_unknown | node_unknown
    if shape_bad.any():
        bad |= shape_bad[jobs.shape]
    gangs, refused = gangs_of(round_, waiting & ~bad)
    gang_reason = dict(refused)
    bad[list(gang_reason)] = True
    quarantined = [_node_entry(round_, node, node_faults[node]) for node in np.flatnonzero(node_faulty).tolist()]
    for job in np.flatnonzero(bad).tolist():
        shape = int(jobs.shape[job])
        if requests_bad[shape]:
            reason = _amount_reason(round_, shapes.requests[shape], shape_faults[shape], "requests")
        elif class_unknown[shape]:
            reason = f"unknown priority class {shapes.specs[shape].priority_class!r}"
        elif queue_unknown[job]:
            reason = f"unknown queue {round_.unknown_name(int(jobs.queue[job]))!r}"
        elif node_unknown[job]:
            reason = f"runs on the unknown node {round_.unknown_name(int(jobs.run_node[job]))!r}"
        else:
            reason = gang_reason[job]
        quarantined.append(Quarantined(job=job, node=NO_NODE, reason=reason))
    return Admission(
        running=jobs.running & ~bad,
        waiting=waiting & ~bad,
        holding=jobs.running & (jobs.run_node >= 0),
        node_valid=~node_faulty,
        requests=np.clip(shapes.requests, 0, AMOUNT_MAX),
        quarantined=tuple(quarantined),
        gangs=gangs,
    )


def floating_columns(round_: Round) -> Bool:
    """bool by column: the resources that the pool has and nodes have not."""
    return np.array([amount != NOT_FLOATING for amount in round_.floating], np.bool_)


def _faulty_amounts(amounts: Int64) -> Bool:
    faults: Bool = (amounts < 0) | (amounts > AMOUNT_MAX)
    return faults


def _node_entry(round_: Round, node: int, faults: Bool) -> Quarantined:
    capacity = round_.nodes.capacity[node]
    of_capacity = _faulty_amounts(capacity)
    if of_capacity.any():
        reason = _amount_reason(round_, capacity, of_capacity, "capacity")
    else:
        reason = _amount_reason(round_, round_.nodes.held[node], faults, "held")
    return Quarantined(job=NO_JOB, node=node, reason=reason)


def _amount_reason(round_: Round, amounts: Int64, faults: Bool, field: str) -> str:
    column = int(np.flatnonzero(faults)[0])
    trouble = "is negative" if amounts[column] < 0 else "is too large"
    return f"{field} of {round_.resources.names[column]} {trouble}"
