"""Short ways to write a round as a document and to read its decisions."""

import json
from typing import Any

from app.scheduling.decisions_file import print_decisions
from app.scheduling.round_file import parse_round
from app.scheduling.schedule import schedule

Json = dict[str, Any]


def node(name: str, cpu: Any = 8, memory: Any = "32Gi", **fields: Any) -> Json:
    return {"name": name, "capacity": {"cpu": cpu, "memory": memory} | fields.pop("more", {}), **fields}


def job(job_id: str, queue: str = "a", cpu: Any = 1, memory: Any = "1Gi", **fields: Any) -> Json:
    return {"id": job_id, "queue": queue, "requests": {"cpu": cpu, "memory": memory} | fields.pop("more", {}), **fields}


def jobs(count: int, queue: str = "a", **fields: Any) -> list[Json]:
    """Equal jobs `<queue>00`, `<queue>01`, ..."""
    return [job(f"{queue}{index:02}", queue, **fields) for index in range(count)]


def document(
    nodes: list[Json], jobs: list[Json], queues: list[Any] | None = None, config: Json | None = None, **fields: Any
) -> Json:
    """A round; without `queues`, every queue that a job names, all alike."""
    if queues is None:
        queues = [{"name": name} for name in sorted({each["queue"] for each in jobs})]
    return {"format": "argosy-round/1", "config": config or {}, "nodes": nodes, "queues": queues, "jobs": jobs} | fields


def decide(round_document: Json) -> Json:
    """The decisions document of a round document."""
    round_ = parse_round(json.dumps(round_document))
    decided: Json = json.loads(print_decisions(round_, schedule(round_)))
    return decided


def places(decided: Json) -> dict[str, str]:
    """job -> node, in the order of decision."""
    return {each["job"]: each["node"] for each in decided["scheduled"]}


def reasons(decided: Json) -> dict[str, str]:
    """job -> why it was not scheduled."""
    return {each["job"]: each["reason"] for each in decided["unschedulable"]}


def share(decided: Json, queue: str, field: str) -> float:
    """One share of one queue."""
    return float(next(each[field] for each in decided["queues"] if each["name"] == queue))


def affinity(*terms: Json) -> Json:
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}


def expressions(*parts: Json) -> Json:
    return {"matchExpressions": list(parts)}
