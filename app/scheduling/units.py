"""Units: what is placed and preempted together. A gang is one; every other job is one by itself.

Members of a gang have one queue, gang id and generation, so leftovers of an earlier attempt are a gang of their own.
Waiting members are offered once all are there; running members are evicted and preempted together, however many are
left. A gang whose waiting members contradict each other is refused as a whole and harms nobody else.
"""

from dataclasses import dataclass

import numpy as np

from app.scheduling.jobs import NO_GANG
from app.scheduling.resources import Bool, Int32, Int64
from app.scheduling.round import Round

DISAGREE = "members of gang {!r} disagree about its cardinality or uniformity label"
CLASSES = "members of gang {!r} have different priority classes"
TOO_MANY = "gang {!r} has {} waiting members, more than its cardinality of {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gangs:
    """`key`: int32 by job, equal for members of one gang (waiting or running), -1 for jobs alone.

    `members`: the jobs that are none alone. `incomplete`: those of them that wait for others. Both ascending.
    """

    key: Int32
    members: Int64
    incomplete: Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """`unit`: by job, -1 for a job alone. Members of unit u are jobs[start[u]:start[u + 1]], in order."""

    unit: Int32 | Int64
    start: Int64
    jobs: Int64

    def __len__(self) -> int:
        return len(self.start) - 1

    def last(self) -> Int64:
        """The member with which each unit is complete."""
        return self.jobs[self.start[1:] - 1]


def gangs_of(round_: Round, waiting: Bool) -> tuple[Gangs, list[tuple[int, str]]]:
    """The gangs of a round, and waiting jobs to refuse with the reason, in job order."""
    jobs, table = round_.jobs, round_.gangs
    key = np.full(len(jobs), -1, np.int32)
    members = np.flatnonzero(jobs.gang != NO_GANG)
    if not len(members):
        return Gangs(key=key, members=members, incomplete=members), []
    names: dict[tuple[str, int], int] = {}
    name_of = np.array([names.setdefault((gang.id, gang.generation), len(names)) for gang in table], np.int64)
    of_entry = np.array([max(gang.cardinality, 1) for gang in table], np.int64)
    entry = jobs.gang[members]
    real = of_entry[entry] > 1
    members, entry = members[real], entry[real]
    pairs = (jobs.queue[members].astype(np.int64) + len(round_.unknown) + 1) * len(names) + name_of[entry]
    _, key[members] = np.unique(pairs, return_inverse=True)
    wait = waiting[members]
    rows = members[wait]
    refused: list[tuple[int, str]] = []
    incomplete = rows
    if len(rows):
        refused, short = _judge(round_, rows, key, of_entry[entry[wait]])
        incomplete = rows[short]
    return Gangs(key=key, members=members, incomplete=incomplete), refused


def _judge(round_: Round, rows: Int64, key: Int32, cardinality: Int64) -> tuple[list[tuple[int, str]], Bool]:
    """Of waiting members (with the cardinality that each names): those to refuse with the reason, and a mask of those
    whose gang is not complete."""
    jobs = round_.jobs
    gang, position = np.unique(key[rows], return_inverse=True)
    size = np.bincount(position, minlength=len(gang))

    def differs(values: Int64 | Int32) -> Bool:
        least = np.full(len(gang), np.iinfo(np.int64).max)
        most = np.full(len(gang), np.iinfo(np.int64).min)
        np.minimum.at(least, position, values)
        np.maximum.at(most, position, values)
        result: Bool = least != most
        return result

    disagree = differs(jobs.gang[rows])
    classes = differs(round_.shapes.priority_class[jobs.shape[rows]])
    wanted = np.zeros(len(gang), np.int64)
    wanted[position] = cardinality
    too_many = size > wanted
    refused: list[tuple[int, str]] = []
    for at in np.flatnonzero((disagree | classes | too_many)[position]).tolist():
        g, name = position[at], round_.gangs[int(jobs.gang[rows[at]])].id
        if disagree[g]:
            text = DISAGREE.format(name)
        elif classes[g]:
            text = CLASSES.format(name)
        else:
            text = TOO_MANY.format(name, size[g], wanted[g])
        refused.append((int(rows[at]), text))
    return refused, (size < wanted)[position]


def units_of(key: Int32, parts: tuple[Int64, ...], count: int) -> Units:
    """Units of jobs in order. `parts`: lists of jobs; members of one gang in the same list are a unit.

    Gang members that are alone in their list are no unit, but jobs alone.
    """
    unit = np.full(count, -1, np.int32)
    found: list[Int64] = []
    sizes: list[Int64] = []
    number = 0
    for part in parts:
        rows = part[key[part] >= 0]
        if not len(rows):
            continue
        _, position, size = np.unique(key[rows], return_inverse=True, return_counts=True)
        order = np.argsort(position, kind="stable")
        several = size > 1
        unit[rows] = np.where(several, number + np.cumsum(several) - 1, -1)[position]
        ordered = rows[order]
        found.append(ordered[unit[ordered] >= 0])
        sizes.append(size[several])
        number += int(several.sum())
    start = np.zeros(number + 1, np.int64)
    if sizes:
        np.cumsum(np.concatenate(sizes), out=start[1:])
    return Units(unit=unit, start=start, jobs=np.concatenate(found) if found else np.zeros(0, np.int64))
