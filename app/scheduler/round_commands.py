"""What a round decided, as leases and preemptions to send.

Input: a prepared round, its decisions, the job columns as they are now. Output: leases that are still true of the
state, each with the runs that it displaces, and the preemptions that wait for no lease.

Rules. Every run that a round preempts on a node is displaced by each new lease there that does not fit into the room
that the node has without it. A run that lost a floating resource is displaced by the lease of the job that took it,
wherever either stands. A lease that displaces needs the position of each such run; where one has none yet (its own
lease is not decided), the lease waits for a later round, and so do those of its whole gang. What no lease
displaces and nobody's room depends on is preempted directly; the other members of a gang, of which a run is displaced,
are left to the moment when that lease is applied (displacing.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from app.domain.commands import Lease, Preemption, PreemptReason, RunPosition
from app.domain.ids import parse_id, partition_of_job
from app.domain.limits import DISPLACED_PER_LEASE_MAX
from app.domain.rounds import Displaced
from app.domain.rows import FLAG_PREEMPTIBLE
from app.scheduler.interning import NONE
from app.scheduler.job_columns import QUEUED, RUNNING, JobColumns
from app.scheduler.preemptions import REASONS, preemption_of
from app.scheduler.round_columns import TENANTS
from app.scheduler.round_input import PreparedRound
from app.scheduler.state import State
from app.scheduling.decisions import NO_JOB, Decisions, Method, PreemptionReason
from app.scheduling.jobs import NO_GANG

NewRunId = Callable[[], bytes]
_METHODS = {int(method): method.text for method in Method}
OF_GANGS = ("members of gang", "gang ")
"""how reasons of quarantine begin that concern a gang (app.scheduling.units)"""


class PlacedLease(NamedTuple):
    """A lease and how its round came to it. gang: of the round, NO_GANG for a job alone; leases of a gang stand one
    behind the other."""

    lease: Lease
    queue: str
    method: str
    gang: int = NO_GANG


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCommands:
    """By partition: `leases` in the order of decision, gangs together; `preemptions` that wait for no lease.
    `preempted`: all runs that the round wants to end, for its record."""

    leases: dict[int, list[PlacedLease]] = field(default_factory=dict)
    preemptions: dict[int, list[Preemption]] = field(default_factory=dict)
    preempted: tuple[Displaced, ...] = ()


class _Victim(NamedTuple):
    """A run that the round preempts: job and node of the round, slot of its job (NONE = it stops already); position
    None = has none yet."""

    job: int
    node: int
    slot: int
    run_id: bytes
    reason: PreemptReason
    by: int
    position: RunPosition | None


class _Placed(NamedTuple):
    """A placement that still holds: job and node of the round, where it stands in the decisions."""

    job: int
    node: int
    at: int


def commands_of(prepared: PreparedRound, decisions: Decisions, state: State, new_run_id: NewRunId) -> RoundCommands:
    """The commands of a round. Jobs that changed while it was decided are left out: theirs would be refused."""
    victims = _victims(prepared, decisions, state)
    by_node: dict[int, list[_Victim]] = {}
    for victim in victims:
        by_node.setdefault(victim.node, []).append(victim)
    placed, displaced = _whole_gangs(
        prepared, *_placements(prepared, decisions, state.jobs, by_node, _robbed(prepared, decisions, victims))
    )
    leases: dict[int, list[PlacedLease]] = {}
    for each in placed:
        job_id = state.jobs.job_id(int(prepared.slots[each.job]))
        lease = _lease(prepared, decisions, each, job_id, displaced.get(each.job, ()), new_run_id)
        leases.setdefault(partition_of_job(lease.lease.job_id), []).append(lease)
    named = {position.run_id for positions in displaced.values() for position in positions}
    direct = _direct(victims, named, state.jobs)
    preemptions: dict[int, list[Preemption]] = {}
    for victim in direct:
        by_job, by_queue = _by_job(prepared, victim), _queue_of(prepared, victim.by)
        preemption = preemption_of(state.jobs, victim.slot, victim.reason, by_job, by_queue)
        preemptions.setdefault(partition_of_job(preemption.job_id), []).append(preemption)
    return RoundCommands(
        leases=leases,
        preemptions=preemptions,
        preempted=tuple(_record(prepared, victim, state.jobs) for victim in _ended(victims, direct, named, state.jobs)),
    )


def inconsistent_gangs(prepared: PreparedRound, decisions: Decisions) -> list[tuple[bytes, int, str]]:
    """(job id, attempt, reason) of the members of gangs that contradict themselves."""
    return [
        (parse_id(prepared.round.jobs.name(each.job)), int(prepared.attempts[each.job]), each.reason)
        for each in decisions.quarantined
        if each.job != NO_JOB and prepared.round.jobs.gang[each.job] != NO_GANG and each.reason.startswith(OF_GANGS)
    ]


def _victims(prepared: PreparedRound, decisions: Decisions, state: State) -> list[_Victim]:
    """The preempted runs that are still there."""
    jobs, table, found = state.jobs, decisions.preempted, []
    for job, node, reason, by in zip(
        table.job.tolist(), table.node.tolist(), table.reason.tolist(), table.by.tolist(), strict=True
    ):
        job_id = parse_id(prepared.round.jobs.name(job))
        slot, why = jobs.slot(job_id), REASONS[PreemptionReason(reason)]
        if slot is None or jobs.attempt[slot] != prepared.attempts[job]:
            run_id = bytes(prepared.run_ids[job])
            stopping = state.stopping.get(run_id)
            if stopping is not None:
                at = RunPosition(
                    run_id=run_id,
                    partition=partition_of_job(job_id),
                    offset=stopping.row.leased_offset,
                    ordinal=stopping.row.leased_ordinal,
                    reason=why,
                )
                found.append(_Victim(job=job, node=node, slot=NONE, run_id=run_id, reason=why, by=by, position=at))
            continue
        run_id, position = bytes(jobs.run_id[slot]), None
        if QUEUED < jobs.state[slot] <= RUNNING and jobs.flags[slot] & FLAG_PREEMPTIBLE:
            position = RunPosition(
                run_id=run_id,
                partition=partition_of_job(job_id),
                offset=int(jobs.leased_offset[slot]),
                ordinal=int(jobs.leased_ordinal[slot]),
                reason=why,
            )
        found.append(_Victim(job=job, node=node, slot=slot, run_id=run_id, reason=why, by=by, position=position))
    return found


def _robbed(prepared: PreparedRound, decisions: Decisions, victims: Sequence[_Victim]) -> dict[int, list[_Victim]]:
    """By job that takes floating resources: the runs that lose theirs to it. Not all stand on its node, and those that
    do may leave room enough for both."""
    round_, scheduled = prepared.round, decisions.scheduled
    floating = np.array([amount >= 0 for amount in round_.floating], np.bool_)
    robbed: dict[int, list[_Victim]] = {}
    if not floating.any():
        return robbed
    node_of = dict(zip(scheduled.job.tolist(), scheduled.node.tolist(), strict=True))
    for victim in victims:
        if victim.reason is PreemptReason.FAIR_SHARE and victim.by != NO_JOB:
            asks = round_.shapes.requests[int(round_.jobs.shape[victim.job])][floating].any()
            if asks or node_of.get(victim.by) != victim.node:
                robbed.setdefault(victim.by, []).append(victim)
    return robbed


def _placements(
    prepared: PreparedRound,
    decisions: Decisions,
    jobs: JobColumns,
    victims: Mapping[int, Sequence[_Victim]],
    robbed: Mapping[int, Sequence[_Victim]],
) -> tuple[list[_Placed], dict[int, tuple[RunPosition, ...]]]:
    """Placements that may be sent, and by job the runs that it displaces. `victims`: by node; `robbed`: by job."""
    left = _room_now(prepared, victims)
    placed: list[_Placed] = []
    displaced: dict[int, tuple[RunPosition, ...]] = {}
    round_ = prepared.round
    scheduled = decisions.scheduled
    for at, (job, node) in enumerate(zip(scheduled.job.tolist(), scheduled.node.tolist(), strict=True)):
        slot = int(prepared.slots[job])
        holds = (
            jobs.live[slot]
            and jobs.state[slot] == QUEUED
            and jobs.text[slot] == round_.jobs.id[job]
            and jobs.attempt[slot] == prepared.attempts[job]
        )
        if not holds:
            continue
        room, gone = left.get(node), {each.run_id: each for each in robbed.get(job, ())}
        rest = None
        if room is not None:
            rest = room - round_.shapes.requests[int(round_.jobs.shape[job])]
            if (rest < 0).any():
                rest = None
                gone |= {each.run_id: each for each in victims[node]}
        positions = [each.position for each in gone.values() if each.position is not None]
        if len(positions) < len(gone) or len(positions) > DISPLACED_PER_LEASE_MAX:
            continue
        if positions:
            displaced[job] = tuple(positions)
        if rest is not None:
            left[node] = rest
        placed.append(_Placed(job, node, at))
    return placed, displaced


def _room_now(
    prepared: PreparedRound, victims: Mapping[int, Sequence[_Victim]]
) -> dict[int, np.typing.NDArray[np.int64]]:
    """Base units that nodes with victims have free while all of them run, by resource."""
    if not victims:
        return {}
    round_ = prepared.round
    nodes = np.array(sorted(victims), np.int64)
    row = np.full(len(round_.nodes), NONE, np.int64)
    row[nodes] = np.arange(len(nodes))
    free = round_.nodes.capacity[nodes] - round_.nodes.held[nodes]
    runs = np.flatnonzero(round_.jobs.running)
    runs = runs[row[round_.jobs.run_node[runs]] != NONE]
    np.subtract.at(free, row[round_.jobs.run_node[runs]], round_.shapes.requests[round_.jobs.shape[runs]])
    # Floating resources are nobody's room on a node.
    free[:, [amount >= 0 for amount in round_.floating]] = np.iinfo(np.int64).max // 2
    return {node: free[at] for at, node in enumerate(nodes.tolist())}


def _whole_gangs(
    prepared: PreparedRound, placed: list[_Placed], displaced: dict[int, tuple[RunPosition, ...]]
) -> tuple[list[_Placed], dict[int, tuple[RunPosition, ...]]]:
    """Without the gangs of which a member is missing; the members of each gang one behind the other."""
    round_ = prepared.round
    if not round_.gangs:
        return placed, displaced
    members: dict[int, list[_Placed]] = {}
    for each in placed:
        gang = int(round_.jobs.gang[each.job])
        if gang != NO_GANG and round_.gangs[gang].cardinality > 1:
            members.setdefault(gang, []).append(each)
    kept: list[_Placed] = []
    for each in placed:
        gang = int(round_.jobs.gang[each.job])
        mates = members.get(gang) if gang != NO_GANG else None
        if mates is None:
            kept.append(each)
        elif mates[0] is each and len(mates) == round_.gangs[gang].cardinality:
            kept.extend(mates)
    still = {each.job for each in kept}
    return kept, {job: positions for job, positions in displaced.items() if job in still}


def _direct(victims: Sequence[_Victim], named: set[bytes], jobs: JobColumns) -> list[_Victim]:
    """Runs to preempt without waiting for a lease: nobody takes their room. Gangs as a whole."""
    alive = [each for each in victims if each.slot != NONE]
    waits = {
        int(jobs.gang[each.slot])
        for each in alive
        if each.run_id in named
        or each.position is None
        or (each.by != NO_JOB and each.reason is not PreemptReason.GANG)
    }
    waits.discard(NONE)
    return [
        each
        for each in alive
        if each.by == NO_JOB
        and each.position is not None
        and each.run_id not in named
        and int(jobs.gang[each.slot]) not in waits
    ]


def _ended(victims: Sequence[_Victim], direct: Sequence[_Victim], named: set[bytes], jobs: JobColumns) -> list[_Victim]:
    """The victims that will really be preempted, if what is sent is accepted."""
    alive = [each for each in victims if each.slot != NONE]
    ended = named.union(each.run_id for each in direct)
    gangs = {int(jobs.gang[each.slot]) for each in alive if each.run_id in ended} - {NONE}
    return [each for each in alive if each.run_id in ended or int(jobs.gang[each.slot]) in gangs]


def _lease(
    prepared: PreparedRound,
    decisions: Decisions,
    placed: _Placed,
    job_id: bytes,
    displaced: tuple[RunPosition, ...],
    new_run_id: NewRunId,
) -> PlacedLease:
    round_, scheduled = prepared.round, decisions.scheduled
    place, gang = prepared.places[placed.node], int(round_.jobs.gang[placed.job])
    if gang != NO_GANG and round_.gangs[gang].cardinality < 2:
        gang = NO_GANG
    lease = Lease(
        job_id=job_id,
        run_id=new_run_id(),
        attempt=int(prepared.attempts[placed.job]),
        cluster=place.cluster,
        node=place.node,
        pool=round_.pool,
        scheduled_at_priority=int(scheduled.priority[placed.at]),
        displaced=displaced,
    )
    method = _METHODS[int(scheduled.method[placed.at])]
    return PlacedLease(lease, _queue_of(prepared, placed.job), method, gang)


def _by_job(prepared: PreparedRound, victim: _Victim) -> bytes | None:
    return None if victim.by == NO_JOB else parse_id(prepared.round.jobs.name(victim.by))


def _queue_of(prepared: PreparedRound, job: int) -> str:
    queue = int(prepared.round.jobs.queue[job]) if job != NO_JOB else NONE
    return prepared.round.queues[queue].name.removesuffix(TENANTS) if queue >= 0 else ""


def _record(prepared: PreparedRound, victim: _Victim, jobs: JobColumns) -> Displaced:
    place = prepared.places[victim.node]
    return Displaced(
        job_id=jobs.job_id(victim.slot),
        run_id=victim.run_id,
        queue=_queue_of(prepared, victim.job),
        node=f"{place.cluster}/{place.node}",
        reason=victim.reason.value,
        by=_by_job(prepared, victim),
    )
