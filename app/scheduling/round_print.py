"""Writes a `Round` as `argosy-round/1`: what `parse_round` reads back as the same round."""

from collections.abc import Mapping

import msgspec

from app.pods.quantity import format_amount
from app.scheduling.jobs import NO_GANG, Gang
from app.scheduling.kubernetes_terms import Json, write_affinity, write_taint, write_toleration
from app.scheduling.nodes import HOME_POOL
from app.scheduling.resources import Int64
from app.scheduling.round import NOT_FLOATING, Limiter, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.round_file import ROUND_FORMAT


def print_round(round_: Round) -> bytes:
    """One line of JSON without its end. Every field is written out."""
    resources = round_.resources
    floating = {
        name: format_amount(name, amount)
        for name, amount in zip(resources.names, round_.floating, strict=True)
        if amount != NOT_FLOATING
    }
    document: Json = {
        "format": ROUND_FORMAT,
        "pool": round_.pool,
        "config": _config(round_.config),
        "clusters": [
            {
                "name": cluster.name,
                "cordoned": cluster.cordoned,
                "unacknowledged": cluster.unacknowledged,
                "unacknowledgedLimit": cluster.unacknowledged_limit,
            }
            for cluster in round_.clusters
        ],
        "limiter": _limiter(round_.limiter),
        "priorityClasses": [_class(priority_class) for priority_class in round_.classes],
        "nodeTypes": [{"name": t.name, "taints": [write_taint(x) for x in t.taints]} for t in round_.node_types],
        "floatingResources": floating,
        "nodes": _nodes(round_),
        "queues": [_queue(queue) for queue in round_.queues],
        "jobs": _jobs(round_),
    }
    return msgspec.json.encode(document)


def write_amounts(amounts: Mapping[str, int]) -> dict[str, str]:
    """Base units by resource as quantities."""
    return {name: format_amount(name, amount) for name, amount in amounts.items()}


def _row(round_: Round, row: Int64) -> dict[str, str]:
    return write_amounts(round_.resources.amounts(row.tolist()))


def _config(config: RoundConfig) -> Json:
    return {
        "fairShareResources": dict(config.fair_share_resources),
        "indexedResources": list(config.indexed_resources),
        "protectedFractionOfFairShare": config.protected_fraction_of_fair_share,
        "preferLargeJobs": config.prefer_large_jobs,
        "maxFractionPerRound": dict(config.max_fraction_per_round),
        "lookback": config.lookback,
        "fairSharePreemption": config.fair_share_preemption,
        "urgencyPreemption": config.urgency_preemption,
        "fairSharePreemptionBudget": config.fair_share_preemption_budget,
        "decisionBudget": config.decision_budget,
        "submitCheck": config.submit_check,
    }


def _limiter(limiter: Limiter | None) -> Json | None:
    return None if limiter is None else {"tokens": limiter.tokens, "burst": limiter.burst}


def _class(priority_class: PriorityClass) -> Json:
    return {
        "name": priority_class.name,
        "priority": priority_class.priority,
        "preemptible": priority_class.preemptible,
        "maxFractionPerQueue": dict(priority_class.max_fraction_per_queue),
        "away": [{"nodeType": away.node_type, "priority": away.priority} for away in priority_class.away],
    }


def _queue(queue: Queue) -> Json:
    return {
        "name": queue.name,
        "weight": queue.weight,
        "cordoned": queue.cordoned,
        "maxFractionPerQueue": {name: dict(limits) for name, limits in queue.max_fraction_per_queue.items()},
        "limiter": _limiter(queue.limiter),
        "penalty": write_amounts(queue.penalty),
        "demand": None if queue.demand is None else write_amounts(queue.demand),
    }


def _nodes(round_: Round) -> list[Json]:
    nodes = round_.nodes
    written: list[Json] = []
    for index, name in enumerate(nodes.names):
        pool = int(nodes.pool[index])
        written.append(
            {
                "name": name,
                "cluster": round_.clusters[int(nodes.cluster[index])].name,
                "pool": None if pool == HOME_POOL else round_.pools[pool],
                "held": _row(round_, nodes.held[index]),
                "capacity": _row(round_, nodes.capacity[index]),
                "labels": nodes.labels(index),
                "taints": [write_taint(taint) for taint in nodes.taint_sets[int(nodes.taint_set[index])]],
                "unschedulable": bool(nodes.unschedulable[index]),
            }
        )
    return written


def _jobs(round_: Round) -> list[Json]:
    jobs = round_.jobs
    shapes: list[Json] = [
        {
            "requests": write_amounts(dict(spec.requests)),
            "nodeSelector": dict(spec.node_selector),
            "tolerations": [write_toleration(toleration) for toleration in spec.tolerations],
            "affinity": write_affinity(spec.affinity),
        }
        for spec in round_.shapes.specs
    ]
    avoid: dict[int, list[str]] = {}
    for job, node in zip(jobs.avoid_job.tolist(), jobs.avoid_node.tolist(), strict=True):
        avoid.setdefault(job, []).append(_name(round_, round_.nodes.names, node))
    written: list[Json] = []
    for job in range(len(jobs)):
        shape, gang = int(jobs.shape[job]), int(jobs.gang[job])
        written.append(
            {
                "id": jobs.name(job),
                "queue": _name(round_, round_.queues, int(jobs.queue[job])),
                "priorityClass": round_.shapes.specs[shape].priority_class,
                "priority": int(jobs.priority[job]),
                "submitted": int(jobs.submitted[job]),
                **shapes[shape],
                "gang": None if gang == NO_GANG else _gang(round_.gangs[gang]),
                "avoidNodes": avoid.get(job, []),
                "run": _run(round_, job) if jobs.running[job] else None,
            }
        )
    return written


def _gang(gang: Gang) -> Json:
    return {
        "id": gang.id,
        "cardinality": gang.cardinality,
        "uniformityLabel": gang.uniformity_label,
        "generation": gang.generation,
    }


def _run(round_: Round, job: int) -> Json:
    jobs = round_.jobs
    return {
        "node": _name(round_, round_.nodes.names, int(jobs.run_node[job])),
        "started": int(jobs.run_started[job]),
        "scheduledAtPriority": int(jobs.run_priority[job]),
    }


def _name(round_: Round, table: tuple[Queue, ...] | tuple[str, ...], index: int) -> str:
    if index < 0:
        return round_.unknown_name(index)
    entry = table[index]
    return entry if isinstance(entry, str) else entry.name
