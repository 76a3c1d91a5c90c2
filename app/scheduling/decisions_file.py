"""`argosy-decisions/1`: the decisions of a round as JSON (reference round-file.md), written and read.

Reading needs the round: a decisions file speaks of jobs, nodes and queues by name. A quarantined node stands in the
list as {"node": ..., "reason": ...}. Of an unschedulable job, `nodes` and `shortfall` are there when its shape was
explained. `fairness` follows from the shares: the sum of what queues lack of their capped shares, before and after the
round, and what one more queue of weight 1 with endless demand would get.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from app.pods.quantity import format_amount
from app.scheduling.builder import amounts_of
from app.scheduling.decisions import (
    NO_JOB,
    Decisions,
    Explanation,
    KnownDetails,
    Method,
    Preempted,
    PreemptionReason,
    Quarantined,
    QueueShares,
    Reason,
    Rejected,
    Scheduled,
    Unschedulable,
)
from app.scheduling.errors import RoundError
from app.scheduling.jobs import NO_NODE
from app.scheduling.json_object import JsonObject, decode_object
from app.scheduling.kubernetes_terms import Json
from app.scheduling.round import Round
from app.scheduling.round_file import JOBS_MAX, NODES_MAX, QUEUES_MAX
from app.scheduling.shares import fairness_error, indicative_share

DECISIONS_FORMAT = "argosy-decisions/1"
NEW_WEIGHT = 1.0
_INT32_MAX = 2**31 - 1
Coded = TypeVar("Coded", Method, PreemptionReason, Reason)
_SHARES = {
    "fairShare": "fair",
    "cappedShare": "capped",
    "uncappedShare": "uncapped",
    "demandShare": "demand",
    "actualShareBefore": "before",
    "actualShareAfter": "after",
}


def print_decisions(round_: Round, decisions: Decisions) -> bytes:
    """One line of JSON without its end."""
    job, node = round_.jobs.name, round_.nodes.names
    preempted, scheduled = decisions.preempted, decisions.scheduled
    document: Json = {
        "format": DECISIONS_FORMAT,
        "scheduled": [
            {"job": job(j), "node": node[n], "scheduledAtPriority": p, "method": Method(m).text}
            for j, n, p, m in _rows(scheduled.job, scheduled.node, scheduled.priority, scheduled.method)
        ],
        "preempted": [
            {
                "job": job(j),
                "node": node[n],
                "reason": PreemptionReason(r).text,
                "by": None if by == NO_JOB else job(by),
            }
            for j, n, r, by in _rows(preempted.job, preempted.node, preempted.reason, preempted.by)
        ],
        "queues": _shares(round_, decisions.shares),
        "fairness": _fairness(round_, decisions.shares),
        "unschedulable": _unschedulable(round_, decisions),
        "quarantined": [
            {"node": node[q.node], "reason": q.reason} if q.job == NO_JOB else {"job": job(q.job), "reason": q.reason}
            for q in decisions.quarantined
        ],
        "limiter": None if decisions.tokens is None else {"tokens": _number(decisions.tokens)},
        "rejected": [{"job": job(rejected.job), "reason": rejected.reason} for rejected in decisions.rejected],
    }
    return msgspec.json.encode(document)


def parse_decisions(round_: Round, document: bytes | str) -> Decisions:
    """Reads the decisions on this round. Raises RoundError with the path of the wrong field.

    What the file does not hold is as if nothing had happened: queue tokens as they were, nothing considered.
    """
    root = decode_object(document, DECISIONS_FORMAT)
    names = _Names(round_)
    scheduled = [_read_scheduled(item, names) for item in root.nested_list("scheduled", most=JOBS_MAX)]
    preempted = [_read_preempted(item, names) for item in root.nested_list("preempted", most=JOBS_MAX)]
    shares = _read_shares(root, round_, names)
    if root.has("fairness"):
        _check_fairness(root.nested("fairness"))
    unschedulable, explanations = _read_unschedulable(root, names)
    quarantined = tuple(_read_quarantined(item, names) for item in root.nested_list("quarantined", most=JOBS_MAX))
    tokens = None
    if root.has("limiter"):
        limiter = root.nested("limiter")
        tokens = limiter.number("tokens", least=-1e15)
        limiter.end()
    rejected = []
    for item in root.nested_list("rejected", most=JOBS_MAX):
        rejected.append(Rejected(job=names.job(item, "job"), reason=item.text("reason")))
        item.end()
    root.end()
    rows = np.array(preempted, np.int64).reshape(-1, 4)
    return Decisions(
        scheduled=Scheduled.of(np.array(scheduled, np.int64).reshape(-1, 4)),
        preempted=Preempted(
            job=rows[:, 0].astype(np.int32),
            node=rows[:, 1].astype(np.int32),
            reason=rows[:, 2].astype(np.uint8),
            by=rows[:, 3].astype(np.int32),
        ),
        details=KnownDetails(shares=shares, unschedulable=unschedulable, explanations=explanations),
        quarantined=quarantined,
        tokens=tokens,
        rejected=tuple(rejected),
        considered=0,
    )


class _Names:
    """Names of a round and their indices."""

    def __init__(self, round_: Round) -> None:
        self._jobs = {round_.jobs.name(job): job for job in range(len(round_.jobs))}
        self._nodes = {name: node for node, name in enumerate(round_.nodes.names)}
        self._queues = {queue.name: index for index, queue in enumerate(round_.queues)}

    def job(self, item: JsonObject, field: str) -> int:
        return self._known(self._jobs, item, field, "job")

    def node(self, item: JsonObject, field: str) -> int:
        return self._known(self._nodes, item, field, "node")

    def queue(self, item: JsonObject, field: str) -> int:
        return self._known(self._queues, item, field, "queue")

    @staticmethod
    def _known(table: Mapping[str, int], item: JsonObject, field: str, kind: str) -> int:
        name = item.text(field)
        if name not in table:
            raise RoundError(item.path_of(field), f"{name!r} is no {kind} of the round")
        return table[name]


def _read_scheduled(item: JsonObject, names: _Names) -> tuple[int, int, int, int]:
    job, node = names.job(item, "job"), names.node(item, "node")
    priority = item.integer("scheduledAtPriority", least=-_INT32_MAX, most=_INT32_MAX)
    method = _coded(Method, item, "method")
    item.end()
    return job, node, priority, method


def _read_preempted(item: JsonObject, names: _Names) -> tuple[int, int, int, int]:
    job, node = names.job(item, "job"), names.node(item, "node")
    reason = _coded(PreemptionReason, item, "reason")
    by = names.job(item, "by") if item.has("by") else NO_JOB
    item.end()
    return job, node, reason, by


def _read_shares(root: JsonObject, round_: Round, names: _Names) -> QueueShares:
    columns = {column: np.zeros(len(round_.queues)) for column in _SHARES.values()}
    for item in root.nested_list("queues", most=QUEUES_MAX):
        queue = names.queue(item, "name")
        for field, column in _SHARES.items():
            columns[column][queue] = item.number(field, 0.0, most=1e300)
        item.end()
    tokens = [q.limiter.tokens if q.limiter is not None else float("inf") for q in round_.queues]
    return QueueShares(**columns, tokens=np.array(tokens, np.float64))


def _check_fairness(item: JsonObject) -> None:
    """These follow from the shares and weights, so they are not kept."""
    for field in ("errorBefore", "errorAfter", "newQueueShare"):
        item.number(field, 0.0, least=0.0, most=1e300)
    item.end()


def _read_unschedulable(root: JsonObject, names: _Names) -> tuple[Unschedulable, tuple[Explanation, ...]]:
    rows: list[tuple[int, int, int]] = []
    explanations: list[Explanation] = []
    for item in root.nested_list("unschedulable", most=JOBS_MAX):
        explained = item.has("nodes")
        if explained:
            counts = item.nested("nodes")
            nodes = {name: counts.integer(name, least=0, most=NODES_MAX) for name in counts.names()}
            shortfall = amounts_of(item.quantities("shortfall", {}), item.path_of("shortfall"))
            explanations.append(Explanation(nodes=nodes, shortfall=shortfall))
        job, reason = names.job(item, "job"), _coded(Reason, item, "reason")
        rows.append((job, reason, len(explanations) - 1 if explained else -1))
        item.end()
    columns = np.array(rows, np.int64).reshape(-1, 3)
    unschedulable = Unschedulable(
        job=columns[:, 0].astype(np.int32),
        reason=columns[:, 1].astype(np.uint8),
        explanation=columns[:, 2].astype(np.int32),
    )
    return unschedulable, tuple(explanations)


def _read_quarantined(item: JsonObject, names: _Names) -> Quarantined:
    if item.has("node"):
        entry = Quarantined(job=NO_JOB, node=names.node(item, "node"), reason=item.text("reason"))
    else:
        entry = Quarantined(job=names.job(item, "job"), node=NO_NODE, reason=item.text("reason"))
    item.end()
    return entry


def _coded(codes: type[Coded], item: JsonObject, field: str) -> Coded:
    texts = {code.text: code for code in codes}
    return texts[item.one_of(field, tuple(texts))]


def _shares(round_: Round, shares: QueueShares) -> list[Json]:
    columns = {field: getattr(shares, column).tolist() for field, column in _SHARES.items()}
    return [
        {"name": queue.name, **{field: column[index] for field, column in columns.items()}}
        for index, queue in enumerate(round_.queues)
    ]


def _fairness(round_: Round, shares: QueueShares) -> Json:
    """How far queues are from what is due to them, and what one more queue of weight NEW_WEIGHT would get."""
    active = sorted(np.flatnonzero(shares.fair > 0).tolist(), key=lambda queue: round_.queues[queue].name)
    weights = [round_.queues[queue].weight for queue in active]
    return {
        "errorBefore": fairness_error(shares.capped[active].tolist(), shares.before[active].tolist()),
        "errorAfter": fairness_error(shares.capped[active].tolist(), shares.after[active].tolist()),
        "newQueueShare": indicative_share(weights, shares.demand[active].tolist(), NEW_WEIGHT),
    }


def _unschedulable(round_: Round, decisions: Decisions) -> list[Json]:
    explained: list[Json] = [
        {
            "nodes": dict(explanation.nodes),
            "shortfall": {name: format_amount(name, amount) for name, amount in explanation.shortfall.items()},
        }
        for explanation in decisions.explanations
    ]
    table = decisions.unschedulable
    return [
        {"job": round_.jobs.name(job), "reason": Reason(reason).text, **(explained[index] if index >= 0 else {})}
        for job, reason, index in _rows(table.job, table.reason, table.explanation)
    ]


def _rows(*columns: npt.NDArray[np.integer]) -> Iterator[Sequence[int]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _number(value: float) -> int | float:
    """Whole tokens as a whole number."""
    return int(value) if float(value).is_integer() else value
