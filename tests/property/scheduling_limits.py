"""Limits and troubles for a random round: whatever may stop a job, a queue, a cluster or a round short."""

from random import Random
from typing import Any

Json = dict[str, Any]


def add_limits(r: Random, document: Json) -> None:
    """Each with its own small chance, so that most rounds have some and few have all."""
    config, queues, nodes = document["config"], document["queues"], document["nodes"]
    if r.random() < 0.12:
        document["limiter"] = {"tokens": r.choice([1, 2, 4.5, 8]), "burst": r.choice([2, 3, 10])}
    if r.random() < 0.12:
        config["maxFractionPerRound"] = {r.choice(["cpu", "memory"]): r.choice([0.03, 0.1, 0.29])}
    if r.random() < 0.1:
        config["lookback"] = r.randint(1, 6)
    if r.random() < 0.1:
        config["decisionBudget"] = r.randint(1, 9)
    for queue in queues:
        _limit_queue(r, queue, document["priorityClasses"])
    for each in document["priorityClasses"]:
        if r.random() < 0.1:
            each["maxFractionPerQueue"] = {r.choice(["cpu", "memory"]): r.choice([0.2, 0.33, 0.6])}
    for node in nodes:
        if r.random() < 0.04:
            node["unschedulable"] = True
        if r.random() < 0.05:
            node["held"] = {"cpu": r.choice([1, "1500m", 7]), "memory": r.choice(["1Gi", "9Gi"])}
    if r.random() < 0.25:
        document["clusters"] = [_cluster(r, f"c{index}") for index in range(2)]
    if r.random() < 0.25:
        _float(r, document)


def _limit_queue(r: Random, queue: Json, classes: list[Json]) -> None:
    if r.random() < 0.08:
        queue["limiter"] = {"tokens": r.choice([0.5, 1, 2, 3]), "burst": r.choice([1, 2, 9])}
    if r.random() < 0.08:
        queue["maxFractionPerQueue"] = {r.choice(classes)["name"]: {"cpu": r.choice([0.15, 0.3, 0.57])}}
    if r.random() < 0.1:
        queue["penalty"] = {"cpu": r.choice([1, "500m", 3])}
    if r.random() < 0.1:
        queue["demand"] = r.choice([{}, {"cpu": 2}, {"cpu": 99, "memory": "1Gi"}])
    if r.random() < 0.04:
        queue["cordoned"] = True


def _cluster(r: Random, name: str) -> Json:
    cluster: Json = {"name": name, "unacknowledged": r.randint(0, 2), "unacknowledgedLimit": r.choice([1, 3, 5, 50])}
    if r.random() < 0.1:
        cluster["cordoned"] = True
    return cluster


def _float(r: Random, document: Json) -> None:
    """Some jobs, running and waiting, want a licence; there are about as many as they want, or too few."""
    wanted = 0
    shapes: dict[str, int] = {}
    for job in document["jobs"]:
        licences = shapes.setdefault(str(job["requests"]), r.choice([0, 0, 1, 2]))
        if licences:
            job["requests"] = job["requests"] | {"licence": licences}
            wanted += licences
    document["floatingResources"] = {"licence": r.randint(0, wanted + 1)}
    if r.random() < 0.5:
        document["config"]["fairShareResources"] = {"cpu": 1, "memory": 1, "licence": r.choice([0.5, 1])}
