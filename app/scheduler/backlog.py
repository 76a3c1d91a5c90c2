"""What waits in a pool between two full rounds, so that a cheap round need not look at all of it.

Input: the last full round with its decisions; jobs that changed since; room that came free. Output: the jobs that a
cheap round offers. What could not be placed for want of a fitting node still cannot while no node has more room than
it had after the last round, for other jobs have only taken some; so such jobs are offered again only as far as the
room that came free could take jobs of their shape. Limits that pass with time keep nobody back here, nor does
look-back, for no cheap round looks at the jobs in front: such jobs are offered from the head of their queues, once
where they find no node. Waiting for preemption is left to full rounds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from app.scheduler.interning import NONE, Int32
from app.scheduler.job_columns import QUEUED, JobColumns
from app.scheduler.room import Slots
from app.scheduler.round_input import Free, PreparedRound
from app.scheduling.decisions import Decisions, Reason
from app.scheduling.ordering import waiting_order
from app.scheduling.resources import Bool, Int64

OFFERED_MAX = 20_000
"""jobs that one cheap round offers, about"""
GANG_MEMBERS_MAX = 5_000
"""waiting members of gangs that are looked at when room came free"""
SCANNED_MAX = 10
"""places of a queue that are looked at for each that may be offered"""
OPEN = (
    Reason.QUEUE_RESOURCE_LIMIT,
    Reason.QUEUE_RATE_LIMIT,
    Reason.RATE_LIMIT,
    Reason.ROUND_RESOURCE_LIMIT,
    Reason.DECISION_BUDGET,
    Reason.OUTRANKED,
)
"""What may be otherwise in the next round though no room came free."""
OPEN_AT_FIRST = (*OPEN, Reason.LOOKBACK)
"""What a full round leaves untried."""


@dataclass(slots=True)
class Backlog:
    """Of one pool, from one full round to the next.

    `slots`: of the jobs that it left waiting, queue by queue in order. `queue_at`, `queue_end`: where each queue has
    its first open place and its end in it. `open`: by place, whether to offer it though no room came free. `groups`:
    (queue, shape) -> places of jobs without a gang, in order. `gangs`: slots of members of gangs that wait.
    `place`: by slot, where it stands in `slots`, or NONE when it does not or has changed since. `blocked`: numbers of
    shapes that no node takes. `late`: slots of jobs that came after it, by group.
    `again`: jobs that came and were not offered, or only limits kept back. `free`: after the last round of any kind.
    `waiting`: jobs in all. `cut`: more might have fitted than the last round offered.
    """

    slots: Slots
    queue_at: Int64
    queue_end: Int64
    open: Bool
    groups: dict[tuple[int, int], Int64]
    gangs: Slots
    place: Int32
    blocked: set[int]
    free: Free
    columns: tuple[str, ...]
    late: dict[tuple[int, int], set[int]] = field(default_factory=dict)
    again: list[int] = field(default_factory=list)
    waiting: int = 0
    cut: bool = False

    def offer(self, changed: Slots, free: Free, needs: Int64, jobs: JobColumns) -> Slots:
        """Slots to offer, ascending.

        changed: slots that changed since the last round; free: room as of now, with the columns of `columns`; needs:
        base units by (number of a shape, resource)."""
        allowance = self._allowance(free, needs)
        # They may fit now; those that do not will be found to be blocked again.
        self.blocked -= allowance.keys()
        parts: list[Slots] = [self._news(changed, jobs), self._head_of_queues(jobs)]
        self.cut = False
        if allowance:
            parts += self._unblocked(allowance, jobs)
        chosen = np.unique(np.concatenate(parts))
        if len(jobs.gangs):
            chosen = _with_mates(chosen, jobs)
        return chosen

    def after(self, prepared: PreparedRound, decisions: Decisions, jobs: JobColumns) -> None:
        """Learns from a cheap round."""
        self.waiting += prepared.queued - len(decisions.scheduled)
        free = free_after(prepared, decisions)
        # Where not all could be offered that might fit, the room still counts as new.
        self.free = np.minimum(free, self.free) if self.cut and len(free) == len(self.free) else free
        table, gang = decisions.unschedulable, prepared.round.jobs.gang
        self.blocked.update(prepared.shape_numbers[shape] for shape in _blocked_shapes(prepared, decisions))
        again = np.isin(table.reason, np.array(OPEN, np.uint8))
        self.again.extend(prepared.slots[table.job[again]].tolist())
        refused, of_gangs = prepared.slots[table.job[~again]], gang[table.job[~again]] >= 0
        places = self._places(refused)
        self.open[places[places != NONE]] = False
        self._put_late(refused[~of_gangs & (places == NONE)], jobs)
        members = refused[of_gangs & ~np.isin(refused, self.gangs)]
        self.gangs = np.concatenate((self.gangs, members))[:GANG_MEMBERS_MAX]

    def _places(self, slots: Slots) -> Int32:
        """Where these stand in `slots` since the full round, NONE where they do not."""
        within = slots < len(self.place)
        places: Int32 = np.where(within, self.place[np.where(within, slots, 0)], np.int32(NONE))
        return places

    def _put_late(self, slots: Slots, jobs: JobColumns) -> None:
        columns = (slots.tolist(), jobs.queue[slots].tolist(), jobs.shape[slots].tolist())
        for slot, queue, shape in zip(*columns, strict=True):
            self.late.setdefault((queue, shape), set()).add(slot)

    def _allowance(self, free: Free, needs: Int64) -> dict[int, int]:
        """Shape -> how many jobs of it the room that came free could take at most, where it takes any."""
        grown = np.flatnonzero(np.any(free[: len(self.free)] > self.free, axis=1))
        new = np.arange(len(self.free), len(free))
        rooms = free[np.concatenate((grown, new))]
        found: dict[int, int] = {}
        if not len(rooms):
            return found
        for shape in self.blocked.union(key[1] for key in (*self.groups, *self.late)):
            wanted = needs[shape]
            asked = np.flatnonzero(wanted)
            fits = (rooms[:, asked] // wanted[asked]).min(axis=1) if len(asked) else np.full(len(rooms), OFFERED_MAX)
            number = int(np.clip(fits, 0, OFFERED_MAX).sum())
            if number:
                found[shape] = min(number, OFFERED_MAX)
        return found

    def _news(self, changed: Slots, jobs: JobColumns) -> Slots:
        """Jobs that came since the last round, and those that may go at once though they did not."""
        self.place[changed[changed < len(self.place)]] = NONE
        waits = changed[_waiting(changed, jobs)]
        known = np.zeros(len(jobs.shapes) + 1, np.bool_)
        known[list(self.blocked)] = True
        hopeless = known[jobs.shape[waits]] & (jobs.gang[waits] == NONE)
        self._put_late(waits[hopeless], jobs)
        self.waiting += int(hopeless.sum())
        news = np.concatenate((np.array(self.again, np.intp), waits[~hopeless]))
        self.again = news[OFFERED_MAX:].tolist()
        return news[:OFFERED_MAX]

    def _head_of_queues(self, jobs: JobColumns) -> Slots:
        """The first jobs of every queue that only limits keep back."""
        parts = [np.zeros(0, np.intp)]
        each = max(OFFERED_MAX // max(len(self.queue_at), 1), 1)
        for queue, (at, end) in enumerate(zip(self.queue_at.tolist(), self.queue_end.tolist(), strict=True)):
            if at == end:
                continue
            first = at + int(self.open[at:end].argmax())
            head = slice(first, min(end, first + SCANNED_MAX * each))
            self.open[head] &= _waiting(self.slots[head], jobs)
            found = np.flatnonzero(self.open[head])
            self.queue_at[queue] = first + int(found[0]) if len(found) else head.stop
            parts.append(self.slots[first + found[:each]])
        return np.concatenate(parts)

    def _unblocked(self, allowance: dict[int, int], jobs: JobColumns) -> list[Slots]:
        """The first jobs of each queue and shape that room came free for, and gangs."""
        chosen = [(key, places) for key, places in self.groups.items() if key[1] in allowance]
        late = [(key, slots) for key, slots in self.late.items() if key[1] in allowance]
        most = max(OFFERED_MAX // max(len(chosen) + len(late), 1), 1)
        self.cut = any(allowance[key[1]] > most for key, _ in (*chosen, *late))
        parts: list[Slots] = []
        for key, places in chosen:
            head = self.slots[places[: SCANNED_MAX * most]]
            waits = np.flatnonzero(_waiting(head, jobs) & (self._places(head) != NONE))
            self.groups[key] = places[int(waits[0]) if len(waits) else SCANNED_MAX * most :]
            parts.append(self.slots[places[waits[: min(allowance[key[1]], most)]]])
        for key, known in late:
            slots = np.array(sorted(known), np.intp)
            slots = slots[_waiting(slots, jobs)]
            slots = slots[np.lexsort((jobs.text[slots], jobs.submitted_ms[slots], jobs.priority[slots]))]
            self.late[key] = set(slots.tolist())
            parts.append(slots[: min(allowance[key[1]], most)])
        parts.append(self.gangs)
        return parts


def backlog_of(prepared: PreparedRound, decisions: Decisions) -> Backlog:
    """After a full round. Takes as long as sorting what waits; may run in a thread."""
    round_ = prepared.round
    table = decisions.unschedulable
    waits = np.zeros(len(round_.jobs), np.bool_)
    waits[table.job] = True
    reason = np.zeros(len(round_.jobs), np.uint8)
    reason[table.job] = table.reason
    ordered = waiting_order(round_, waits)
    queue = round_.jobs.queue[ordered]
    alone = np.flatnonzero(round_.jobs.gang[ordered] < 0)
    key = queue[alone].astype(np.int64) * max(len(round_.shapes), 1) + round_.jobs.shape[ordered[alone]]
    by_group = np.argsort(key, kind="stable")
    bounds = np.flatnonzero(np.diff(key[by_group])) + 1
    groups = {}
    for places in np.split(alone[by_group], bounds) if len(alone) else []:
        job = int(ordered[places[0]])
        shape = prepared.shape_numbers[int(round_.jobs.shape[job])]
        groups[int(round_.jobs.queue[job]), shape] = places
    blocked = np.zeros(len(round_.shapes), np.bool_)
    blocked[_blocked_shapes(prepared, decisions)] = True
    hopeless = blocked[round_.jobs.shape[ordered]] & (round_.jobs.gang[ordered] < 0)
    is_open = np.isin(reason[ordered], np.array(OPEN_AT_FIRST, np.uint8)) & ~hopeless
    place = np.full(int(prepared.slots.max(initial=0)) + 1, NONE, np.int32)
    place[prepared.slots[ordered]] = np.arange(len(ordered), dtype=np.int32)
    gangs = np.flatnonzero((round_.jobs.gang[ordered] >= 0) & ~is_open)[:GANG_MEMBERS_MAX]
    ends = np.cumsum(np.bincount(queue, minlength=len(round_.queues))).astype(np.int64)
    return Backlog(
        slots=prepared.slots[ordered],
        queue_at=np.concatenate(([0], ends[:-1])).astype(np.int64),
        queue_end=ends,
        open=is_open,
        groups=groups,
        gangs=prepared.slots[ordered[gangs]],
        place=place,
        blocked={prepared.shape_numbers[shape] for shape in np.flatnonzero(blocked).tolist()},
        free=free_after(prepared, decisions),
        columns=round_.resources.names,
        waiting=len(ordered),
    )


def free_after(prepared: PreparedRound, decisions: Decisions) -> Free:
    """What is free when all that the round placed stands there too."""
    round_, placed = prepared.round, decisions.scheduled
    free = prepared.free.copy()
    np.subtract.at(free, prepared.node_numbers[placed.node], round_.shapes.requests[round_.jobs.shape[placed.job]])
    result: Free = np.maximum(free, 0)
    return result


def _blocked_shapes(prepared: PreparedRound, decisions: Decisions) -> list[int]:
    """Shapes of the round of which a job without a gang and without nodes to avoid found no node."""
    table, jobs = decisions.unschedulable, prepared.round.jobs
    unfit = table.job[table.reason == Reason.NO_NODE_FITS]
    unfit = unfit[jobs.gang[unfit] < 0]
    avoids = np.zeros(len(jobs), np.bool_)
    avoids[jobs.avoid_job] = True
    found = np.zeros(len(prepared.round.shapes), np.bool_)
    found[jobs.shape[unfit[~avoids[unfit]]]] = True
    return np.flatnonzero(found).tolist()


def _waiting(slots: Slots, jobs: JobColumns) -> Bool:
    mask: Bool = jobs.live[slots] & (jobs.state[slots] == QUEUED)
    return mask


def _with_mates(chosen: Slots, jobs: JobColumns) -> Slots:
    """With the other members of every gang."""
    gangs = np.unique(jobs.gang[chosen])
    mates: list[Iterable[int]] = [jobs.gangs.members(number) for number in gangs.tolist() if number != NONE]
    more = np.array([slot for members in mates for slot in members], np.intp)
    return np.unique(np.concatenate((chosen, more)))
