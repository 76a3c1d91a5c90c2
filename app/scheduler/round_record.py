"""The record of a round in argosy.rounds.

Input: a prepared round, its decisions, the commands that follow from them, times from the shell. Output: a
`RoundRecord` of bounded size: blocked jobs are counted by queue, shape and reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.domain.ids import parse_id
from app.domain.rounds import Blocked, Offset, Placed, QueueShare, ReasonCount, RoundRecord
from app.pods.quantity import format_amount
from app.pods.shape import encode_shape, shape_hash
from app.scheduler.round_commands import RoundCommands
from app.scheduler.round_input import PreparedRound
from app.scheduling.decisions import NO_JOB, Decisions, Explanation, Reason
from app.scheduling.round import Round

BLOCKED_MAX = 1_000
"""entries of `blocked` and of `quarantined` in one record: those with the most jobs"""
EXPLAINED_NODES_MAX = 500_000
"""nodes that the explanations of one round look at, all together"""
EXPLAINED_MIN = 5
PARKED = "parked: "


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundHeader:
    """What a record says of the circumstances of a round."""

    round_id: bytes
    epoch: int
    kind: str
    started_ms: int
    inputs: Mapping[int, int]
    undecided: Sequence[tuple[int, int]]
    config_hash: str
    timings_us: dict[str, int]

    def with_timings(self, timings_us: dict[str, int]) -> "RoundHeader":
        """The same with timings."""
        return replace(self, timings_us=timings_us)


def record_of(
    header: RoundHeader,
    prepared: PreparedRound,
    decisions: Decisions,
    commands: RoundCommands,
    shares: tuple[QueueShare, ...],
    waiting: int | None = None,
    turn: int = 0,
) -> RoundRecord:
    """The record. `shares`: of the queues, when they changed. `waiting`: jobs that waited, if not all were offered.
    `turn`: of the rounds of the pool; where not all that is blocked can be explained, it says who is."""
    round_ = prepared.round
    leases = (each for some in commands.leases.values() for each in some)
    return RoundRecord(
        round_id=header.round_id,
        pool=round_.pool,
        epoch=header.epoch,
        kind=header.kind,
        started_ms=header.started_ms,
        inputs=tuple(Offset(partition=p, offset=offset) for p, offset in sorted(header.inputs.items())),
        undecided=tuple(Offset(partition=p, offset=offset) for p, offset in header.undecided),
        config_hash=header.config_hash,
        limiter_tokens=decisions.tokens,
        nodes=len(round_.nodes),
        queued=prepared.queued if waiting is None or not prepared.cheap else waiting,
        running=prepared.running,
        considered=decisions.considered,
        placed=tuple(
            Placed(
                job_id=each.lease.job_id,
                run_id=each.lease.run_id,
                queue=each.queue,
                cluster=each.lease.cluster,
                node=each.lease.node,
                scheduled_at_priority=each.lease.scheduled_at_priority,
                method=each.method,
            )
            for each in leases
        ),
        preempted=commands.preempted,
        blocked=_blocked(round_, decisions, turn),
        quarantined=_quarantined(prepared, decisions),
        shares=shares,
        timings_us=header.timings_us,
        queue_tokens={
            queue.name: tokens
            for queue, tokens in zip(round_.queues, decisions.shares.tokens.tolist(), strict=True)
            if queue.limiter is not None
        },
    )


def queue_shares(round_: Round, decisions: Decisions) -> tuple[QueueShare, ...]:
    """Shares of the queues that hold or want something in the pool."""
    shares = decisions.shares
    active = (shares.fair > 0) | (shares.demand > 0) | (shares.before > 0) | (shares.after > 0)
    return tuple(
        QueueShare(
            queue=round_.queues[index].name,
            weight=round_.queues[index].weight,
            fair_share=float(shares.fair[index]),
            capped_share=float(shares.capped[index]),
            uncapped_share=float(shares.uncapped[index]),
            demand_share=float(shares.demand[index]),
            actual_share_before=float(shares.before[index]),
            actual_share_after=float(shares.after[index]),
        )
        for index in np.flatnonzero(active).tolist()
    )


def _blocked(round_: Round, decisions: Decisions, turn: int) -> tuple[Blocked, ...]:
    """Jobs without a node by (queue, shape, reason), those with the most jobs first.

    An explanation looks at every node, so in a large pool only some are worked out in one round, others in the next.
    """
    table = decisions.unschedulable
    if not len(table):
        return ()
    queue = round_.jobs.queue[table.job].astype(np.int64)
    shape = round_.jobs.shape[table.job].astype(np.int64)
    keys = (queue * len(round_.shapes) + shape) * len(Reason) + table.reason
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    entries = []
    asked = max(len(decisions.explanations), 1)
    most = max(EXPLAINED_NODES_MAX // max(len(round_.nodes), 1), EXPLAINED_MIN)
    for at in np.argsort(-counts, kind="stable")[:BLOCKED_MAX].tolist():
        row = int(first[at])
        job, explanation = int(table.job[row]), int(table.explanation[row])
        is_explained = (explanation - turn * most) % asked < most
        entries.append(
            _entry(
                round_,
                job,
                int(counts[at]),
                Reason(int(table.reason[row])).text,
                decisions.explanations[explanation] if explanation >= 0 and is_explained else None,
            )
        )
    return tuple(entries)


def _entry(round_: Round, job: int, jobs: int, reason: str, explanation: Explanation | None) -> Blocked:
    queue = int(round_.jobs.queue[job])
    return Blocked(
        queue=round_.queues[queue].name if queue >= 0 else round_.unknown_name(queue),
        shape_hash=shape_hash(encode_shape(round_.shapes.specs[int(round_.jobs.shape[job])])),
        jobs=jobs,
        example=parse_id(round_.jobs.name(job)),
        reason=reason,
        nodes=tuple(
            ReasonCount(reason=name, nodes=count)
            for name, count in (explanation.nodes.items() if explanation is not None else ())
        ),
        shortfall={
            name: format_amount(name, amount)
            for name, amount in (explanation.shortfall.items() if explanation is not None else ())
        },
    )


def _quarantined(prepared: PreparedRound, decisions: Decisions) -> tuple[Blocked, ...]:
    """Offenders by what is wrong with them, unreadable nodes, and jobs that were not even offered."""
    round_ = prepared.round
    of_jobs: dict[tuple[int, int, str], list[int]] = {}
    of_nodes: dict[str, int] = {}
    for offender in decisions.quarantined:
        if offender.job == NO_JOB:
            of_nodes[offender.reason] = of_nodes.get(offender.reason, 0) + 1
        else:
            key = (int(round_.jobs.queue[offender.job]), int(round_.jobs.shape[offender.job]), offender.reason)
            of_jobs.setdefault(key, []).append(offender.job)
    if prepared.unreadable_nodes:
        of_nodes["a quantity cannot be read"] = len(prepared.unreadable_nodes)
    entries = [_entry(round_, jobs[0], len(jobs), reason, None) for (_, _, reason), jobs in of_jobs.items()]
    entries.sort(key=lambda entry: -entry.jobs)
    entries += [_of_nobody(reason, 0, nodes) for reason, nodes in sorted(of_nodes.items())]
    entries += [_of_nobody(PARKED + reason, jobs, 0) for reason, jobs in sorted(prepared.parked.items())]
    return tuple(entries[:BLOCKED_MAX])


def _of_nobody(reason: str, jobs: int, nodes: int) -> Blocked:
    counted = (ReasonCount(reason=reason, nodes=nodes),) if nodes else ()
    return Blocked(queue="", shape_hash=b"", jobs=jobs, example=b"", reason=reason, nodes=counted)
